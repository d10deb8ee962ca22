"""Who may write, what a run's true state is, and what people may ask of it."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from lab.errors import LeaseLostError, RunNotFoundError, RunStateError
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.rows import FOREIGN_GRACE_S, LEASE_S, may_be_gone
from lab.runs.run_facts import RunEnvironment, RunProgress, RunSummary
from lab.runs.store import RunStore
from lab.runs.tables import runs
from tests.runs.conftest import Clock, Process
from tests.runs.runs_data import claimed, saved_file, series, submit
from tests.waiting import wait_until

FOREIGN = Owner(host="elsewhere", pid=1, pid_start="x")


def test_claims_take_the_longest_waiting_run_one_per_slot(store: RunStore, me: Owner, clock: Clock) -> None:
    first, second = submit(store, "a"), submit(store, "b")
    got = store.leases.claim(slot="cpu", owner=me)
    assert got is not None
    assert (got.id, got.state, got.lease, got.attempts) == (first.id, RunState.RUNNING, 1, 1)
    assert got.started_at == clock.now
    assert store.leases.claim(slot="cpu", owner=me) is None
    other = store.leases.claim(slot="cuda:0", owner=me)
    assert other is not None
    assert other.id == second.id
    assert store.leases.claim(slot="cuda:1", owner=me) is None


def test_the_same_slot_of_another_host_is_another_slot(store: RunStore, me: Owner) -> None:
    claimed(store, me, "a")
    claimed(store, FOREIGN, "b")


def test_a_second_attempt_gets_a_higher_lease_and_the_first_can_write_nothing(store: RunStore, me: Owner) -> None:
    old = claimed(store, me)
    store.leases.set_progress(old.id, old.lease, {"step": 3})
    store.leases.finish(old.id, old.lease, state=RunState.PAUSED)
    store.leases.request(old.id, RunRequest.RUN)
    new = store.leases.claim(slot="cpu", owner=me)
    assert new is not None
    assert (new.lease, new.attempts, new.progress) == (2, 2, RunProgress())
    point = {"lr": series("lr", [1], [0.1])}
    for write in (
        lambda: store.leases.heartbeat(old.id, old.lease),
        lambda: store.points.append(old.id, old.lease, point),
        lambda: store.leases.set_progress(old.id, old.lease, {"step": 1}),
        lambda: store.leases.set_environment(old.id, old.lease, environment={}, device="cpu"),
        lambda: store.leases.add_notice(old.id, old.lease, "x"),
        lambda: store.files.add(old.id, old.lease, saved_file(old.id)),
        lambda: store.history.rewind(old.id, old.lease, 0),
        lambda: store.files.remove(old.id, old.lease, ["x"]),
        lambda: store.history.copy(old.id, old.id, lease=old.lease),
        lambda: store.leases.finish(old.id, old.lease, state=RunState.FINISHED),
    ):
        with pytest.raises(LeaseLostError, match="no longer held by lease 1"):
            write()
    assert store.runs.get(old.id) == new
    assert store.points.read(old.id) == {}
    assert store.files.list(old.id) == ()


def test_a_running_run_whose_lease_holds_is_running(store: RunStore, me: Owner, clock: Clock) -> None:
    run = claimed(store, me)
    clock.now += LEASE_S - 0.1
    found = store.runs.get(run.id)
    assert (found.state, found.responding) == (RunState.RUNNING, True)


def test_a_wish_is_read_without_the_rest_of_the_run(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    for want in (RunRequest.RUN, RunRequest.PAUSE, RunRequest.STOP):
        store.leases.request(run.id, want)
        assert store.leases.requested(run.id) is want
    with pytest.raises(RunNotFoundError, match="nobody"):
        store.leases.requested("nobody")


def test_a_live_owner_with_an_expired_lease_is_busy_not_dead(store: RunStore, me: Owner, clock: Clock) -> None:
    run = claimed(store, me)
    clock.now += 3600
    found = store.runs.get(run.id)
    assert (found.state, found.responding) == (RunState.RUNNING, False)
    assert store.leases.recover() == []
    assert store.leases.heartbeat(run.id, run.lease) is RunRequest.RUN
    assert store.runs.get(run.id).responding


def test_a_run_whose_worker_is_silent_says_for_how_long(store: RunStore, me: Owner, clock: Clock) -> None:
    def said() -> tuple[str, str, float | None]:
        found = store.runs.get(run.id)
        return found.status, found.silence_text, found.heartbeat_age_s

    run = claimed(store, me)
    clock.now += LEASE_S - 0.1
    assert said() == ("running", "", None)
    store.leases.heartbeat(run.id, run.lease)
    clock.now += 245
    assert said() == ("not responding", "no heartbeat for 4 min 05 s", 245.0)
    store.leases.request(run.id, RunRequest.STOP)
    assert said()[:2] == ("not responding", "no heartbeat for 4 min 05 s")
    (listed,) = store.runs.list()
    assert (listed.status, listed.state) == ("not responding", RunState.STOPPING)
    clock.now -= 7_200  # a lease of later than now says nothing of when it was written
    assert said() == ("not responding", "no heartbeat", None)
    clock.now += 7_200
    store.leases.heartbeat(run.id, run.lease)
    assert said() == ("stopping", "", None)


def test_a_dead_owner_on_this_host_reads_as_interrupted_at_once(store: RunStore, process: type[Process]) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    assert store.leases.recover() == []
    worker.die()
    found = store.runs.get(run.id)
    assert (found.state, found.responding) == (RunState.INTERRUPTED, True)
    assert store.runs.count(where="state:interrupted") == 1
    assert store.runs.count(where="state:running") == 0
    assert store.leases.recover() == [run.id]
    assert store.leases.recover() == []
    buried = store.runs.get(run.id)
    assert (buried.state, buried.lease) == (RunState.INTERRUPTED, run.lease + 1)
    assert "ended unexpectedly" in buried.reason
    with pytest.raises(LeaseLostError, match="no longer held"):
        store.leases.heartbeat(run.id, run.lease)


def test_a_reused_process_id_is_another_process(store: RunStore, clock: Clock, me: Owner) -> None:
    run = claimed(store, Owner(host=me.host, pid=os.getpid(), pid_start="another boot:1"))
    clock.now += LEASE_S + 1
    assert store.runs.get(run.id).state is RunState.INTERRUPTED


def test_a_claim_reads_none_of_the_runs_that_others_train(store: RunStore, me: Owner, clock: Clock) -> None:
    elsewhere = replace(me, host="elsewhere")
    held = claimed(store, elsewhere)
    mine = claimed(store, me, "g")

    def read() -> list[str]:
        with store.database.read() as connection:
            query = select(runs.c.id).where(
                runs.c.state == RunState.RUNNING, may_be_gone(store.context.moment(connection))
            )
            return sorted(connection.execute(query).scalars())

    assert read() == [mine.id]  # whose process can be looked at
    clock.now += LEASE_S
    assert read() == [mine.id]
    clock.now += 0.1
    assert read() == sorted([held.id, mine.id])
    clock.now -= 3_600  # a lease further ahead than one can reach
    assert read() == sorted([held.id, mine.id])


def test_silence_from_another_host_counts_as_death_after_the_grace(store: RunStore, clock: Clock) -> None:
    run = claimed(store, FOREIGN)
    clock.now += LEASE_S + FOREIGN_GRACE_S - 1
    found = store.runs.get(run.id)
    assert (found.state, found.responding) == (RunState.RUNNING, False)
    clock.now += 2
    assert store.runs.get(run.id).state is RunState.INTERRUPTED


@pytest.mark.parametrize("jump_s", [86_400.0, -86_400.0, -315_360_000.0])
def test_a_jump_of_the_clock_kills_no_live_run_and_keeps_no_dead_one(
    store: RunStore, process: type[Process], clock: Clock, jump_s: float
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    clock.now += jump_s
    assert store.runs.get(run.id).state is RunState.RUNNING
    worker.die()
    assert store.runs.get(run.id).state is RunState.INTERRUPTED


@pytest.mark.parametrize(
    ("asked", "state"),
    [(RunRequest.STOP, RunState.STOPPED), (RunRequest.PAUSE, RunState.PAUSED), (RunRequest.RUN, RunState.INTERRUPTED)],
)
def test_an_owner_that_dies_before_it_did_what_was_asked_leaves_it_done(
    store: RunStore, process: type[Process], clock: Clock, asked: RunRequest, state: RunState
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    store.leases.request(run.id, asked)
    worker.die()
    clock.now += LEASE_S + 1
    assert store.runs.get(run.id).state is state
    store.leases.recover()
    assert store.runs.get(run.id).state is state


def test_a_dead_owner_does_not_block_its_slot(store: RunStore, process: type[Process], me: Owner) -> None:
    worker = process()
    dead = claimed(store, worker.owner, "a")
    waiting = submit(store, "b")
    worker.die()
    taken = store.leases.claim(slot="cpu", owner=me)
    assert taken is not None
    assert taken.id == waiting.id
    assert store.runs.get(dead.id).state is RunState.INTERRUPTED


def test_the_owner_hears_what_is_wanted_with_every_write(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    assert store.leases.heartbeat(run.id, run.lease) is RunRequest.RUN
    assert store.leases.request(run.id, RunRequest.PAUSE).state is RunState.RUNNING
    assert store.points.append(run.id, run.lease, {}) is RunRequest.PAUSE
    assert store.leases.request(run.id, RunRequest.STOP).state is RunState.STOPPING
    assert store.leases.set_progress(run.id, run.lease, {"step": 3}) is RunRequest.STOP
    assert store.leases.request(run.id, RunRequest.RUN).state is RunState.RUNNING
    assert store.leases.heartbeat(run.id, run.lease) is RunRequest.RUN


def test_queued_runs_pause_stop_and_go_on_at_once(store: RunStore, me: Owner) -> None:
    run = submit(store)
    assert store.leases.request(run.id, RunRequest.PAUSE).state is RunState.PAUSED
    assert store.leases.claim(slot="cpu", owner=me) is None
    assert store.leases.request(run.id, RunRequest.RUN).state is RunState.QUEUED
    stopped = store.leases.request(run.id, RunRequest.STOP)
    assert stopped.state is RunState.STOPPED
    assert stopped.finished_at is not None
    resumed = store.leases.request(run.id, RunRequest.RUN)
    assert (resumed.state, resumed.finished_at) == (RunState.QUEUED, None)
    assert store.leases.claim(slot="cpu", owner=me) is not None


@pytest.mark.parametrize("end", [RunState.PAUSED, RunState.STOPPED, RunState.FAILED, RunState.INTERRUPTED])
def test_what_did_not_finish_can_be_resumed(store: RunStore, me: Owner, end: RunState) -> None:
    run = claimed(store, me)
    store.leases.finish(run.id, run.lease, state=end, reason="because")
    resumed = store.leases.request(run.id, RunRequest.RUN)
    assert (resumed.state, resumed.reason, resumed.requested) == (RunState.QUEUED, "", RunRequest.RUN)
    assert store.leases.request(run.id, RunRequest.RUN) == resumed


@pytest.mark.parametrize(
    ("end", "asked", "words"),
    [
        (RunState.FINISHED, RunRequest.RUN, "is finished, so it cannot be resumed: train it again"),
        (RunState.FINISHED, RunRequest.STOP, "is finished, so it cannot be stopped"),
        (RunState.FAILED, RunRequest.STOP, "is failed, so it cannot be stopped"),
        (RunState.STOPPED, RunRequest.PAUSE, "is stopped, so it cannot be paused"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(
    store: RunStore, me: Owner, end: RunState, asked: RunRequest, words: str
) -> None:
    run = claimed(store, me)
    ended = store.leases.finish(run.id, run.lease, state=end)
    with pytest.raises(RunStateError, match=words):
        store.leases.request(run.id, asked)
    assert store.runs.get(run.id) == ended


@pytest.mark.parametrize("end", [RunState.PAUSED, RunState.INTERRUPTED, RunState.STOPPED])
def test_stopping_what_waits_keeps_it_stopped(store: RunStore, me: Owner, end: RunState) -> None:
    run = claimed(store, me)
    store.leases.finish(run.id, run.lease, state=end)
    assert store.leases.request(run.id, RunRequest.STOP).state is RunState.STOPPED


def test_resuming_ends_the_process_that_answers_no_more(store: RunStore, process: type[Process], clock: Clock) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    clock.now += LEASE_S + 1
    assert not store.runs.get(run.id).responding
    assert store.leases.request(run.id, RunRequest.RUN).state is RunState.QUEUED
    worker.die()  # collects it; SIGKILL was already sent
    with pytest.raises(LeaseLostError, match="no longer held"):
        store.leases.heartbeat(run.id, run.lease)


def test_a_responding_process_is_never_killed(store: RunStore, process: type[Process]) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    store.leases.request(run.id, RunRequest.RUN)
    assert worker.alive


def test_a_run_cannot_end_in_a_state_that_is_no_end(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    with pytest.raises(RunStateError, match="cannot end as queued"):
        store.leases.finish(run.id, run.lease, state=RunState.QUEUED)


@pytest.mark.parametrize(
    ("end", "fulfils", "asked", "becomes"),
    [
        (RunState.PAUSED, RunRequest.PAUSE, RunRequest.PAUSE, RunState.PAUSED),
        (RunState.PAUSED, RunRequest.PAUSE, RunRequest.STOP, RunState.STOPPED),
        (RunState.STOPPED, RunRequest.STOP, RunRequest.PAUSE, RunState.PAUSED),
        (RunState.INTERRUPTED, RunRequest.RUN, RunRequest.STOP, RunState.STOPPED),
        (RunState.INTERRUPTED, RunRequest.RUN, RunRequest.RUN, RunState.INTERRUPTED),
        (RunState.FINISHED, None, RunRequest.STOP, RunState.FINISHED),
    ],
)
def test_a_wish_that_came_while_the_run_was_ending_is_the_one_that_counts(
    store: RunStore, me: Owner, end: RunState, fulfils: RunRequest | None, asked: RunRequest, becomes: RunState
) -> None:
    run = claimed(store, me)
    store.leases.request(run.id, asked)
    ended = store.leases.finish(run.id, run.lease, state=end, fulfils=fulfils, reason="because")
    assert (ended.state, ended.requested) == (becomes, RunRequest.RUN)
    assert ended.reason == ("because" if becomes is end else "")
    assert store.integrity.verify(run.id) == ()


@pytest.mark.parametrize(("end", "fulfils"), [(RunState.PAUSED, RunRequest.PAUSE), (RunState.STOPPED, RunRequest.STOP)])
def test_a_wish_taken_back_while_the_run_was_ending_queues_it_again(
    store: RunStore, me: Owner, clock: Clock, end: RunState, fulfils: RunRequest
) -> None:
    run = claimed(store, me)
    other = submit(store, "other")
    clock.now += 1
    store.leases.request(run.id, fulfils)
    store.leases.request(run.id, RunRequest.RUN)
    queued = store.leases.finish(run.id, run.lease, state=end, fulfils=fulfils, summary={"step": 3})
    assert (queued.state, queued.finished_at, queued.summary) == (RunState.QUEUED, None, RunSummary(step=3))
    for waiting in (other, run):
        taken = store.leases.claim(slot="cpu", owner=me)
        assert taken is not None
        assert taken.id == waiting.id
        store.leases.finish(taken.id, taken.lease, state=RunState.FINISHED)


def test_the_end_keeps_summary_reason_and_seconds(store: RunStore, me: Owner, clock: Clock) -> None:
    run = claimed(store, me)
    store.leases.set_environment(run.id, run.lease, environment={"torch": "2.15"}, device="cpu")
    store.leases.set_progress(run.id, run.lease, {"step": 7, "seconds": 1.5})
    for text in ("a", "b", "a"):
        store.leases.add_notice(run.id, run.lease, text)
    clock.now += 5
    summary = {"test_accuracy": 0.75, "val_accuracy": float("nan"), "test_loss": float("inf"), "best_epoch": 2}
    ended = store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, reason="early-stopped", summary=summary, seconds=2.25
    )
    assert repr(store.runs.get(run.id)) == repr(ended)  # NaN is not equal to itself, but it looks the same
    assert (ended.state, ended.reason, ended.seconds) == (RunState.FINISHED, "early-stopped", 2.25)
    assert (ended.finished_at, ended.device, ended.environment) == (clock.now, "cpu", RunEnvironment(torch="2.15"))
    assert (ended.notices, ended.progress.step) == (("a", "b"), 7)
    assert ended.summary.other["test_loss"] == float("inf")
    assert ended.summary.other["val_accuracy"] != ended.summary.other["val_accuracy"]
    assert store.runs.count(where="test=75% best_epoch:2") == 1
    assert store.runs.count(where="val>0") == 0


def test_a_claim_that_was_never_answered_is_given_back_as_if_it_had_not_been(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    first, second = submit(store, "a"), submit(store, "b")
    taken = store.leases.claim(slot="cpu", owner=me)
    assert taken is not None
    store.leases.release(slot="cuda:0", owner=me)
    store.leases.release(slot="cpu", owner=FOREIGN)
    assert store.runs.get(first.id).state is RunState.RUNNING
    store.leases.release(slot="cpu", owner=me)
    given = store.runs.get(first.id)
    assert (given.state, given.attempts) == (RunState.QUEUED, 0)
    with pytest.raises(LeaseLostError):
        store.leases.heartbeat(first.id, taken.lease)
    again = store.leases.claim(slot="cpu", owner=me)
    assert again is not None
    assert (again.id, again.attempts) == (first.id, 1)
    assert store.runs.get(second.id).state is RunState.QUEUED


@pytest.mark.parametrize("request_", [RunRequest.RUN, RunRequest.PAUSE, RunRequest.STOP])
def test_a_run_that_failed_stays_failed_whatever_was_asked_of_it(
    store: RunStore, me: Owner, request_: RunRequest
) -> None:
    run = claimed(store, me)
    if request_ is not RunRequest.RUN:
        store.leases.request(run.id, request_)
    store.leases.finish(run.id, run.lease, state=RunState.FAILED, reason="The disk is full.")
    record = store.runs.get(run.id)
    assert (record.state, record.reason) == (RunState.FAILED, "The disk is full.")


def test_a_resumed_run_began_when_it_first_began_and_has_no_end_yet(store: RunStore, me: Owner, clock: Clock) -> None:
    began = clock.now
    run = claimed(store, me)
    clock.now += 5
    store.leases.finish(run.id, run.lease, state=RunState.PAUSED)
    assert store.runs.get(run.id).finished_at == began + 5
    clock.now += 100
    store.leases.request(run.id, RunRequest.RUN)
    assert store.runs.get(run.id).finished_at is None
    again = store.leases.claim(slot="cpu", owner=me)
    assert again is not None
    assert (again.started_at, again.finished_at) == (began, None)


def test_a_run_that_goes_on_waits_behind_what_was_queued_meanwhile(store: RunStore, me: Owner, clock: Clock) -> None:
    first = claimed(store, me, "a")
    clock.now += 1
    store.leases.finish(first.id, first.lease, state=RunState.PAUSED)
    second = submit(store, "b")
    clock.now += 1
    store.leases.request(first.id, RunRequest.RUN)
    assert [run.id for run in store.queue.list()] == [second.id, first.id]


Write = Callable[[RunStore, RunRecord], object]
WRITES: dict[str, Write] = {
    "heartbeat": lambda store, run: store.leases.heartbeat(run.id, run.lease),
    "points": lambda store, run: store.points.append(run.id, run.lease, {"a": series("a", [1], [1.0])}),
    "progress": lambda store, run: store.leases.set_progress(run.id, run.lease, {"step": 1}),
    "environment": lambda store, run: store.leases.set_environment(run.id, run.lease, environment={}, device="cpu"),
    "notice": lambda store, run: store.leases.add_notice(run.id, run.lease, "x"),
    "file": lambda store, run: store.files.add(run.id, run.lease, saved_file(run.id)),
    "removed file": lambda store, run: store.files.remove(run.id, run.lease, ["x"]),
    "findings": lambda store, run: store.findings.set(run.id, run.lease, ()),
    "rewind": lambda store, run: store.history.rewind(run.id, run.lease, 0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_every_write_of_the_owner_renews_the_lease_by_ten_seconds(store: RunStore, clock: Clock, write: Write) -> None:
    run = claimed(store, FOREIGN)
    clock.now += LEASE_S - 1
    write(store, run)
    for later, responding in ((9.9, True), (0.2, False)):
        clock.now += later
        found = store.runs.get(run.id)
        assert (found.state, found.responding) == (RunState.RUNNING, responding), later
    clock.now += FOREIGN_GRACE_S
    assert store.runs.get(run.id).state is RunState.INTERRUPTED


def test_what_a_resumed_run_said_of_its_last_end_is_gone(store: RunStore, me: Owner, clock: Clock) -> None:
    run = claimed(store, me)
    store.leases.set_progress(run.id, run.lease, {"step": 7, "phase": "training"})
    store.leases.finish(run.id, run.lease, state=RunState.FAILED, reason="The disk is full.")
    store.leases.request(run.id, RunRequest.RUN)
    again = store.leases.claim(slot="cpu", owner=me)
    assert again is not None
    assert (again.reason, again.finished_at, again.progress, again.requested) == (
        "",
        None,
        RunProgress(),
        RunRequest.RUN,
    )
    assert store.runs.get(run.id) == again


def test_a_claim_of_an_interrupted_run_takes_its_reason_back(
    store: RunStore, process: type[Process], me: Owner, clock: Clock
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    clock.now += 5
    worker.die()
    store.leases.recover()
    cut = store.runs.get(run.id)
    assert (cut.state, cut.finished_at) == (RunState.INTERRUPTED, clock.now)
    store.leases.request(run.id, RunRequest.RUN)
    again = store.leases.claim(slot="cpu", owner=me)
    assert again is not None
    assert (again.reason, again.finished_at) == ("", None)


def test_a_process_that_hangs_is_ended_when_its_run_is_resumed(
    store: RunStore, process: type[Process], clock: Clock
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    clock.now += LEASE_S + 1
    assert not store.runs.get(run.id).responding
    assert store.leases.request(run.id, RunRequest.RUN).state is RunState.QUEUED
    wait_until(lambda: not worker.alive)


@pytest.mark.parametrize(
    ("state", "live", "over", "resumable"),
    [
        (RunState.QUEUED, True, False, False),
        (RunState.RUNNING, True, False, False),
        (RunState.STOPPING, True, False, False),
        (RunState.PAUSED, False, False, True),
        (RunState.INTERRUPTED, False, False, True),
        (RunState.STOPPED, False, True, True),
        (RunState.FAILED, False, True, True),
        (RunState.FINISHED, False, True, False),
    ],
)
def test_what_each_state_means(state: RunState, live: bool, over: bool, resumable: bool) -> None:
    assert (state.live, state.over, state.resumable) == (live, over, resumable)
