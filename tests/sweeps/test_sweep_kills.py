"""kill -9 of workers at random moments of a sweep: no trial is lost or created twice, and the rungs do not change.

Zero failures in n kills bound the failure rate below about 3/n at 95 %: `-m slow` makes 50, below 6 %. A kill may
change the order in which trials are charged, never what is trained: with one slot, all decisions are the same. A trial
fails if more than `MAX_RETRIES` workers in a row end without training it further, so the last ones are killed only once
they have.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.service.lab import Lab
from lab.service.sweeps import SweepView
from lab.settings import Settings
from lab.sweeps.plan import MAX_RETRIES
from lab.sweeps.records import SweepState
from tests.sweeps.sweep_runs import small_spec, work_until_idle

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 300.0  # in which even a busy machine starts a worker and trains a step
# One process imports torch once, forks a worker for every line that it reads, and prints the pid of the worker.
FORKS = """
import os, sys, threading
import sklearn.datasets, torch, torch._dynamo
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.loop import work
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        work(Lab(Settings.from_env({"LAB_HOME": sys.argv[1]})), ending=threading.Event(), idle_s=86_400.0)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


class Workers:
    """Workers of one lab, one after the other."""

    def __init__(self, home: Path) -> None:
        self._starter = subprocess.Popen(
            [sys.executable, "-c", FORKS, str(home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def kill_after(self, seconds: float, *, allowed: Callable[[], bool]) -> None:
        """Start a worker and kill it after this time, but not before it is allowed."""
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write("go\n")
        self._starter.stdin.flush()
        pid = int(self._starter.stdout.readline())
        time.sleep(seconds)
        limit = time.monotonic() + WAIT_S
        while not allowed():
            assert time.monotonic() < limit, "the worker does not train"
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)  # it never exits by itself

    def close(self) -> None:
        """End the process that starts them."""
        self._starter.communicate(timeout=120)


def _can_lose_a_worker(view: SweepView) -> bool:
    """Return whether every trial has either workers to lose or trained since it lost the last one."""
    return all(
        not one.state.live or one.retries < MAX_RETRIES - 1 or one.seconds > one.retried_s for one in view.trials
    )


def _seen(view: SweepView) -> list[Any]:
    """Return what two sweeps must have in common: everything but run ids and times."""
    return [(one.number, dict(one.params), one.rung, one.values, one.state) for one in view.trials]


def _kill(tmp_path: Path, *, kills: int, trials: int) -> None:
    home, draw = tmp_path / "killed", random.Random(kills)
    lab, undisturbed = (
        Lab(Settings.from_env({"LAB_HOME": str(folder)})) for folder in (home, tmp_path / "undisturbed")
    )
    sweep = lab.sweeps.create(small_spec(trials=trials)).sweep.id
    workers = Workers(home)
    try:
        for _ in range(kills):
            workers.kill_after(draw.uniform(0.0, 1.5), allowed=lambda: _can_lose_a_worker(lab.sweeps.show(sweep)))
            if lab.sweeps.show(sweep).sweep.state is not SweepState.RUNNING:
                lab.sweeps.extend(sweep, trials=4)
    finally:
        workers.close()
    lab.store.leases.recover()
    work_until_idle(lab)
    view = lab.sweeps.show(sweep)
    assert view.sweep.state is SweepState.FINISHED
    assert view.counts.failed == 0
    assert max(Counter(trial.run for trial in view.trials).values()) == 1
    assert lab.store.runs.count() == len(view.trials) == view.sweep.asked.trials
    expected = undisturbed.sweeps.create(small_spec(trials=trials)).sweep.id
    work_until_idle(undisturbed)
    while len(undisturbed.sweeps.show(expected).trials) < len(view.trials):
        undisturbed.sweeps.extend(expected, trials=4)
        work_until_idle(undisturbed)
    if len(view.sweep.earlier) == 0:
        assert _seen(view) == _seen(undisturbed.sweeps.show(expected))
    assert [dict(one.params) for one in view.trials] == [
        dict(t.params) for t in undisturbed.sweeps.show(expected).trials
    ]


def test_a_sweep_with_a_few_killed_workers_equals_an_undisturbed_one(tmp_path: Path) -> None:
    _kill(tmp_path, kills=4, trials=6)


@pytest.mark.slow
def test_a_sweep_with_fifty_killed_workers_equals_an_undisturbed_one(tmp_path: Path) -> None:
    _kill(tmp_path, kills=50, trials=60)
