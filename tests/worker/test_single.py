"""The worker of one run: which run it claims, how it returns a run to the queue, and its exit code."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.runs.leases import Leases
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.training.checkpoint import weights_digest
from lab.worker import single
from lab.worker.single import LATER, end_on_signals, train_one
from tests.waiting import LIMIT_S
from tests.worker.worker_runs import SMALL, between_steps, open_lab, train


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "executors.toml").write_text("[slurm]\n")
    return open_lab(tmp_path / "lab", LAB_DEVICE="cpu")


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    """Restore the signal handlers after the test."""
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _submit(lab: Lab, executor: str | None = "slurm", **changes: int) -> RunRecord:
    return lab.submissions.submit(lab.validation.resolve(SMALL.replace(**changes)), executor=executor).run


def _work(lab: Lab, run: RunRecord, ending: threading.Event | None = None, executor: str | None = "slurm") -> int:
    job = f"lab-{run.id}-1"
    return train_one(lab, run.id, ending=ending or threading.Event(), job=job, executor=executor, claim_s=0.0)


@pytest.mark.parametrize("number", ["SIGUSR1", "SIGUSR2", "SIGTERM", "SIGHUP", "SIGINT"])
def test_every_signal_requests_the_end(number: str, signal_handlers: None) -> None:
    ending = end_on_signals()
    os.kill(os.getpid(), getattr(signal, number))
    assert ending.wait(LIMIT_S)


def test_a_worker_of_one_run_trains_it_to_the_end_and_no_other(lab: Lab) -> None:
    other, run = _submit(lab, seed=1), _submit(lab)
    assert _work(lab, run) == 0
    assert lab.store.runs.get(run.id).state is RunState.FINISHED
    assert lab.store.runs.get(other.id).state is RunState.QUEUED
    assert lab.store.workers.list() == ()
    assert _work(lab, run) == 0  # a job that its executor restarts has nothing to do
    assert lab.store.runs.get(run.id).attempts == 1


def test_the_slot_is_named_after_the_job_or_else_after_the_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    run, slots = _submit(lab, executor=None), []

    def claim(_leases: Leases, *, slot: str, **_asked: object) -> None:
        slots.append(slot)
        ending.set()

    monkeypatch.setattr(Leases, "claim", claim)
    for job in ("", "lab-x-1"):
        ending = threading.Event()
        train_one(lab, run.id, ending=ending, job=job, claim_s=0.0)
    assert slots == [f"run {run.id}", "lab-x-1"]


def test_a_worker_asked_to_end_requeues_its_run_and_the_next_one_gets_the_same_bits(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _submit(lab, epochs=4)
    between_steps(monkeypatch, lambda beat: beat.ending.set(), when=lambda run: bool(run.progress.step))
    assert _work(lab, run) == LATER
    queued = lab.store.runs.get(run.id)
    assert (queued.state, queued.reason) == (RunState.QUEUED, "")
    assert _work(lab, run) == 0
    assert lab.store.runs.get(run.id).attempts == 2
    local = open_lab(tmp_path / "local", LAB_DEVICE="cpu")
    uninterrupted = train(local, SMALL.replace(epochs=4))
    assert _digest(lab, run) == _digest(local, uninterrupted)


def _digest(lab: Lab, run: RunRecord) -> str:
    return weights_digest(lab.weights.load(run.id, epoch=4).network.state_dict())


def test_a_worker_asked_to_end_before_it_has_started_leaves_the_run_in_the_queue(lab: Lab) -> None:
    run, ending = _submit(lab), threading.Event()
    ending.set()
    assert _work(lab, run, ending) == LATER
    assert lab.store.runs.get(run.id).attempts == 0


def test_a_run_that_was_moved_or_stopped_is_not_trained(lab: Lab) -> None:
    run = _submit(lab)
    lab.store.jobs.bind(run.id, "")
    assert _work(lab, run) == 0
    assert lab.store.runs.get(run.id).state is RunState.QUEUED
    lab.submissions.control(run.id, RunRequest.STOP)
    assert _work(lab, run, executor=None) == 0
    assert lab.store.runs.get(run.id).state is RunState.STOPPED


def test_a_run_that_another_worker_holds_is_waited_for_and_not_trained(lab: Lab) -> None:
    run = _submit(lab)
    far = Owner("elsewhere", 1, "x")
    assert lab.store.leases.claim(slot="lab-x", owner=far, run=run.id) is not None
    assert _work(lab, run) == 0  # for as long as the lease of a lost worker may last, here 0 s
    assert lab.store.runs.get(run.id).state is RunState.RUNNING
    assert single.CLAIM_S > 40.0


def test_a_run_without_an_executor_is_interrupted_if_its_worker_is_asked_to_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _submit(lab, executor=None, epochs=4)
    between_steps(monkeypatch, lambda beat: beat.ending.set(), when=lambda run: bool(run.progress.step))
    assert train_one(lab, run.id, ending=threading.Event()) == 0
    assert lab.store.runs.get(run.id).state is RunState.INTERRUPTED
