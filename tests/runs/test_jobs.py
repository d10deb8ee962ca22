"""Runs bound to an executor: who may claim them, one open job per run, and their state after their worker has exited."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import RunStateError
from lab.runs.jobs import HELD
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.rows import FOREIGN_GRACE_S, LEASE_S
from lab.runs.store import RunStore
from lab.service.jobs import Jobs
from lab.settings import Settings
from tests.runs.conftest import Clock, Process
from tests.runs.runs_data import CONFIG, submit

FAR = Owner(host="elsewhere", pid=1, pid_start="x")


def _bound(store: RunStore, name: str = "a", executor: str = "slurm") -> RunRecord:
    return store.queue.submit(CONFIG, fingerprint=name, family="", name=name, executor=executor)[0]


def _claim(store: RunStore, run: str, owner: Owner = FAR, executor: str | None = "slurm") -> RunRecord | None:
    return store.leases.claim(slot=f"lab-{run}-1", owner=owner, run=run, executor=executor)


def test_slots_skip_runs_bound_to_an_executor_and_a_job_claims_only_its_own_run(store: RunStore, me: Owner) -> None:
    run, other = _bound(store), submit(store, "b")
    assert (run.executor, other.executor) == ("slurm", "")
    assert (store.queue.count_queued(), store.queue.count_queued(for_hosts=True)) == (2, 1)
    taken = store.leases.claim(slot="cpu", owner=me)
    assert taken is not None
    assert taken.id == other.id
    assert store.leases.claim(slot="cpu #2", owner=me) is None
    assert _claim(store, run.id, executor="ray") is None
    claimed = _claim(store, run.id)
    assert claimed is not None
    assert (claimed.state, claimed.attempts) == (RunState.RUNNING, 1)
    assert _claim(store, run.id, owner=me) is None  # the executor has started the job twice


def test_a_run_without_an_executor_can_be_claimed_by_its_id(store: RunStore, me: Owner) -> None:
    first, second = submit(store, "a"), submit(store, "b")
    taken = _claim(store, second.id, me, None)
    assert taken is not None
    assert taken.id == second.id
    assert _claim(store, second.id, me, None) is None
    assert store.runs.get(first.id).state is RunState.QUEUED


def test_a_run_whose_worker_has_exited_is_queued_again_at_its_place(
    store: RunStore, clock: Clock, process: Callable[[], Process]
) -> None:
    run = _bound(store)
    clock.now += 1
    behind = _bound(store, "b")
    worker = process()
    claimed = _claim(store, run.id, worker.owner)
    assert claimed is not None
    store.leases.set_progress(run.id, claimed.lease, {"step": 7})
    worker.kill()
    assert store.runs.get(run.id).state is RunState.QUEUED  # as soon as it is read
    assert store.leases.recover() == [run.id]
    again = store.runs.get(run.id)
    assert (again.state, again.reason, again.finished_at, again.progress.step) == (RunState.QUEUED, "", None, 7)
    assert again.lease == claimed.lease + 1
    assert [one.run for one in store.jobs.bound()] == [run.id, behind.id]


@pytest.mark.parametrize(
    ("request_", "state"), [(RunRequest.STOP, RunState.STOPPED), (RunRequest.PAUSE, RunState.PAUSED)]
)
def test_a_request_that_the_worker_did_not_handle_before_exiting_decides_the_state(
    store: RunStore, process: Callable[[], Process], request_: RunRequest, state: RunState
) -> None:
    run, worker = _bound(store), process()
    _claim(store, run.id, worker.owner)
    store.leases.request(run.id, request_)
    worker.kill()
    store.leases.recover()
    assert store.runs.get(run.id).state is state


def test_a_run_has_one_open_job_and_the_next_job_has_another_name(store: RunStore) -> None:
    run = _bound(store)
    assert store.jobs.open(run.id, "ray") is None
    job = store.jobs.open(run.id, "slurm")
    assert job is not None
    assert (job.id, job.attempt, job.handle) == (f"lab-{run.id}-1", 1, "")
    assert store.jobs.open(run.id, "slurm") is None
    store.jobs.note(job.id, state="running", words="RUNNING", handle="12", started=True)
    started = store.jobs.newest([run.id])[run.id].started_at
    store.jobs.note(job.id, state="running", words="RUNNING", started=True)
    (one,) = store.jobs.bound()
    assert one.open is not None
    assert (one.open.handle, one.open.started_at, one.silent) == ("12", started, False)
    store.jobs.close(job, state="ended", words="COMPLETED")
    store.jobs.note(job.id, state="running", words="RUNNING, late")
    assert store.jobs.newest([run.id])[run.id].words == "COMPLETED"
    second = store.jobs.open(run.id, "slurm")
    assert second is not None
    assert second.id == f"lab-{run.id}-2"
    assert [one.attempt for one in store.jobs.list(run.id)] == [2, 1]
    assert (store.jobs.count(["slurm"]), store.jobs.count(["ray"]), store.jobs.count([])) == (1, 0, 0)


def test_only_queued_runs_get_a_job_and_a_stopped_run_is_listed_until_its_job_is_closed(store: RunStore) -> None:
    run = _bound(store)
    job = store.jobs.open(run.id, "slurm")
    assert job is not None
    store.leases.request(run.id, RunRequest.STOP)
    (one,) = store.jobs.bound()
    assert (one.state, one.open) == (RunState.STOPPED, job)
    store.jobs.close(job, state="ended", words="")
    assert store.jobs.bound() == ()
    assert store.jobs.open(run.id, "slurm") is None


def test_an_expired_lease_on_another_host_ends_only_when_the_executor_reports_its_job_over(
    store: RunStore, clock: Clock
) -> None:
    run = _bound(store)
    claimed = _claim(store, run.id)
    assert claimed is not None
    clock.now += LEASE_S - 1
    assert not store.jobs.expire(run.id, claimed.lease)
    store.leases.heartbeat(run.id, claimed.lease)
    clock.now += LEASE_S - 1
    assert not store.jobs.expire(run.id, claimed.lease)
    clock.now += 2
    (one,) = store.jobs.bound()
    assert (one.state, one.silent) == (RunState.RUNNING, True)  # that process cannot be inspected from here
    assert not store.jobs.expire(run.id, claimed.lease - 1)
    assert store.jobs.expire(run.id, claimed.lease)
    assert store.runs.get(run.id).state is RunState.QUEUED
    assert LEASE_S + 2 < FOREIGN_GRACE_S


def test_a_held_run_is_paused_with_the_reason_and_its_jobs_no_longer_count(store: RunStore) -> None:
    run = _bound(store)
    job = store.jobs.open(run.id, "slurm")
    assert job is not None
    store.jobs.close(job, state="cancelled", words="CANCELLED")
    store.jobs.hold(run.id, "Because.")
    held = store.runs.get(run.id)
    assert (held.state, held.reason) == (RunState.PAUSED, "Because.")
    assert store.jobs.list(run.id)[0].state == HELD


def test_a_run_can_be_bound_elsewhere_unless_it_is_training(store: RunStore) -> None:
    run = _bound(store)
    assert store.jobs.bind(run.id, "").executor == ""
    assert store.jobs.bind(run.id, "slurm").executor == "slurm"
    _claim(store, run.id)
    store.jobs.bind(run.id, "slurm")
    with pytest.raises(RunStateError, match="is running, so it cannot be moved elsewhere: pause it first"):
        store.jobs.bind(run.id, "")


def test_a_job_records_how_many_steps_it_gained(store: RunStore) -> None:
    run = _bound(store)
    for number, gained in ((5, 5), (5, 0), (9, 4)):
        job = store.jobs.open(run.id, "slurm")
        claimed = _claim(store, run.id)
        assert job is not None
        assert claimed is not None
        store.leases.set_progress(run.id, claimed.lease, {"step": number})
        store.leases.finish(run.id, claimed.lease, state=RunState.PAUSED, fulfils=RunRequest.PAUSE)
        assert store.runs.get(run.id).state is RunState.QUEUED  # queued again, to be resumed later
        store.jobs.close(job, state="ended", words="")
        assert store.jobs.list(run.id)[0].gained == gained


def test_a_job_is_titled_by_the_number_of_its_executor_and_has_no_title_before(store: RunStore, tmp_path: Path) -> None:
    run = _bound(store)
    jobs = Jobs(Settings.from_env({"LAB_HOME": str(tmp_path)}), lambda: store)
    assert jobs.titles([run.id]) == {}
    job = store.jobs.open(run.id, "slurm")
    assert job is not None
    assert jobs.titles([run.id]) == {}
    store.jobs.note(job.id, state="pending", words="", handle="12")
    assert jobs.titles([run.id, "another"]) == {run.id: "Slurm job 12"}
