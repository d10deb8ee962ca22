"""Leases: who may write, what a run's true state is, and which requests it accepts."""

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
    mine, theirs = claimed(store, me, "a"), claimed(store, FOREIGN, "b")
    assert [store.runs.get(run.id).state for run in (mine, theirs)] == [RunState.RUNNING] * 2
    assert [store.queue.count_running(host=owner.host) for owner in (me, FOREIGN)] == [1, 1]


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


def test_a_run_is_running_until_its_lease_expires(store: RunStore, me: Owner, clock: Clock) -> None:
    run = claimed(store, me)
    clock.now += LEASE_S - 0.1
    found = store.runs.get(run.id)
    assert (found.state, found.responding) == (RunState.RUNNING, True)


def test_a_request_is_read_without_the_rest_of_the_run(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    for request in (RunRequest.RUN, RunRequest.PAUSE, RunRequest.STOP):
        store.leases.request(run.id, request)
        assert store.leases.requested(run.id) is request
    with pytest.raises(RunNotFoundError, match="nobody"):
        store.leases.requested("nobody")


def test_a_run_of_a_live_owner_with_an_expired_lease_is_not_interrupted(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    run = claimed(store, me)
    clock.now += 3600
    found = store.runs.get(run.id)
    assert (found.state, found.responding) == (RunState.RUNNING, False)
    assert store.leases.recover() == []
    assert store.leases.heartbeat(run.id, run.lease) is RunRequest.RUN
    assert store.runs.get(run.id).responding


def test_a_run_whose_worker_is_silent_states_for_how_long(store: RunStore, me: Owner, clock: Clock) -> None:
    def shown() -> tuple[str, str, float | None]:
        found = store.runs.get(run.id)
        return found.status, found.silence_text, found.heartbeat_age_s

    run = claimed(store, me)
    clock.now += LEASE_S - 0.1
    assert shown() == ("running", "", None)
    store.leases.heartbeat(run.id, run.lease)
    clock.now += 245
    assert shown() == ("not responding", "no heartbeat for 4 min 05 s", 245.0)
    store.leases.request(run.id, RunRequest.STOP)
    assert shown()[:2] == ("not responding", "no heartbeat for 4 min 05 s")
    (listed,) = store.runs.list()
    assert (listed.status, listed.state) == ("not responding", RunState.STOPPING)
    clock.now -= 7_200  # a lease further ahead than a renewal can set does not show when it was renewed
    assert shown() == ("not responding", "no heartbeat", None)
    clock.now += 7_200
    store.leases.heartbeat(run.id, run.lease)
    assert shown() == ("stopping", "", None)


def test_a_run_whose_owner_on_this_host_has_exited_is_interrupted_at_once(
    store: RunStore, process: type[Process]
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    assert store.leases.recover() == []
    worker.kill()
    found = store.runs.get(run.id)
    assert (found.state, found.responding) == (RunState.INTERRUPTED, True)
    assert store.runs.count(where="state:interrupted") == 1
    assert store.runs.count(where="state:running") == 0
    assert store.leases.recover() == [run.id]
    assert store.leases.recover() == []
    recovered = store.runs.get(run.id)
    assert (recovered.state, recovered.lease) == (RunState.INTERRUPTED, run.lease + 1)
    assert "ended unexpectedly" in recovered.reason
    with pytest.raises(LeaseLostError, match="no longer held"):
        store.leases.heartbeat(run.id, run.lease)


def test_a_reused_process_id_is_another_process(store: RunStore, clock: Clock, me: Owner) -> None:
    run = claimed(store, Owner(host=me.host, pid=os.getpid(), pid_start="another boot:1"))
    clock.now += LEASE_S + 1
    assert store.runs.get(run.id).state is RunState.INTERRUPTED


def test_a_claim_reads_no_runs_of_other_hosts_with_unexpired_leases(store: RunStore, me: Owner, clock: Clock) -> None:
    elsewhere = replace(me, host="elsewhere")
    held = claimed(store, elsewhere)
    mine = claimed(store, me, "g")

    def read() -> list[str]:
        with store.database.read() as connection:
            query = select(runs.c.id).where(
                runs.c.state == RunState.RUNNING, may_be_gone(store.context.moment(connection))
            )
            return sorted(connection.execute(query).scalars())

    assert read() == [mine.id]  # whose process can be inspected
    clock.now += LEASE_S
    assert read() == [mine.id]
    clock.now += 0.1
    assert read() == sorted([held.id, mine.id])
    clock.now -= 3_600  # a lease further ahead than a renewal can set
    assert read() == sorted([held.id, mine.id])


def test_a_run_of_a_silent_owner_on_another_host_is_interrupted_after_the_grace_period(
    store: RunStore, clock: Clock
) -> None:
    run = claimed(store, FOREIGN)
    clock.now += LEASE_S + FOREIGN_GRACE_S - 1
    found = store.runs.get(run.id)
    assert (found.state, found.responding) == (RunState.RUNNING, False)
    clock.now += 2
    assert store.runs.get(run.id).state is RunState.INTERRUPTED


@pytest.mark.parametrize("jump_s", [86_400.0, -86_400.0, -315_360_000.0])
def test_a_clock_jump_neither_interrupts_a_live_run_nor_hides_that_its_owner_has_exited(
    store: RunStore, process: type[Process], clock: Clock, jump_s: float
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    clock.now += jump_s
    assert store.runs.get(run.id).state is RunState.RUNNING
    worker.kill()
    assert store.runs.get(run.id).state is RunState.INTERRUPTED


@pytest.mark.parametrize(
    ("asked", "state"),
    [(RunRequest.STOP, RunState.STOPPED), (RunRequest.PAUSE, RunState.PAUSED), (RunRequest.RUN, RunState.INTERRUPTED)],
)
def test_a_request_takes_effect_although_the_owner_exited_before_handling_it(
    store: RunStore, process: type[Process], clock: Clock, asked: RunRequest, state: RunState
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    store.leases.request(run.id, asked)
    worker.kill()
    clock.now += LEASE_S + 1
    assert store.runs.get(run.id).state is state
    store.leases.recover()
    assert store.runs.get(run.id).state is state


def test_an_owner_that_has_exited_does_not_block_its_slot(store: RunStore, process: type[Process], me: Owner) -> None:
    worker = process()
    lost = claimed(store, worker.owner, "a")
    waiting = submit(store, "b")
    worker.kill()
    taken = store.leases.claim(slot="cpu", owner=me)
    assert taken is not None
    assert taken.id == waiting.id
    assert store.runs.get(lost.id).state is RunState.INTERRUPTED


def test_every_write_of_the_owner_returns_the_current_request(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    assert store.leases.heartbeat(run.id, run.lease) is RunRequest.RUN
    assert store.leases.request(run.id, RunRequest.PAUSE).state is RunState.RUNNING
    assert store.points.append(run.id, run.lease, {}) is RunRequest.PAUSE
    assert store.leases.request(run.id, RunRequest.STOP).state is RunState.STOPPING
    assert store.leases.set_progress(run.id, run.lease, {"step": 3}) is RunRequest.STOP
    assert store.leases.request(run.id, RunRequest.RUN).state is RunState.RUNNING
    assert store.leases.heartbeat(run.id, run.lease) is RunRequest.RUN


def test_queued_runs_are_paused_stopped_and_resumed_at_once(store: RunStore, me: Owner) -> None:
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
def test_a_run_that_did_not_finish_can_be_resumed(store: RunStore, me: Owner, end: RunState) -> None:
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
def test_a_request_that_the_state_does_not_allow_is_refused(
    store: RunStore, me: Owner, end: RunState, asked: RunRequest, words: str
) -> None:
    run = claimed(store, me)
    ended = store.leases.finish(run.id, run.lease, state=end)
    with pytest.raises(RunStateError, match=words):
        store.leases.request(run.id, asked)
    assert store.runs.get(run.id) == ended


@pytest.mark.parametrize("end", [RunState.PAUSED, RunState.INTERRUPTED, RunState.STOPPED])
def test_a_run_that_is_paused_interrupted_or_stopped_can_be_stopped(store: RunStore, me: Owner, end: RunState) -> None:
    run = claimed(store, me)
    store.leases.finish(run.id, run.lease, state=end)
    assert store.leases.request(run.id, RunRequest.STOP).state is RunState.STOPPED


def test_resuming_a_run_takes_the_lease_from_a_process_that_does_not_respond(
    store: RunStore, process: type[Process], clock: Clock
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    clock.now += LEASE_S + 1
    assert not store.runs.get(run.id).responding
    assert store.leases.request(run.id, RunRequest.RUN).state is RunState.QUEUED
    worker.kill()  # reaps it; SIGKILL was already sent
    with pytest.raises(LeaseLostError, match="no longer held"):
        store.leases.heartbeat(run.id, run.lease)


def test_a_responding_process_is_never_killed(store: RunStore, process: type[Process]) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    store.leases.request(run.id, RunRequest.RUN)
    assert worker.alive


def test_a_run_cannot_end_in_a_state_that_is_not_an_end_state(store: RunStore, me: Owner) -> None:
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
def test_a_request_made_while_the_run_was_ending_decides_its_state(
    store: RunStore, me: Owner, end: RunState, fulfils: RunRequest | None, asked: RunRequest, becomes: RunState
) -> None:
    run = claimed(store, me)
    store.leases.request(run.id, asked)
    ended = store.leases.finish(run.id, run.lease, state=end, fulfils=fulfils, reason="because")
    assert (ended.state, ended.requested) == (becomes, RunRequest.RUN)
    assert ended.reason == ("because" if becomes is end else "")
    assert store.integrity.verify(run.id) == ()


@pytest.mark.parametrize(("end", "fulfils"), [(RunState.PAUSED, RunRequest.PAUSE), (RunState.STOPPED, RunRequest.STOP)])
def test_a_request_withdrawn_while_the_run_was_ending_queues_it_again(
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


def test_the_end_of_a_run_stores_summary_reason_and_seconds(store: RunStore, me: Owner, clock: Clock) -> None:
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
    assert repr(store.runs.get(run.id)) == repr(ended)  # NaN is not equal to itself, but its repr is
    assert (ended.state, ended.reason, ended.seconds) == (RunState.FINISHED, "early-stopped", 2.25)
    assert (ended.finished_at, ended.device, ended.environment) == (clock.now, "cpu", RunEnvironment(torch="2.15"))
    assert (ended.notices, ended.progress.step) == (("a", "b"), 7)
    assert ended.summary.other["test_loss"] == float("inf")
    assert ended.summary.other["val_accuracy"] != ended.summary.other["val_accuracy"]
    assert store.runs.count(where="test=75% best_epoch:2") == 1
    assert store.runs.count(where="val>0") == 0


def test_releasing_a_claim_queues_the_run_again_without_counting_the_attempt(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    first, second = submit(store, "a"), submit(store, "b")
    taken = store.leases.claim(slot="cpu", owner=me)
    assert taken is not None
    store.leases.release(slot="cuda:0", owner=me)
    store.leases.release(slot="cpu", owner=FOREIGN)
    assert store.runs.get(first.id).state is RunState.RUNNING
    store.leases.release(slot="cpu", owner=me)
    released = store.runs.get(first.id)
    assert (released.state, released.attempts) == (RunState.QUEUED, 0)
    with pytest.raises(LeaseLostError):
        store.leases.heartbeat(first.id, taken.lease)
    again = store.leases.claim(slot="cpu", owner=me)
    assert again is not None
    assert (again.id, again.attempts) == (first.id, 1)
    assert store.runs.get(second.id).state is RunState.QUEUED


@pytest.mark.parametrize("request_", [RunRequest.RUN, RunRequest.PAUSE, RunRequest.STOP])
def test_a_run_that_failed_stays_failed_whatever_was_requested(
    store: RunStore, me: Owner, request_: RunRequest
) -> None:
    run = claimed(store, me)
    if request_ is not RunRequest.RUN:
        store.leases.request(run.id, request_)
    store.leases.finish(run.id, run.lease, state=RunState.FAILED, reason="The disk is full.")
    record = store.runs.get(run.id)
    assert (record.state, record.reason) == (RunState.FAILED, "The disk is full.")


def test_a_resumed_run_has_its_first_start_time_and_no_end_time(store: RunStore, me: Owner, clock: Clock) -> None:
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


def test_a_resumed_run_waits_behind_runs_queued_meanwhile(store: RunStore, me: Owner, clock: Clock) -> None:
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


def test_a_resumed_run_has_no_reason_end_time_or_progress_of_its_last_attempt(
    store: RunStore, me: Owner, clock: Clock
) -> None:
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


def test_claiming_an_interrupted_run_clears_its_reason_and_end_time(
    store: RunStore, process: type[Process], me: Owner, clock: Clock
) -> None:
    worker = process()
    run = claimed(store, worker.owner)
    clock.now += 5
    worker.kill()
    store.leases.recover()
    interrupted = store.runs.get(run.id)
    assert (interrupted.state, interrupted.finished_at) == (RunState.INTERRUPTED, clock.now)
    store.leases.request(run.id, RunRequest.RUN)
    again = store.leases.claim(slot="cpu", owner=me)
    assert again is not None
    assert (again.reason, again.finished_at) == ("", None)


def test_resuming_a_run_kills_a_process_that_does_not_respond(
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
def test_which_states_are_live_over_and_resumable(state: RunState, live: bool, over: bool, resumable: bool) -> None:
    assert (state.live, state.over, state.resumable) == (live, over, resumable)
