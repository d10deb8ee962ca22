"""Runs on a real Slurm of one node: queue, run, time-limit signal, requeue, cancel; bit-identical to a local run."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from lab.config import RunConfig
from lab.metrics import BATCH_LOSS
from lab.runs.records import WEIGHTS, RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.training.checkpoint import weights_digest
from lab.worker.supervisor.dispatch import Dispatcher
from tests.cluster.slurm import SlurmCluster, started_slurm
from tests.processes import end_workers
from tests.worker.worker_runs import SMALL, open_lab, train

pytestmark = pytest.mark.cluster
TIMEOUT_S = 240.0
LONG = SMALL.replace(train_limit=1_000, batch_size=16, epochs=5_000)
_T = TypeVar("_T")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with started_slurm() as started:
        yield started


@pytest.fixture
def lab(cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("SLURM_CONF", str(cluster.config))
    home = tmp_path / "slurm"
    yield _lab(home)
    end_workers(home)
    cluster.ask("scancel", "--user=root")


def _lab(home: Path, options: str = "", **more: int) -> Lab:
    home.mkdir(exist_ok=True)
    settings = "".join(f"{name} = {value}\n" for name, value in more.items())
    (home / "executors.toml").write_text(f"[slurm]\noptions = [{options}]\n{settings}")
    return open_lab(home, LAB_DEVICE="cpu")


def _submit(lab: Lab, config: RunConfig) -> str:
    run = lab.submissions.submit(lab.validation.resolve(config), executor="slurm").run
    lab.workers.ensure()
    return run.id


def _until(condition: Callable[[], _T], *, what: str, lab: Lab) -> _T:
    end = time.monotonic() + TIMEOUT_S
    while not (answer := condition()):
        log = lab.settings.home / "logs" / "worker.log"
        assert time.monotonic() < end, f"{what}\n{log.read_text()[-3000:] if log.exists() else ''}"
        time.sleep(0.25)
    return answer


def _run(lab: Lab, run: str, *states: RunState) -> RunRecord:
    def reached() -> RunRecord | None:
        record = lab.store.runs.get(run)
        return record if record.state in states else None

    return _until(reached, what=f"{run} is {lab.store.runs.get(run).state}, not {states}", lab=lab)  # type: ignore[return-value]


def _digest(lab: Lab, run: str, epoch: int) -> str:
    return weights_digest(lab.weights.load(run, epoch=epoch).network.state_dict())


def _handle(lab: Lab, run: str) -> str:
    def handle() -> str:
        jobs = lab.store.jobs.list(run)
        return jobs[0].handle if jobs and jobs[0].closed_at is None else ""

    return _until(handle, what="no job was submitted", lab=lab)


def _shown(cluster: SlurmCluster, job: str) -> str:
    return cluster.ask("scontrol", "show", "job", "--oneliner", job)


def test_cancelling_a_job_pauses_its_run_which_resumes_bit_identically(
    cluster: SlurmCluster, lab: Lab, tmp_path: Path
) -> None:
    config = SMALL.replace(epochs=150)
    run = _submit(lab, config)
    first = _handle(lab, run)
    assert re.search(rf"JobName=lab-{run}-1\b", _shown(cluster, first))
    _until(lambda: (lab.store.runs.get(run).progress.step or 0) > 4, what="the run does not train", lab=lab)
    assert lab.machines.show().hosts[0].slots[-1].job == f"Slurm job {first}"
    assert run in lab.machines.jobs.log(lab.store.runs.get(run))
    cluster.ask("scancel", first)
    paused = _run(lab, run, RunState.PAUSED, RunState.FINISHED)
    assert paused.reason == f"Its job {first} was cancelled at Slurm; Resume submits it again."
    assert paused.progress.step
    lab.submissions.control(run, RunRequest.RUN)
    lab.workers.ensure()
    finished = _run(lab, run, RunState.FINISHED)
    second = lab.store.jobs.list(run)[0]
    assert (second.id, finished.attempts) == (f"lab-{run}-2", 2)
    _until(lambda: not lab.store.jobs.count(["slurm"]), what="the job is not closed", lab=lab)
    assert "JobState=COMPLETED" in _shown(cluster, second.handle)
    local = open_lab(tmp_path / "local", LAB_DEVICE="cpu")
    assert _digest(lab, run, 150) == _digest(local, train(local, config).id, 150)


def test_a_job_saves_its_run_before_its_time_limit_and_continues_after_a_requeue(
    cluster: SlurmCluster, tmp_path: Path, lab: Lab
) -> None:
    # Slurm checks time limits every 30 s and sends the signal up to 30 s early, here 40 to 70 s after the start: with
    # half of that, a busy machine was still importing torch each time, and the job made no progress.
    lab = _lab(lab.settings.home, '"--time=2"', warning_s=50)
    run = _submit(lab, LONG)
    job = _handle(lab, run)
    _until(lambda: lab.store.runs.get(run).attempts == 1, what="the run was not claimed", lab=lab)
    _until(lambda: re.search(r"Restarts=[1-9]", _shown(cluster, job)), what="the job was not requeued", lab=lab)
    saved = _run(lab, run, RunState.QUEUED)
    at = saved.progress.step or 0
    assert at > 0
    assert saved.reason == ""
    _until(lambda: lab.store.runs.get(run).attempts == 2, what="the run was not claimed again", lab=lab)
    size = saved.steps_per_epoch or 0
    _until(
        lambda: (lab.store.runs.get(run).progress.step or 0) > at + 2 * size, what="the run does not continue", lab=lab
    )
    lab.submissions.control(run, RunRequest.STOP)
    _run(lab, run, RunState.STOPPED)
    assert [entry.attempt for entry in lab.store.jobs.list(run)] == [1]  # the same job, started twice
    steps = lab.store.points.read(run)[BATCH_LOSS.id].step
    assert steps.tolist() == list(range(1, len(steps) + 1))  # no step is missing or written twice
    epoch = max(file.epoch for file in lab.store.files.list(run, kind=WEIGHTS) if file.step == file.epoch * size)
    assert epoch * size > at
    local = open_lab(tmp_path / "local", LAB_DEVICE="cpu")
    assert _digest(lab, run, epoch) == _digest(local, train(local, LONG.replace(epochs=epoch)).id, epoch)


def test_a_job_that_can_never_start_is_listed_with_the_reason_and_cancelled_with_its_run(
    cluster: SlurmCluster, lab: Lab
) -> None:
    lab = _lab(lab.settings.home, '"--cpus-per-task=8"')
    run = _submit(lab, SMALL)
    job = _handle(lab, run)
    words = f"submitted to Slurm as job {job}: PENDING, PartitionConfig"

    def why() -> str:
        return lab.machines.show().waiting[0].why

    _until(lambda: why() == words, what="another reason", lab=lab)
    lab.submissions.control(run, RunRequest.STOP)
    _until(lambda: "JobState=CANCELLED" in _shown(cluster, job), what="the job was not cancelled", lab=lab)
    _until(lambda: not lab.store.jobs.count(["slurm"]), what="the job is not closed", lab=lab)
    assert lab.store.runs.get(run).state is RunState.STOPPED


def test_a_refused_job_is_reported_and_submitted_again_until_slurm_accepts_it(
    cluster: SlurmCluster, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = _lab(lab.settings.home, '"--partition=nowhere"')
    run = lab.submissions.submit(lab.validation.resolve(SMALL), executor="slurm").run
    dispatcher = Dispatcher(lab.settings, lab.store)
    dispatcher.step()
    (entry,) = lab.machines.show().waiting
    assert entry.why.startswith("Slurm did not accept it; it will be submitted again: sbatch refused: ")
    assert "nvalid partition" in entry.why
    (job,) = lab.store.jobs.list(run.id)
    assert (job.id, job.handle) == (f"lab-{run.id}-1", "")
    monkeypatch.setattr("lab.worker.supervisor.dispatch.TRY_AGAIN_S", 0.0)
    lab = _lab(lab.settings.home, '"--hold"')
    dispatcher = Dispatcher(lab.settings, lab.store, ask_s=0.0)
    dispatcher.step()
    handle = _handle(lab, run.id)
    # A supervisor that was killed before it stored the handle finds the job by its name.
    lab.store.jobs.note(job.id, state="refused", words="", handle="")
    dispatcher.step()
    assert [one.handle for one in lab.store.jobs.list(run.id)] == [handle]
    assert cluster.ask("squeue", "--noheader", "--format=%i").split() == [handle]
    lab.submissions.control(run.id, RunRequest.STOP)
    dispatcher.step()
    assert "JobState=CANCELLED" in _shown(cluster, handle)
