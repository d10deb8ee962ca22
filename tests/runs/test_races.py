"""Concurrent writes of workers, pages and command lines to one store never deadlock."""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LeaseLostError, RunNotFoundError, RunStateError, StoreBusyError, SweepStateError
from lab.runs.owner import Owner
from lab.runs.queue_moves import Move
from lab.runs.records import RunRequest, RunState
from lab.runs.row_changes import sound_row
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sweeps.spec import read_spec
from tests.runs.runs_data import series, submit

_SECONDS = 60.0
_WORKERS, _USERS = 3, 5
_EXPECTED = (LeaseLostError, RunNotFoundError, RunStateError, SweepStateError)  # another thread was faster
_ENDS = (RunState.FINISHED, RunState.FINISHED, RunState.PAUSED, RunState.FAILED)
_SWEEP: dict[str, Any] = {
    "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}},
    "method": "random",
    "trials": 4,
    "halving": {"factor": 2, "first_epochs": 1},
}


@dataclass
class _Load:
    """Threads with a store each, which run until the time is over or one of them gets an unexpected error."""

    settings: Settings
    runs: list[str] = field(default_factory=list)
    sweeps: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    until: float = field(default_factory=lambda: time.monotonic() + _SECONDS)

    def act(self, part: Callable[[Lab, random.Random], str], *, seed: int) -> None:
        lab, rng, what = Lab(self.settings), random.Random(seed), ""
        while time.monotonic() < self.until and not self.errors:
            try:
                what = part(lab, rng)
                self.done[what] += 1
            except _EXPECTED as error:
                self.done[type(error).__name__] += 1
            except Exception as error:
                self.errors.append(f"{type(error).__name__} after {what}: {error}, because of {error.__cause__}")
        lab.store.close()

    def work(self, lab: Lab, rng: random.Random, *, slot: str) -> str:
        """Train a run as a worker does, in no time."""
        if rng.random() < 0.3:
            lab.sweeps.advance_due()
        store = lab.store
        run = store.leases.claim(slot=slot, owner=Owner.of_this_process())
        if run is None:
            return "nothing to train"
        for step in range(1, rng.randrange(2, 6)):
            curves = [series(name, [step], [1 / step]) for name in ("batch/loss", "val/loss", "val/accuracy")]
            store.points.append(run.id, run.lease, {one.name: one for one in curves}, progress={"step": step})
            store.leases.heartbeat(run.id, run.lease)
        store.leases.finish(run.id, run.lease, state=rng.choice(_ENDS))
        return "trained"

    def use(self, lab: Lab, rng: random.Random) -> str:
        """Do one of the actions that pages and command lines offer."""
        store, sweeps = lab.store, lab.sweeps
        run = rng.choice(self.runs[-20:]) if self.runs else self._submit(lab, rng)
        sweep = rng.choice(self.sweeps[-5:]) if self.sweeps else self._sweep(lab, rng)
        actions: dict[str, tuple[float, Callable[[], object]]] = {
            "submit": (8, lambda: self._submit(lab, rng)),
            "create sweep": (1, lambda: self._sweep(lab, rng)),
            "move": (8, lambda: store.queue.move(run, rng.choice(list(Move)))),
            "prioritize": (3, lambda: store.queue.prioritize(run, rng.randrange(3))),
            "request": (6, lambda: store.leases.request(run, rng.choice(list(RunRequest)))),
            "bind": (2, lambda: store.jobs.bind(run, rng.choice(["ray", ""]))),
            "edit": (3, lambda: store.edits.set_tags(run, ["a", "b"])),
            "delete": (2, lambda: store.removal.delete(run)),
            "undelete": (2, lambda: store.removal.undelete(run)),
            "purge": (2, lambda: store.removal.purge(lambda paths: None)),
            "recover": (2, store.leases.recover),
            "stop all": (0.2, store.queue.stop_all),
            "list": (2, store.queue.list),
            "pause sweep": (1, lambda: sweeps.pause(sweep)),
            "resume sweep": (2, lambda: sweeps.resume(sweep)),
            "stop sweep": (1, lambda: sweeps.stop(sweep)),
            "extend sweep": (2, lambda: sweeps.extend(sweep, trials=1)),
        }
        (what,) = rng.choices(list(actions), [weight for weight, _ in actions.values()])
        actions[what][1]()
        return what

    def _submit(self, lab: Lab, rng: random.Random) -> str:
        run = submit(lab.store, f"run {rng.random()}", owner=rng.choice(["", "ann", "bob"])).id
        self.runs.append(run)
        return run

    def _sweep(self, lab: Lab, rng: random.Random) -> str:
        base = {
            "arch": "lenet5",
            "dataset": "digits",
            "epochs": 4,
            "val_fraction": 0.2,
            "seed": rng.randrange(10**6),
        }
        sweep = lab.sweeps.create(read_spec({**_SWEEP, "name": "small", "base": base})).sweep.id
        self.sweeps.append(sweep)
        return sweep


def test_a_deadlock_is_reported_to_one_of_the_two_writers(postgres_store: str) -> None:
    """Postgres rolls back one of the two transactions after a second."""
    store = RunStore.open(postgres_store)
    one, other = (submit(store, key).id for key in "ab")
    first_locks = threading.Barrier(2)
    refusals: list[str] = []

    def lock(*ids: str) -> None:
        try:
            with store.database.write() as connection:
                sound_row(connection, ids[0], lock=True)
                first_locks.wait()
                sound_row(connection, ids[1], lock=True)
        except StoreBusyError as error:
            refusals.append(str(error).replace(postgres_store, "X"))

    threads = [threading.Thread(target=lock, args=ids) for ids in ((one, other), (other, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert refusals == [
        "Another process and this one waited for each other in the run store X, so nothing was written: try again."
    ]


@pytest.mark.slow
def test_workers_and_users_of_one_store_never_deadlock(url: str, tmp_path: Path) -> None:
    load = _Load(Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_DATABASE": url}))
    Lab(load.settings).store.close()  # created once, not by all threads at once
    parts: list[Callable[[Lab, random.Random], str]] = [partial(load.work, slot=f"cpu:{k}") for k in range(_WORKERS)]
    parts += [load.use] * _USERS
    threads = [threading.Thread(target=partial(load.act, part, seed=k)) for k, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logging.getLogger(__name__).info(f"{dict(load.done)}")
    assert load.errors == []
    assert load.done["trained"] >= 20
    assert load.done["move"] >= 5
