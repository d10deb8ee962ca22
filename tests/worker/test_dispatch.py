"""Jobs at an executor, here a fake one controlled by the test: what is submitted, when, and what ends a job."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from lab.errors import ConfigError
from lab.executors.base import Executor, ExecutorError, Job, JobState, JobStatus
from lab.runs.owner import Owner, process_start, this_host
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.sweeps.spec import read_spec
from lab.worker.supervisor import dispatch as module
from lab.worker.supervisor.dispatch import MAX_WITHOUT_PROGRESS, Dispatcher
from lab.worker.supervisor.launch import count_needed, has_work
from tests.worker.worker_runs import SMALL, open_lab


class FakeExecutor:
    """An executor that runs nothing. statuses: what it reports for each job. polls: how often it was asked for them."""

    starts_again = False

    def __init__(self) -> None:
        self.statuses: dict[str, JobStatus] = {}
        self.submitted: list[Job] = []
        self.cancelled: list[str] = []
        self.polls = 0
        self.max_jobs = 10
        self.refuses = ""
        self.output: dict[str, str] = {}

    def capacity(self) -> int:
        return self.max_jobs

    def submit(self, job: Job) -> str:
        if self.refuses:
            raise ExecutorError(self.refuses)
        self.submitted.append(job)
        handle = str(len(self.submitted))
        self.statuses[handle] = JobStatus(JobState.PENDING, "PENDING, Resources")
        return handle

    def states(self, handles: Sequence[str]) -> Mapping[str, JobStatus]:
        self.polls += 1
        return {handle: self.statuses[handle] for handle in handles}

    def cancel(self, handle: str) -> None:
        self.cancelled.append(handle)

    def logs(self, handle: str, job: str) -> str:
        return self.output.get(handle, "")


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> FakeExecutor:
    executor = FakeExecutor()
    executors: dict[str, Executor] = {"slurm": executor}
    monkeypatch.setattr(module, "open_executors", lambda config, _settings: executors if config.slurm else {})
    monkeypatch.setattr(module, "TRY_AGAIN_S", 0.0)
    return executor


@pytest.fixture
def lab(tmp_path: Path, executor: FakeExecutor) -> Lab:
    (tmp_path / "executors.toml").write_text("[slurm]\n")
    return open_lab(tmp_path, LAB_DEVICE="cpu")


@pytest.fixture
def dispatcher(lab: Lab) -> Dispatcher:
    return Dispatcher(lab.settings, lab.store, ask_s=0.0)


def _submit(lab: Lab, seed: int = 0) -> RunRecord:
    return lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=seed)), executor="slurm").run


def _claim(lab: Lab, run: str) -> RunRecord:
    found = lab.store.leases.claim(slot=f"lab-{run}-1", owner=Owner.of_this_process(), run=run, executor="slurm")
    assert found is not None
    return found


def _why(lab: Lab) -> list[str]:
    return list(lab.machines.jobs.why(lab.store.queue.list(), supervised=True).values())


def test_a_run_bound_to_an_executor_is_submitted_once_and_needs_no_slot_of_this_host(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    run = _submit(lab)
    assert _why(lab) == ["is about to be submitted to Slurm"]
    assert has_work(lab.store, lab.settings)
    assert count_needed(lab.store) == 0
    for _ in range(3):
        dispatcher.step()
    (job,) = executor.submitted
    assert job.id == f"lab-{run.id}-1"
    assert list(job.arguments) == ["-m", "lab.worker", "--run", run.id, "--job", job.id, "--executor", "slurm"]
    assert job.environment["LAB_HOME"] == str(lab.settings.home)
    assert dispatcher.busy
    assert _why(lab) == ["submitted to Slurm as job 1: PENDING, Resources"]


def test_a_job_counts_against_the_executors_capacity_while_its_run_trains(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    executor.max_jobs = 1
    first, _ = _submit(lab, 0), _submit(lab, 1)
    dispatcher.step()
    _claim(lab, first.id)
    assert _why(lab)[1] == "is submitted to Slurm once it has room: 1 job of this lab is open"


def test_no_more_jobs_are_submitted_than_the_executor_has_capacity_for(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    executor.max_jobs = 2
    runs = [_submit(lab, seed) for seed in range(3)]
    dispatcher.step()
    dispatcher.step()
    assert [job.id for job in executor.submitted] == [f"lab-{run.id}-1" for run in runs[:2]]
    assert _why(lab)[2] == "is submitted to Slurm once it has room: 2 jobs of this lab are open"
    lab.submissions.control(runs[0].id, RunRequest.STOP)
    dispatcher.step()
    dispatcher.step()
    assert executor.cancelled == ["1"]
    assert len(executor.submitted) == 3


def test_the_executor_is_not_polled_while_the_lease_of_the_run_is_held(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    run = _submit(lab)
    dispatcher.step()
    claimed = _claim(lab, run.id)
    executor.statuses["1"] = JobStatus(JobState.ENDED, "NODE_FAIL")  # a wrong status
    before = executor.polls
    dispatcher.step()
    assert executor.polls == before
    assert len(executor.submitted) == 1
    lab.store.leases.finish(run.id, claimed.lease, state=RunState.FINISHED)
    dispatcher.step()
    assert lab.store.jobs.list(run.id)[0].words == "NODE_FAIL"
    assert executor.cancelled == []  # it has ended already
    dispatcher.step()
    assert not dispatcher.busy
    assert not has_work(lab.store, lab.settings)


def test_a_job_that_ended_before_its_run_is_replaced_until_jobs_in_a_row_make_no_progress(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    run = _submit(lab)
    for number in range(MAX_WITHOUT_PROGRESS):
        dispatcher.step()
        executor.statuses[str(number + 1)] = JobStatus(JobState.ENDED, "FAILED, NonZeroExitCode")
        dispatcher.step()
    dispatcher.step()
    held = lab.store.runs.get(run.id)
    assert (held.state, len(executor.submitted)) == (RunState.PAUSED, MAX_WITHOUT_PROGRESS)
    assert held.reason.startswith("3 jobs in a row ended at Slurm without a step (FAILED, NonZeroExitCode)")
    lab.submissions.control(run.id, RunRequest.RUN)
    dispatcher.step()
    assert executor.submitted[-1].id == f"lab-{run.id}-{MAX_WITHOUT_PROGRESS + 1}"


def test_a_run_paused_after_failed_jobs_does_not_block_other_runs(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    executor.max_jobs = 1
    failing, other = _submit(lab, 0), _submit(lab, 1)
    for number in range(MAX_WITHOUT_PROGRESS):
        dispatcher.step()
        executor.statuses[str(number + 1)] = JobStatus(JobState.ENDED, "FAILED")
        dispatcher.step()
    dispatcher.step()
    assert lab.store.runs.get(failing.id).state is RunState.PAUSED
    assert [job.id for job in executor.submitted] == [
        *(f"lab-{failing.id}-{number}" for number in range(1, MAX_WITHOUT_PROGRESS + 1)),
        f"lab-{other.id}-1",
    ]


def test_the_last_output_of_a_job_that_claimed_no_run_is_in_the_supervisors_log(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, capfd: pytest.CaptureFixture[str]
) -> None:
    claimed, unclaimed = _submit(lab, 1), _submit(lab, 2)
    dispatcher.step()
    executor.output = {"1": "of the run that was trained", "2": "\n".join(f"line {number}" for number in range(20))}
    lab.store.leases.finish(claimed.id, _claim(lab, claimed.id).lease, state=RunState.FINISHED)
    executor.statuses = {handle: JobStatus(JobState.ENDED, "FAILED, NonZeroExitCode") for handle in ("1", "2")}
    dispatcher.step()
    written = [line.split(": ", 1)[1] for line in capfd.readouterr().err.splitlines() if ": job " in line]
    over = [
        f"job {at} of run {run.id} is over at Slurm: FAILED, NonZeroExitCode"
        for at, run in ((1, claimed), (2, unclaimed))
    ]
    assert written == [*over, *(f"job 2: line {number}" for number in range(10, 20))]


def test_a_job_that_its_executor_requeued_is_waited_for(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    run = _submit(lab)
    dispatcher.step()
    claimed = _claim(lab, run.id)
    lab.store.leases.finish(run.id, claimed.lease, state=RunState.PAUSED, fulfils=RunRequest.PAUSE)
    executor.statuses["1"] = JobStatus(JobState.PENDING, "PENDING, BeginTime")
    dispatcher.step()
    assert _why(lab) == ["submitted to Slurm as job 1: PENDING, BeginTime"]
    assert (len(executor.submitted), executor.cancelled) == (1, [])


@pytest.mark.parametrize("starts_again", [False, True])
def test_a_job_whose_worker_was_lost_is_replaced_whatever_its_executor_reports(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, starts_again: bool
) -> None:
    """Unless the executor restarts the same job, as Slurm does."""
    executor.starts_again = starts_again
    run = _submit(lab)
    dispatcher.step()
    worker = subprocess.Popen(["sleep", "600"])
    owner = Owner(this_host(), worker.pid, process_start(worker.pid) or "")
    assert lab.store.leases.claim(slot=f"lab-{run.id}-1", owner=owner, run=run.id, executor="slurm") is not None
    executor.statuses["1"] = JobStatus(JobState.RUNNING, "RUNNING")
    for _ in range(2):
        dispatcher.step()
    assert len(executor.submitted) == 1
    worker.kill()
    worker.wait()
    for _ in range(2):
        dispatcher.step()
    assert lab.store.runs.get(run.id).state is RunState.QUEUED
    assert [job.id for job in executor.submitted] == [f"lab-{run.id}-{n}" for n in ((1,) if starts_again else (1, 2))]
    assert executor.cancelled == []
    if not starts_again:
        assert lab.store.jobs.list(run.id)[1].words == "its worker was lost"


def test_a_worker_whose_run_has_ended_may_exit_before_its_job_is_cancelled(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _submit(lab)
    dispatcher.step()
    lab.store.leases.finish(run.id, _claim(lab, run.id).lease, state=RunState.FINISHED)
    executor.statuses["1"] = JobStatus(JobState.RUNNING, "RUNNING")
    dispatcher.step()
    assert executor.cancelled == []
    monkeypatch.setattr(module, "LEAVE_S", 0.0)
    dispatcher.step()
    assert executor.cancelled == ["1"]
    assert lab.store.jobs.count(["slurm"]) == 0


def test_the_job_of_a_run_that_was_moved_to_local_slots_is_cancelled(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    run = _submit(lab)
    dispatcher.step()
    assert lab.submissions.control(run.id, RunRequest.RUN, executor="local").executor == ""
    executor.statuses["1"] = JobStatus(JobState.RUNNING, "RUNNING")
    dispatcher.step()
    assert executor.cancelled == ["1"]
    assert lab.store.runs.get(run.id).state is RunState.QUEUED
    assert count_needed(lab.store) == 1
    # Submitting it at the executor again moves the waiting run back there.
    assert _submit(lab).executor == "slurm"


def test_a_refused_submission_is_shown_and_the_same_job_submitted_again(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    run = _submit(lab)
    executor.refuses = "sbatch did not respond within 10 s."
    dispatcher.step()
    assert _why(lab) == ["Slurm did not accept it; it will be submitted again: sbatch did not respond within 10 s."]
    executor.refuses = ""
    dispatcher.step()
    assert [job.id for job in executor.submitted] == [f"lab-{run.id}-1"]
    lab.submissions.control(run.id, RunRequest.STOP)
    dispatcher.step()
    assert executor.cancelled == ["1"]


def test_a_job_that_started_although_the_response_was_lost_is_found_by_its_name(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    executor.refuses = "Ray does not respond (timed out)."
    run = _submit(lab)
    dispatcher.step()
    _claim(lab, run.id)  # its worker is running nevertheless
    executor.refuses = ""
    dispatcher.step()
    (job,) = lab.store.jobs.list(run.id)
    assert (job.id, job.handle, job.closed_at) == (f"lab-{run.id}-1", "1", None)


def test_a_run_of_a_removed_executor_waits_and_keeps_no_supervisor_alive(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    run = _submit(lab)
    (lab.settings.home / "executors.toml").unlink()
    dispatcher.step()
    assert executor.submitted == []
    assert not dispatcher.busy
    assert not has_work(lab.store, lab.settings)
    assert _why(lab) == [
        f"waits for Slurm, which this lab does not have: add it to executors.toml, or `resume {run.id} --on local`"
    ]
    (lab.settings.home / "executors.toml").write_text("[slurm")
    dispatcher.step()
    assert "is not valid TOML" in _why(lab)[0]


def test_the_executor_of_a_run_is_not_part_of_its_settings(lab: Lab, executor: FakeExecutor) -> None:
    run = _submit(lab)
    resolved = lab.validation.resolve(SMALL)
    assert lab.submissions.find_answer(resolved) is not None
    assert lab.submissions.submit(resolved).run.id == run.id
    assert lab.submissions.submit(resolved).run.executor == "slurm"  # without an executor it stays where it is


def test_a_sweep_has_as_many_trials_at_an_executor_as_the_executor_takes_jobs(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher
) -> None:
    (lab.settings.home / "executors.toml").write_text("[slurm]\njobs = 3\n")
    base = {**SMALL.as_dict(), "val_fraction": 0.2}
    spec = {"base": base, "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}}, "method": "random", "trials": 5}
    view = lab.sweeps.create(read_spec({**spec, "on": "slurm"}))
    assert [run.executor for run in lab.store.queue.list()] == ["slurm"] * 3
    assert view.sweep.asked.as_dict()["on"] == "slurm"
    assert lab.sweeps.advance_due() == 0
    dispatcher.step()
    run = executor.submitted[0].arguments[3]
    lab.store.leases.finish(run, _claim(lab, run).lease, state=RunState.FAILED)
    assert lab.sweeps.advance_due() == 1
    assert len(lab.store.queue.list()) == 3
    local = lab.sweeps.create(read_spec({**spec, "name": "local"}))
    assert "on" not in local.sweep.asked.as_dict()
    assert [run.executor for run in lab.store.queue.list()].count("") == 1
    with pytest.raises(ConfigError, match="This lab has no Ray"):
        lab.sweeps.create(read_spec({**spec, "on": "ray"}))
