"""The intervals and timeouts of the dispatcher, to the second, and what happens if its thread ends."""

import threading
from pathlib import Path

import pytest

from lab.errors import ConfigError
from lab.executors.base import ExecutorError, JobState, JobStatus
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.worker.supervisor import dispatch as module
from lab.worker.supervisor.dispatch import Dispatcher
from tests.runs.conftest import Clock
from tests.worker.test_dispatch import FakeExecutor, _claim, _submit
from tests.worker.worker_runs import Passing, Pauses, open_lab

RUNNING, COMPLETED = JobStatus(JobState.RUNNING, "RUNNING"), JobStatus(JobState.ENDED, "COMPLETED")


class Times:
    """The clock of the process and that of the store, advanced together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.process, self.store = Passing(), Clock()
        monkeypatch.setattr(module, "time", self.process)

    def pass_s(self, seconds: float) -> None:
        self.process.now += seconds
        self.store.now += seconds


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    return Times(monkeypatch)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> FakeExecutor:
    executor = FakeExecutor()
    monkeypatch.setattr(module, "open_executors", lambda *_: {"slurm": executor})
    return executor


@pytest.fixture
def lab(tmp_path: Path, executor: FakeExecutor, times: Times) -> Lab:
    (tmp_path / "executors.toml").write_text("[slurm]\n")
    lab = open_lab(tmp_path, LAB_DEVICE="cpu")
    vars(lab)["store"] = RunStore.open(lab.settings.database, clock=times.store)
    return lab


@pytest.fixture
def dispatcher(lab: Lab) -> Dispatcher:
    return Dispatcher(lab.settings, lab.store)


def _after(dispatcher: Dispatcher, times: Times, seconds: float) -> None:
    times.pass_s(seconds)
    dispatcher.step()


def test_an_executor_is_polled_for_its_jobs_every_five_seconds(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times
) -> None:
    _submit(lab)
    dispatcher.step()
    polls = []
    for _ in range(21):
        _after(dispatcher, times, 0.5)
        polls.append(executor.polls)
    assert polls == [1] * 10 + [2] * 10 + [3]


def test_an_executor_that_refused_is_tried_again_after_fifteen_seconds(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times, capfd: pytest.CaptureFixture[str]
) -> None:
    _submit(lab)
    executor.refuses = "no such partition"
    dispatcher.step()
    executor.refuses = ""
    for seconds, submitted in ((14.9, 0), (0.1, 1)):
        _after(dispatcher, times, seconds)
        assert len(executor.submitted) == submitted
    assert capfd.readouterr().err.count("Slurm: no such partition") == 1


def test_a_job_stored_without_a_handle_is_submitted_again_after_a_minute(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times
) -> None:
    run = _submit(lab)
    assert lab.store.jobs.open(run.id, "slurm") is not None  # by a supervisor that was killed then
    for seconds, submitted in ((0.0, 0), (60.0, 0), (0.1, 1)):
        _after(dispatcher, times, seconds)
        assert len(executor.submitted) == submitted
    assert executor.submitted[0].id == f"lab-{run.id}-1"


def test_a_job_that_was_left_before_the_clock_was_set_back_is_submitted_again_at_once(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times
) -> None:
    run = _submit(lab)
    assert lab.store.jobs.open(run.id, "slurm") is not None
    times.store.now -= 3_600.0
    dispatcher.step()
    assert [job.id for job in executor.submitted] == [f"lab-{run.id}-1"]


def test_a_job_that_runs_ten_minutes_without_claiming_its_run_is_cancelled(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times
) -> None:
    run = _submit(lab)
    dispatcher.step()
    executor.statuses["1"] = RUNNING
    for seconds, cancelled in ((5.0, []), (600.0, []), (5.0, ["1"])):
        _after(dispatcher, times, seconds)
        assert executor.cancelled == cancelled
    (job,) = lab.store.jobs.list(run.id)[-1:]
    assert (job.state, job.words) == (JobState.GONE, "ran for 600 s without claiming its run")
    _after(dispatcher, times, 1.0)
    assert [job.id for job in executor.submitted] == [f"lab-{run.id}-1", f"lab-{run.id}-2"]


@pytest.mark.parametrize("status", [RUNNING, JobStatus(JobState.PENDING, "PENDING")])
def test_after_its_run_ended_a_running_job_has_thirty_seconds_and_a_pending_one_none(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times, status: JobStatus
) -> None:
    run = _submit(lab)
    dispatcher.step()
    lab.store.leases.finish(run.id, _claim(lab, run.id).lease, state=RunState.FINISHED)
    executor.statuses["1"] = status
    cancelled = []
    for _ in range(8):
        _after(dispatcher, times, 5.0)
        cancelled.append(len(executor.cancelled))
    assert cancelled == ([0] * 7 + [1] if status is RUNNING else [1] * 8)
    (job,) = lab.store.jobs.list(run.id)
    assert (job.state, job.words) == (JobState.ENDED, "ended, because its run no longer needs it")
    assert dispatcher.busy is (status is RUNNING)  # as of its last step, which still found the job
    _after(dispatcher, times, 5.0)
    assert not dispatcher.busy


def _jobs_end(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times, run: RunRecord, ends: int
) -> None:
    for _ in range(ends):
        _after(dispatcher, times, 5.0)
        executor.statuses[str(len(executor.submitted))] = COMPLETED
        _after(dispatcher, times, 5.0)


def test_three_jobs_in_a_row_without_a_step_pause_their_run(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times
) -> None:
    run = _submit(lab)
    _jobs_end(lab, executor, dispatcher, times, run, 2)
    assert lab.store.runs.get(run.id).state is RunState.QUEUED
    _jobs_end(lab, executor, dispatcher, times, run, 1)
    _after(dispatcher, times, 5.0)
    found = lab.store.runs.get(run.id)
    assert (len(executor.submitted), found.state) == (3, RunState.PAUSED)
    assert found.reason == (
        "3 jobs in a row ended at Slurm without a step (COMPLETED): see the log of its job, then Resume."
    )


def test_the_last_ten_output_lines_of_a_job_that_left_its_run_queued_are_logged(
    lab: Lab, executor: FakeExecutor, dispatcher: Dispatcher, times: Times, capfd: pytest.CaptureFixture[str]
) -> None:
    run = _submit(lab)
    executor.output["1"] = "\n".join(f"line {number}" for number in range(12))
    _jobs_end(lab, executor, dispatcher, times, run, 1)
    logged = [line.partition("job 1: ")[2] for line in capfd.readouterr().err.splitlines() if "job 1: " in line]
    assert logged == [f"line {number}" for number in range(2, 12)]


@pytest.mark.parametrize(
    "error", [None, ConfigError("executors.toml is wrong"), ExecutorError("the executor is away"), KeyError("a bug")]
)
def test_the_dispatcher_logs_an_error_once_and_is_not_busy_after_its_loop_ended(
    lab: Lab, dispatcher: Dispatcher, capfd: pytest.CaptureFixture[str], error: Exception | None
) -> None:
    dispatcher.busy = True

    def step() -> None:
        if error is not None:
            raise error

    dispatcher.step = step  # type: ignore[method-assign]
    pauses = Pauses(4)
    if isinstance(error, KeyError):
        with pytest.raises(KeyError):
            dispatcher.run(pauses)
    else:
        dispatcher.run(pauses)
    assert pauses.taken == [1.0] * (1 if isinstance(error, KeyError) else 4)
    assert not dispatcher.busy
    logged = capfd.readouterr().err
    assert logged.count(str(error)) == int(error is not None and not isinstance(error, KeyError))


def test_the_end_is_checked_for_before_each_step(dispatcher: Dispatcher) -> None:
    ending = threading.Event()
    ending.set()
    dispatcher.step = lambda: pytest.fail("a step after the end was requested")  # type: ignore[method-assign]
    dispatcher.run(ending)
