"""The order of the queue: known answers, and no owner waits for more than one turn of each other owner."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from lab.errors import RunStateError, TextError
from lab.runs.fair_order import FairOrder, WaitingRun
from lab.runs.owner import Owner
from lab.runs.queue_moves import Move, changed_by_move
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore
from tests.runs.conftest import Clock
from tests.runs.runs_data import submit, write_past_checks

CASES = 300


def _queue(words: str) -> list[WaitingRun]:
    """Return runs queued one after the other: "ann bob+2" is one of ann, then one of bob with priority 2."""
    found = []
    for number, word in enumerate(words.split(), start=1):
        owner, _, priority = word.partition("+")
        found.append(WaitingRun(number, owner, int(priority or 0), queued_at=float(number)))
    return found


def _order(waiting: Iterable[WaitingRun], **served: int) -> list[int]:
    return [run.number for run in FairOrder(waiting, served)]


@pytest.mark.parametrize(
    ("words", "served", "order"),
    [
        ("", {}, []),
        ("ann ann ann", {"ann": 7}, [1, 2, 3]),  # one owner: as queued
        ("ann ann ann bob bob", {}, [1, 4, 2, 5, 3]),  # in turns
        ("ann ann bob", {"ann": 2, "bob": 1}, [3, 1, 2]),  # bob was served longer ago
        ("ann ann bob", {"ann": 1, "bob": 2}, [1, 3, 2]),
        ("ann bob eve", {"ann": 1, "bob": 2}, [3, 1, 2]),  # eve was never served
        ("ann ann bob bob+1", {}, [4, 1, 3, 2]),  # a higher priority goes first, and is a turn
        ("ann bob+1 bob bob", {"ann": 1, "bob": 9}, [2, 1, 3, 4]),
        ("ann+-1 bob+-1 ann", {"bob": 1}, [3, 2, 1]),  # ann's first run is a turn: then bob was served longer ago
        ("ann bob ann bob ann", {"ann": 3, "bob": 3}, [1, 2, 3, 4, 5]),  # served at the same moment: the older run
    ],
)
def test_the_order_is_by_priority_then_in_turns_then_as_queued(
    words: str, served: dict[str, int], order: list[int]
) -> None:
    assert _order(_queue(words), **served) == order
    assert _order(reversed(_queue(words)), **served) == order


def test_a_run_that_cannot_be_claimed_uses_no_turn() -> None:
    order = FairOrder(_queue("ann ann ann bob bob"), {})
    assert next(order).number == 1
    order.pass_over()
    assert [run.number for run in order] == [2, 4, 3, 5]


def _random_queue(rng: random.Random) -> tuple[list[WaitingRun], dict[str, int]]:
    owners = "abcde"[: rng.randint(1, 5)]
    waiting = [
        WaitingRun(number, rng.choice(owners), rng.choice([-1, 0, 0, 0, 2]), queued_at=float(rng.randint(0, 6)))
        for number in range(1, rng.randint(2, 14))
    ]
    return waiting, {owner: rng.randint(1, 4) for owner in owners if rng.random() < 0.7}


@pytest.mark.parametrize("move", Move)
def test_a_moved_run_is_exactly_at_its_target_and_those_before_it_stay_in_place(move: Move) -> None:
    rng = random.Random(f"moves {move}")
    for _ in range(CASES):
        waiting, served = _random_queue(rng)
        number = rng.choice(waiting).number
        before = _order(waiting, **served)
        place, last = before.index(number), len(before) - 1
        target = {Move.FRONT: 0, Move.UP: max(0, place - 1), Move.DOWN: min(last, place + 1), Move.BACK: last}[move]
        changed = {run.number: run for run in changed_by_move(waiting, served, number, move)}
        after = _order([changed.get(run.number, run) for run in waiting], **served)
        assert after.index(number) == target
        others = _order([run for run in waiting if run.number != number], **served)
        assert after[:target] == others[:target] or target == place
        if target == place:
            assert not changed


def test_moving_among_runs_of_one_owner_changes_no_priority() -> None:
    for number, move in [(4, Move.FRONT), (1, Move.BACK), (2, Move.DOWN)]:
        assert {run.priority for run in changed_by_move(_queue("ann ann ann ann"), {}, number, move)} == {0}


def test_moving_past_other_owners_changes_as_few_priorities_as_possible() -> None:
    waiting = _queue("ann bob eve ann bob eve")
    assert [(run.number, run.priority) for run in changed_by_move(waiting, {}, 6, Move.FRONT)] == [(6, 1)]
    assert [(run.number, run.priority) for run in changed_by_move(waiting, {}, 1, Move.BACK)] == [(1, -1)]
    changed = changed_by_move(waiting, {}, 3, Move.UP)
    assert sorted((run.number, run.priority) for run in changed) == [(1, 2), (3, 1)]


def test_no_owner_waits_for_more_than_one_turn_of_each_other() -> None:
    """Owners join and leave, one with floods of runs: between two turns of a waiting owner, others have at most one."""
    rng = random.Random("rounds")
    for _ in range(CASES):
        waiting: list[WaitingRun] = []
        served: dict[str, int] = {}
        owners = ["flood", *"abcd"[: rng.randint(1, 4)]]
        since: dict[str, Counter[str]] = {}  # for each waiting owner: how often the others were served meanwhile
        for moment in range(60):
            for owner in owners:
                for _ in range(rng.choice([0, 0, 0, 1]) + (5 if owner == "flood" and rng.random() < 0.3 else 0)):
                    waiting.append(WaitingRun(len(waiting) + 1000 * moment, owner, 0, float(moment)))
                    since.setdefault(owner, Counter())
            if not waiting:
                continue
            taken = next(FairOrder(waiting, served))
            waiting.remove(taken)
            served[taken.owner] = max(served.values(), default=0) + 1
            for owner, others in since.items():
                others[taken.owner] += 1
                assert owner == taken.owner or max(others.values()) <= 1, f"{owner} waited while others had two turns"
            since[taken.owner] = Counter()
            if all(run.owner != taken.owner for run in waiting):
                del since[taken.owner]


# In the store.


def _names(records: Iterable[RunRecord]) -> str:
    return "".join(record.name for record in records)


def _submitted(store: RunStore, clock: Clock, words: str) -> dict[str, str]:
    """Queue runs such as "a:ann b:bob+2", one a second; return their ids by name."""
    ids = {}
    for word in words.split():
        name, _, asked = word.partition(":")
        owner, _, priority = asked.partition("+")
        clock.now += 1
        ids[name] = submit(store, name, name=name, owner=owner, priority=int(priority or 0)).id
    return ids


def _claimed(store: RunStore, me: Owner, count: int | None = None) -> str:
    names: list[str] = []
    while count is None or len(names) < count:
        run = store.leases.claim(slot=f"slot {len(names)}", owner=me)
        if run is None:
            break
        names.append(run.name)
        store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    return "".join(names)


def test_claims_follow_the_listed_order_and_remember_whose_turn_it_was(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    _submitted(store, clock, "a:ann b:ann c:ann d:bob e:bob+1 f:")
    assert _names(store.queue.list()) == "eafdbc"
    assert _names(store.queue.list(limit=2)) == "ea"
    assert _claimed(store, me, 3) == "eaf"
    clock.now -= 3_600  # turns are counted, not timed
    _submitted(store, clock, "g:bob h: i:eve")
    assert _names(store.queue.list()) == "igbhdc"
    assert _claimed(store, me) == "igbhdc"


def test_a_damaged_run_uses_no_turn_of_its_owner(store: RunStore, me: Owner, clock: Clock) -> None:
    ids = _submitted(store, clock, "a:ann b:bob c:ann d:bob")
    with store.database.write() as connection:
        connection.execute(text("UPDATE runs SET note = 'x' WHERE id = :id"), {"id": ids["a"]})
    assert _names(store.queue.list()) == "bcd"
    assert _claimed(store, me) == "bcd"


@pytest.mark.parametrize(
    ("move", "after"),
    [(Move.FRONT, "cadb"), (Move.UP, "acdb"), (Move.BACK, "adbc"), (Move.DOWN, "adcb")],
)
def test_runs_are_moved_past_those_of_other_owners(
    store: RunStore, me: Owner, clock: Clock, move: Move, after: str
) -> None:
    ids = _submitted(store, clock, "a:ann b:ann c:eve d:bob")
    assert _names(store.queue.list()) == "acdb"
    if move is Move.UP:
        store.queue.move(ids["c"], Move.BACK)
        store.queue.move(ids["c"], Move.UP)
    assert _names(store.queue.move(ids["c"], move)) == after
    assert _claimed(store, me) == after


def test_a_priority_can_be_changed_until_the_run_is_finished(store: RunStore, me: Owner, clock: Clock) -> None:
    ids = _submitted(store, clock, "a:ann b:bob")
    assert store.queue.prioritize(ids["b"], 3).priority == 3
    assert _names(store.queue.list()) == "ba"
    assert _claimed(store, me, 1) == "b"
    with pytest.raises(RunStateError, match="is finished, so its priority is irrelevant"):
        store.queue.prioritize(ids["b"], 1)
    with pytest.raises(TextError, match="The priority is 1001, but it must be a whole number from -1,000 to 1,000"):
        store.queue.prioritize(ids["a"], 1_001)
    with pytest.raises(TextError, match="The owner has 61 characters, but at most 60 fit"):
        submit(store, "c", owner="x" * 61)
    with pytest.raises(TextError, match="The owner contains the"):
        submit(store, "c", owner="a\u202eb")


def test_submitting_a_run_that_is_already_queued_can_raise_its_priority(store: RunStore, clock: Clock) -> None:
    ids = _submitted(store, clock, "a:ann b:bob")
    for priority, expected in [(2, 2), (1, 2)]:
        run, cached = store.queue.submit(
            store.runs.get(ids["b"]).config, fingerprint="b", family="", owner="ann", priority=priority
        )
        assert (run.id, cached, run.owner, run.priority) == (ids["b"], True, "bob", expected)
    assert _names(store.queue.list()) == "ba"


def test_runs_are_found_by_owner_and_priority(store: RunStore, clock: Clock) -> None:
    _submitted(store, clock, "a:ann b:bob+2 c:")
    assert _names(store.runs.list(where="owner:an*")) == "a"
    assert _names(store.runs.list(where="priority>0")) == "b"
    assert _names(store.runs.list(order="owner")) == "cab"
    assert _names(store.runs.list(order="-priority", limit=1)) == "b"


# Only SQLite can store these: columns of a server refuse values of another type.


@pytest.fixture
def sqlite_store(tmp_path: Path, clock: Clock) -> Iterator[RunStore]:
    opened = RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}", clock=clock)
    yield opened
    opened.close()


@pytest.mark.parametrize("turn", ["'x'", "x'ff'", "9223372036854775807", "-9223372036854775808", "1e300"])
def test_damaged_turn_counters_do_not_block_the_queue(
    sqlite_store: RunStore, me: Owner, clock: Clock, turn: str
) -> None:
    _submitted(sqlite_store, clock, "a:ann b:bob c:ann")
    _claimed(sqlite_store, me, 1)
    with sqlite_store.database.write() as connection:
        connection.execute(text(f"UPDATE owners SET served = {turn}"))
    assert sorted(_claimed(sqlite_store, me)) == ["b", "c"]


def test_damaged_owners_priorities_and_times_do_not_block_the_queue(
    sqlite_store: RunStore, me: Owner, clock: Clock
) -> None:
    ids = _submitted(sqlite_store, clock, "a:ann b:bob c:eve d:bob")
    write_past_checks(sqlite_store, ids["a"], checksum=False)
    with sqlite_store.database.write() as connection:
        connection.execute(text("UPDATE runs SET owner = x'ff41', priority = 'x' WHERE id = :id"), {"id": ids["a"]})
        connection.execute(text("UPDATE runs SET queued_at = 'x' WHERE id = :id"), {"id": ids["c"]})
    assert _names(sqlite_store.queue.list()) == "bd"
    assert _claimed(sqlite_store, me) == "bd"
