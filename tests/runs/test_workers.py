"""The table of workers: which are alive, what each trains, and which have fallen silent."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.runs.rows import SILENT_S
from lab.runs.store import RunStore
from lab.runs.workers import FORGET_S, WorkerRecord
from tests.runs.conftest import Clock, Process
from tests.runs.runs_data import claimed, submit

FAR = Owner(host="elsewhere", pid=1, pid_start="x")


def _worker(owner: Owner, slot: str = "cpu") -> WorkerRecord:
    return WorkerRecord(owner, slot, "cpu", engine=1, slots=2)


def test_a_worker_is_listed_with_what_it_trains_until_it_leaves(store: RunStore, me: Owner) -> None:
    for slot in ("cpu", "cpu #2"):
        store.workers.announce(_worker(me, slot))
        store.workers.announce(_worker(me, slot))  # again, as it does every few seconds
    assert store.workers.list() == (_worker(me), _worker(me, "cpu #2"))
    run = claimed(store, me, slot="cpu #2")
    assert store.workers.list() == (_worker(me), replace(_worker(me, "cpu #2"), run=run.id))
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    store.workers.leave(_worker(me))
    assert store.workers.list() == (_worker(me, "cpu #2"),)


def test_announcing_a_worker_returns_how_many_workers_are_waiting(store: RunStore, clock: Clock) -> None:
    assert store.workers.announce(_worker(FAR)) == 1
    assert store.workers.announce(_worker(FAR, "cpu #2")) == 2
    clock.now += SILENT_S
    assert store.workers.announce(_worker(FAR, "cpu #2")) == 2
    clock.now += 1.0  # the first one is training or has exited: either way it is not waiting
    assert store.workers.announce(_worker(FAR, "cpu #2")) == 1


def test_a_process_that_has_exited_is_detected_at_once_and_its_successor_stays_listed(
    store: RunStore, process: Callable[[], Process]
) -> None:
    first, second = process(), process()
    store.workers.announce(_worker(first.owner))
    first.kill()
    (seen,) = store.workers.list()
    assert not seen.alive
    store.workers.announce(_worker(second.owner))
    store.workers.leave(_worker(first.owner))
    assert store.workers.list() == (_worker(second.owner),)


def test_a_silent_worker_on_another_host_is_not_alive_unless_it_holds_a_run(store: RunStore, clock: Clock) -> None:
    store.workers.announce(_worker(FAR))
    clock.now += SILENT_S
    assert store.workers.list()[0].alive
    clock.now += 1.0
    assert not store.workers.list()[0].alive
    run = claimed(store, FAR)
    assert store.workers.list() == (replace(_worker(FAR), run=run.id),)


def test_a_worker_that_never_announced_itself_is_listed_by_its_run(store: RunStore) -> None:
    run = claimed(store, FAR, slot="cuda:0")
    submit(store, "other")
    assert store.workers.list() == (WorkerRecord(FAR, "cuda:0", "cuda:0", engine=0, slots=0, run=run.id),)


@pytest.mark.parametrize("damage", ["want = 'rum'", "lease_until = 'soon'", "slot = NULL"])
def test_a_run_whose_row_is_damaged_hides_no_worker(tmp_path: Path, me: Owner, damage: str) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path}/lab.db")
    store.workers.announce(_worker(me))
    store.workers.announce(_worker(FAR))
    claimed(store, me)
    with store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET {damage}")
    assert set(store.workers.list()) == {_worker(me), _worker(FAR)}


def test_a_worker_that_was_silent_for_a_day_is_removed(store: RunStore, clock: Clock, me: Owner) -> None:
    store.workers.announce(_worker(FAR))
    clock.now += FORGET_S + 1
    store.workers.announce(_worker(me))
    assert store.workers.list() == (_worker(me),)


def test_a_reused_pid_is_another_worker(store: RunStore) -> None:
    """On a host known only from the table: pid and slot are those of an earlier worker, but not its start time."""
    store.workers.announce(_worker(FAR))
    for other in (replace(FAR, pid_start="y"), replace(FAR, pid=2), replace(FAR, host="another")):
        store.workers.leave(_worker(other))
    store.workers.leave(_worker(FAR, "cpu #2"))
    assert store.workers.list() == (_worker(FAR),)
    store.workers.leave(_worker(FAR))
    assert store.workers.list() == ()
