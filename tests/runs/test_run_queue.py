"""The queue is in the order of `claim`; moves and stopping everything are safe while workers claim runs."""

import threading
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select

from lab.errors import RunNotFoundError, RunStateError
from lab.runs.expired import mark_expired
from lab.runs.owner import Owner
from lab.runs.queue_moves import Move
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.store import RunStore
from lab.runs.tables import runs
from tests.runs.conftest import Clock, Process
from tests.runs.runs_data import submit


def _names(records: Sequence[RunRecord]) -> str:
    return "".join(record.name for record in records)


def _queue(store: RunStore, names: str) -> dict[str, str]:
    """Queue one run per letter, all at the same time of the clock; return their ids."""
    return {name: submit(store, name, name=name).id for name in names}


def _claimed(store: RunStore, owner: Owner) -> str:
    """Claim every queued run, each for its own slot, and return their names in that order."""
    names = []
    while run := store.leases.claim(slot=f"slot {len(names)}", owner=owner):
        names.append(run.name)
    return "".join(names)


def test_the_queue_lists_running_runs_then_waiting_ones_in_the_order_of_claim(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    ids = _queue(store, "abcdefg")
    store.leases.claim(slot="cpu", owner=me)
    clock.now += 1
    store.leases.request(ids["c"], RunRequest.PAUSE)
    store.leases.request(ids["c"], RunRequest.RUN)
    store.removal.delete(ids["e"])
    assert _names(store.queue.list()) == "abdfgc"
    assert _names(store.queue.list(limit=3)) == "abd"
    assert _names(store.queue.list_waiting()) == "bdfgc"
    assert _names(store.queue.list_waiting(limit=2)) == "bd"
    assert [run.state for run in store.queue.list()] == [RunState.RUNNING, *[RunState.QUEUED] * 5]
    assert _claimed(store, me) == "bdfgc"


def test_a_resumed_run_waits_behind_those_already_queued(store: RunStore, clock: Clock) -> None:
    ids = _queue(store, "abc")
    clock.now += 1
    store.leases.request(ids["a"], RunRequest.PAUSE)
    store.leases.request(ids["a"], RunRequest.RUN)
    assert _names(store.queue.list()) == "bca"


@pytest.mark.parametrize(
    ("run", "move", "after"),
    [
        ("c", Move.UP, "acbde"),
        ("c", Move.DOWN, "abdce"),
        ("c", Move.FRONT, "cabde"),
        ("c", Move.BACK, "abdec"),
        ("a", Move.UP, "abcde"),
        ("a", Move.FRONT, "abcde"),
        ("e", Move.DOWN, "abcde"),
        ("e", Move.BACK, "abcde"),
        ("e", Move.FRONT, "eabcd"),
        ("a", Move.BACK, "bcdea"),
    ],
)
def test_a_moved_run_is_claimed_at_its_new_place(store: RunStore, me: Owner, run: str, move: Move, after: str) -> None:
    ids = _queue(store, "abcde")
    assert _names(store.queue.move(ids[run], move)) == after
    assert _names(store.queue.list()) == after
    assert _claimed(store, me) == after


def test_runs_queued_later_wait_behind_a_run_that_was_moved_to_the_back(store: RunStore, clock: Clock) -> None:
    ids = _queue(store, "abc")
    store.queue.move(ids["a"], Move.BACK)
    clock.now += 0.001
    submit(store, "d", name="d")
    assert _names(store.queue.list()) == "bcad"


def test_only_a_queued_run_can_be_moved(store: RunStore, me: Owner) -> None:
    ids = _queue(store, "ab")
    store.leases.claim(slot="cpu", owner=me)
    with pytest.raises(RunStateError, match=f"{ids['a']} is running, so it has no place in the queue"):
        store.queue.move(ids["a"], Move.FRONT)
    with pytest.raises(RunNotFoundError, match="nobody"):
        store.queue.move("nobody", Move.UP)


def test_stopping_all_ends_queued_runs_at_once_and_requests_a_stop_of_running_ones(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    ids = _queue(store, "abcdef")
    first = store.leases.claim(slot="cpu", owner=me)
    second = store.leases.claim(slot="cuda:0", owner=me)
    assert first is not None
    assert second is not None
    store.leases.request(ids["f"], RunRequest.PAUSE)
    clock.now += 1
    stopped = store.queue.stop_all()
    assert sorted(_names(stopped)) == list("abcde")
    states = {name: store.runs.get(run).state for name, run in ids.items()}
    assert states == {
        "a": RunState.STOPPING,
        "b": RunState.STOPPING,
        "c": RunState.STOPPED,
        "d": RunState.STOPPED,
        "e": RunState.STOPPED,
        "f": RunState.PAUSED,
    }
    assert {store.runs.get(ids[name]).finished_at for name in "cde"} == {clock.now}
    assert {store.runs.get(ids[name]).finished_at for name in "ab"} == {None}  # until their worker ends them
    assert store.leases.requested(first.id) is RunRequest.STOP
    assert store.leases.claim(slot="cuda:1", owner=me) is None
    assert store.queue.stop_all() == ()
    assert (
        store.leases.finish(first.id, first.lease, state=RunState.STOPPED, fulfils=RunRequest.STOP).state
        is RunState.STOPPED
    )
    assert store.leases.request(ids["c"], RunRequest.RUN).state is RunState.QUEUED


@pytest.mark.parametrize("request_", [RunRequest.STOP, RunRequest.PAUSE])
def test_a_queued_run_has_an_end_time_once_stopped_or_paused_and_none_after_resuming(
    store: RunStore, clock: Clock, request_: RunRequest
) -> None:
    (run,) = _queue(store, "a").values()
    clock.now += 5
    assert store.leases.request(run, request_).finished_at == clock.now
    assert store.leases.request(run, RunRequest.RUN).finished_at is None


def test_a_run_whose_worker_has_exited_is_not_listed_and_is_stopped_with_the_others(
    store: RunStore, process: Callable[[], Process]
) -> None:
    worker = process()
    ids = _queue(store, "ab")
    store.leases.claim(slot="cpu", owner=worker.owner)
    worker.kill()
    assert _names(store.queue.list()) == "b"
    store.queue.stop_all()
    store.leases.recover()
    assert {store.runs.get(run).state for run in ids.values()} == {RunState.STOPPED}


def test_a_run_whose_worker_at_an_executor_was_lost_waits_at_its_place_before_the_others(
    store: RunStore, process: Callable[[], Process]
) -> None:
    worker = process()
    ids = _queue(store, "ab")
    store.jobs.bind(ids["b"], "ray")
    store.leases.claim(slot="lab-b-1", owner=worker.owner, run=ids["b"])
    assert _names(store.queue.list_waiting()) == "a"
    worker.kill()
    assert _names(store.queue.list_waiting()) == "ba"
    assert _names(store.queue.list_waiting(limit=1)) == "b"


def test_looking_for_expired_leases_locks_no_run_whose_owner_is_alive(
    postgres_store: str, me: Owner, clock: Clock
) -> None:
    """Two moves deadlocked on Postgres: one had locked such a run; the other, which still saw it queued, its owner."""
    store = RunStore.open(postgres_store, clock=clock)
    ids = _queue(store, "abc")
    store.leases.claim(slot="cpu", owner=me)
    free = select(runs.c.id).where(runs.c.state == RunState.RUNNING).with_for_update(skip_locked=True)
    with store.database.write() as looking, store.database.write() as other:
        assert mark_expired(looking, store.context.moment(looking)) == []
        assert other.execute(free).scalars().all() == [ids["a"]]
    store.close()


def test_concurrent_moves_and_claims_lose_no_run_and_train_none_twice(
    store: RunStore, url: str, me: Owner, clock: Clock
) -> None:
    names = "abcdefghijklmnopqrst"
    ids = _queue(store, names)
    taken: list[str] = []
    refused: list[str] = []

    def take() -> None:
        own = RunStore.open(url, clock=clock)
        while len(taken) < len(names):
            run = own.leases.claim(slot=f"slot {threading.get_ident()}", owner=me)
            if run is not None:
                taken.append(run.name)
                own.leases.finish(run.id, run.lease, state=RunState.FINISHED)
        own.close()

    def move(moves: Sequence[Move]) -> None:
        own = RunStore.open(url, clock=clock)
        for index, name in enumerate(names):
            try:
                own.queue.move(ids[name], moves[index % len(moves)])
            except RunStateError as error:
                refused.append(str(error))
        own.close()

    threads = [
        threading.Thread(target=take),
        threading.Thread(target=move, args=([Move.FRONT, Move.DOWN],)),
        threading.Thread(target=move, args=([Move.BACK, Move.UP],)),
        threading.Thread(target=take),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(names)
    assert all("no place in the queue" in words for words in refused)
    assert {store.runs.get(run).attempts for run in ids.values()} == {1}


def test_runs_claimed_while_everything_is_stopped_are_asked_to_stop(
    store: RunStore, url: str, me: Owner, clock: Clock
) -> None:
    ids = _queue(store, "abcdefghijklmnopqrst")
    claimed: list[RunRecord] = []
    begin = threading.Barrier(3)

    def take(slot: str) -> None:
        own = RunStore.open(url, clock=clock)
        begin.wait()
        for number in range(6):
            run = own.leases.claim(slot=f"{slot} {number}", owner=me)
            claimed.extend([run] if run else [])
        own.close()

    threads = [threading.Thread(target=take, args=(slot,)) for slot in ("cpu", "cuda")]
    for thread in threads:
        thread.start()
    begin.wait()
    store.queue.stop_all()
    for thread in threads:
        thread.join()
    assert all(store.leases.requested(run.id) is RunRequest.STOP for run in claimed)
    still = {run for run in ids.values() if store.runs.get(run).state is RunState.QUEUED}
    assert still == set()
