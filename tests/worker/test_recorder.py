"""What the recorder stores of events: points before the files that follow them, and nothing after a resumed step."""

import math
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.config import RunConfig
from lab.diagnosis.curves import DataFacts
from lab.diagnosis.rules import diagnose_run
from lab.errors import ArtifactError, LeaseLostError, StoreBusyError
from lab.findings import Finding
from lab.runs.outage import Outage
from lab.runs.points import Points
from lab.runs.records import CHECKPOINT, WEIGHTS, RunRecord, RunRequest, RunState, Series
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.sharing.epochs import epoch_rows
from lab.training.checkpoint import Checkpoint, Weights
from lab.training.events import Ended, Evaluated, Notice, Snapshot, Started, StepMetrics
from lab.training.progress import Progress
from lab.worker.recorder import RunRecorder
from tests.worker.worker_runs import claim, open_lab

CONFIG = RunConfig(dataset="digits", keep_mb=1)
LOG_10 = math.log(10)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab whose store has a short busy timeout."""
    lab = open_lab(tmp_path)
    vars(lab)["store"] = RunStore.open(lab.settings.database, busy_s=0.4)
    return lab


def _begin(lab: Lab, *, step: int = 0, outage: Outage | None = None) -> tuple[RunRecord, RunRecorder]:
    """Claim the queued run (a new one if none is queued) and record its start."""
    if not lab.store.queue.count_queued():
        lab.submissions.submit(lab.validation.resolve(CONFIG))
    run = claim(lab)
    recorder = RunRecorder(lab.store, lab.artifacts, run, outage=outage)
    recorder.record(_started(step))
    return run, recorder


def _started(step: int) -> Started:
    return Started(
        device="cpu",
        step=step,
        total_steps=1_000,
        steps_per_epoch=20,
        train_images=1,
        val_images=1,
        test_images=1,
        params=1,
        environment={},
    )


def _steps(first: int, last: int) -> StepMetrics:
    step = np.arange(first, last + 1)
    return StepMetrics(step, np.full(len(step), LOG_10), step * 0.0, step * 0.1, images_per_second=1.0)


def _epoch(recorder: RunRecorder, epoch: int, *, loss: float | None = None, step: int = 0, size: int = 100) -> None:
    """Record an epoch of 20 steps: its steps, validation and weights."""
    step = step or epoch * 20
    recorder.record(_steps(step - 19, step))
    if loss is not None:
        recorder.record(Evaluated(step, epoch, 1.0, {"val/loss": loss}, epoch_end=True))
    recorder.record(Snapshot(WEIGHTS, step, epoch, lambda: _weights(epoch, size)))


def _weights(epoch: int, size: int) -> Weights:
    return Weights({"w": torch.full((size,), epoch, dtype=torch.uint8)}, {"epoch": epoch})


def _checkpoint(step: int) -> Snapshot:
    return Snapshot(CHECKPOINT, step, -(-step // 20), lambda: Checkpoint(Progress(step=step), {}, {}, {}, {}, {}))


def _ended(outcome: str, step: int) -> Ended:
    return Ended(outcome, step, -(-step // 20), 1.0, {})


def _files(lab: Lab) -> list[str]:
    return sorted(path.name[: len("weights-000000020")] for path in Path(lab.settings.artifacts).rglob("*-*"))


def _hold(lab: Lab, seconds: float | None) -> sqlite3.Connection:
    """Hold the store's write lock, as a stopped process does, for `seconds` or until it is closed."""
    holder = sqlite3.connect(lab.settings.home / "lab.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    if seconds is not None:
        threading.Timer(seconds, holder.close).start()
    return holder


@pytest.mark.parametrize("later", ["the end", "a checkpoint"])
def test_nothing_is_stored_before_points_that_wait_for_a_busy_store(lab: Lab, later: str) -> None:
    run, recorder = _begin(lab)
    recorder.record(_steps(1, 20))
    _hold(lab, 0.6)  # storing the points fails once, at 0.4 s; a later operation would succeed
    if later == "the end":
        recorder.finish(_ended("finished", 20), state=RunState.FINISHED, reason="")
    else:
        recorder.record(_checkpoint(20))
        assert [file.step for file in lab.store.files.list(run.id)] == [20]
    assert lab.store.points.read(run.id)["batch/loss"].step.tolist() == list(range(1, 21))
    assert lab.store.integrity.verify(run.id) == ()


def test_a_run_whose_points_a_busy_store_refuses_until_its_worker_ends_is_not_finished(lab: Lab) -> None:
    ending = threading.Event()
    run, recorder = _begin(lab, outage=Outage(limit_s=0.2, ending=ending))
    recorder.record(_steps(1, 20))
    holder = _hold(lab, None)
    threading.Timer(1.0, ending.set).start()
    with pytest.raises(StoreBusyError, match=r"held by another process for more than 0.4 s"):
        recorder.finish(_ended("finished", 20), state=RunState.FINISHED, reason="")
    holder.close()
    assert lab.store.runs.get(run.id).state is RunState.RUNNING


def test_a_resumed_run_drops_what_was_recorded_after_its_checkpoint(lab: Lab) -> None:
    run, recorder = _begin(lab)
    _epoch(recorder, 1, loss=0.5)
    recorder.record(_checkpoint(20))
    _epoch(recorder, 2, loss=0.4)
    lab.store.leases.finish(run.id, run.lease, state=RunState.INTERRUPTED)
    lab.submissions.control(run.id, RunRequest.RUN)
    assert lab.store.points.read(run.id)["batch/loss"].step[-1] == 40  # everything is there until the run continues
    assert lab.weights.find(run.id).step == 40
    run, recorder = _begin(lab, step=20)
    assert lab.store.points.read(run.id)["batch/loss"].step[-1] == 20
    assert _files(lab) == ["checkpoint-000000", "weights-000000020"]
    recorder.record(_steps(21, 30))
    recorder.finish(_ended("stopped", 30), state=RunState.STOPPED, reason="")
    assert lab.store.points.read(run.id)["batch/loss"].step[-1] == 30
    assert lab.store.points.read(run.id)["val/loss"].step.tolist() == [20]
    assert lab.weights.find(run.id).step == 20


def test_an_epoch_that_was_stopped_and_resumed_has_one_set_of_weights(lab: Lab) -> None:
    run, recorder = _begin(lab)
    _epoch(recorder, 1, loss=0.5)
    recorder.record(Snapshot(WEIGHTS, 30, 2, lambda: _weights(2, 4)))
    recorder.finish(_ended("stopped", 30), state=RunState.STOPPED, reason="")
    assert [file.step for file in lab.weights.list(run.id)] == [20, 30]
    lab.submissions.control(run.id, RunRequest.RUN)
    _, recorder = _begin(lab, step=30)
    _epoch(recorder, 2, loss=0.4)
    assert [(file.step, file.epoch) for file in lab.weights.list(run.id)] == [(20, 1), (40, 2)]
    assert _files(lab) == ["weights-000000020", "weights-000000040"]


@pytest.mark.parametrize(("loss", "epochs"), [([0.1, 0.3, 0.2, 0.4], [1, 4]), ([None] * 4, [3, 4])])
def test_within_its_disk_budget_a_run_keeps_the_best_known_and_the_newest_weights(
    lab: Lab, loss: list[float | None], epochs: list[int]
) -> None:
    run, recorder = _begin(lab)
    for epoch, value in enumerate(loss, 1):
        _epoch(recorder, epoch, loss=value, size=400_000)
    assert [file.epoch for file in lab.weights.list(run.id)] == epochs
    assert "never the best or the newest" in lab.store.runs.get(run.id).notices[-1]


def _codes(lab: Lab, run: RunRecord) -> list[str]:
    return [finding.code for finding in lab.store.runs.get(run.id).findings]


def _validated(recorder: RunRecorder, epoch: int, loss: float, training: float) -> None:
    metrics = {"train/loss": training, "val/loss": loss, "train/accuracy": 0.9, "val/accuracy": 0.9}
    recorder.record(Evaluated(epoch * 20, epoch, 1.0, metrics, epoch_end=True))


def test_findings_are_computed_again_at_every_epoch_and_removed_if_no_longer_true(lab: Lab) -> None:
    run, recorder = _begin(lab)
    losses = [1.0, 0.5, 0.4, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    for epoch, loss in enumerate(losses, 1):
        _validated(recorder, epoch, loss, 0.8**epoch)
    (finding,) = lab.store.runs.get(run.id).findings
    assert finding.code == "overfitting"
    assert "is 0.8000 in epochs 7 to 9" in finding.message
    for epoch in range(10, 13):
        _validated(recorder, epoch, 0.3, 0.8**epoch)
    assert _codes(lab, run) == []
    recorder.finish(_ended("finished", 240), state=RunState.FINISHED, reason="")
    assert _codes(lab, run) == []
    assert lab.store.runs.get(run.id).notices == ()
    assert lab.store.integrity.verify(run.id) == ()


def test_the_final_findings_have_the_final_numbers(lab: Lab) -> None:
    run, recorder = _begin(lab)
    recorder.record(_steps(1, 250))
    recorder.finish(_ended("paused", 250), state=RunState.PAUSED, reason="")
    lab.submissions.control(run.id, RunRequest.RUN)
    run, recorder = _begin(lab, step=250)
    recorder.record(_steps(251, 1_000))
    recorder.finish(_ended("finished", 1_000), state=RunState.FINISHED, reason="")
    ended = lab.store.runs.get(run.id)
    assert [finding.code for finding in ended.findings] == ["at-chance"]
    assert "after 1,000 steps" in ended.findings[0].message
    assert (ended.state, ended.status) == (RunState.FINISHED, "no better than guessing")
    assert lab.store.integrity.verify(run.id) == ()


def test_a_run_resumed_from_an_earlier_step_drops_the_findings_of_later_steps(lab: Lab) -> None:
    run, recorder = _begin(lab)
    recorder.record(_checkpoint(0))
    recorder.record(_steps(1, 20))
    recorder.record(StepMetrics(np.array([21]), np.array([math.nan]), np.zeros(1), np.ones(1), images_per_second=1.0))
    assert _codes(lab, run) == ["diverged"]
    lab.store.leases.finish(run.id, run.lease, state=RunState.INTERRUPTED)
    lab.submissions.control(run.id, RunRequest.RUN)
    _begin(lab, step=0)
    assert _codes(lab, run) == []


def test_findings_that_a_busy_store_refused_are_stored_the_next_time(lab: Lab) -> None:
    run, recorder = _begin(lab)
    recorder.record(_steps(1, 250))
    holder = _hold(lab, None)
    recorder._diagnose()
    holder.close()
    assert _codes(lab, run) == []
    recorder._diagnose()
    assert _codes(lab, run) == ["at-chance"]


def test_a_resume_requested_before_a_pause_is_stored_queues_the_run(lab: Lab) -> None:
    run, recorder = _begin(lab)
    lab.submissions.control(run.id, RunRequest.PAUSE)
    recorder.record(_steps(1, 20))
    lab.submissions.control(run.id, RunRequest.RUN)
    recorder.finish(_ended("paused", 20), state=RunState.PAUSED, reason="")
    assert lab.store.runs.get(run.id).state is RunState.QUEUED


def test_a_recorded_learning_rate_is_stored_at_its_steps_and_a_resume_continues_it(lab: Lab) -> None:
    run, recorder = _begin(lab)
    steps = _steps(1, 20)
    recorder.record(replace(steps, lr_step=np.array([1, 5, 12]), lr=np.array([0.1, 0.3, 0.2])))
    recorder.record(Evaluated(20, 1, 1.0, {"lr": 0.15}, epoch_end=True))
    recorder.record(_checkpoint(20))
    recorder.finish(_ended("paused", 20), state=RunState.PAUSED, reason="")
    lab.submissions.control(run.id, RunRequest.RUN)
    _, recorder = _begin(lab, step=20)
    recorder.record(replace(_steps(21, 30), lr_step=np.array([24]), lr=np.array([0.05])))
    recorder.finish(_ended("finished", 30), state=RunState.FINISHED, reason="")
    series = lab.store.points.read(run.id)["lr"]
    assert series.step.tolist() == [1, 5, 12, 20, 24]
    assert series.value.tolist() == [0.1, 0.3, 0.2, 0.15, 0.05]
    assert series.time_s.tolist() == pytest.approx([0.1, 0.5, 1.2, 1.0, 2.4])
    assert epoch_rows(lab.store.points.read(run.id)) == ()  # learning rates alone are not an evaluation


class _Clock:
    """A clock that only the test advances."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 0.0


def test_the_time_left_after_a_resume_is_estimated_from_the_steps_of_this_attempt(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    monkeypatch.setattr("lab.worker.recorder.time", clock)
    run, recorder = _begin(lab, step=900)
    clock.now += 20.0
    recorder.record(_steps(901, 910))  # 2 s a step, and 90 of 1,000 are left
    assert lab.store.runs.get(run.id).progress.eta_seconds == 180.0


def test_a_run_is_evaluating_from_the_last_step_of_an_epoch_until_its_metrics_are_there(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    monkeypatch.setattr("lab.worker.recorder.time", clock)
    run, recorder = _begin(lab)

    def phase(event: StepMetrics | Evaluated) -> str | None:
        clock.now += 20.0
        recorder.record(event)
        return lab.store.runs.get(run.id).progress.phase

    assert phase(_steps(1, 19)) == "training"
    assert phase(_steps(20, 20)) == "evaluating"
    assert phase(Evaluated(20, 1, 1.0, {"val/loss": 2.0}, epoch_end=True)) == "training"
    assert phase(_steps(21, 990)) == "training"


@pytest.mark.parametrize(("step", "epoch"), [(1, 1), (20, 1), (21, 2), (40, 2)])
def test_the_progress_has_the_epoch_in_training(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, step: int, epoch: int
) -> None:
    clock = _Clock()
    monkeypatch.setattr("lab.worker.recorder.time", clock)
    run, recorder = _begin(lab)
    clock.now += 1.0
    recorder.record(_steps(1, step))
    assert lab.store.runs.get(run.id).progress.epoch == epoch


def test_the_environment_has_the_number_of_images_of_each_split(lab: Lab) -> None:
    lab.submissions.submit(lab.validation.resolve(CONFIG))
    run = claim(lab)
    recorder = RunRecorder(lab.store, lab.artifacts, run)
    start = Started(
        device="cpu",
        step=0,
        total_steps=9,
        steps_per_epoch=9,
        train_images=50,
        val_images=6,
        test_images=7,
        params=8,
        environment={"threads": 2},
    )
    recorder.record(start)
    environment = lab.store.runs.get(run.id).environment.as_dict()
    assert {name: environment[name] for name in ("train_images", "val_images", "test_images", "params", "threads")} == {
        "train_images": 50,
        "val_images": 6,
        "test_images": 7,
        "params": 8,
        "threads": 2,
    }


@pytest.mark.parametrize("saved", [True, False], ids=["checkpoint saved", "checkpoint lost"])
def test_the_reason_of_a_pause_after_an_outage_names_only_a_checkpoint_that_was_saved(lab: Lab, saved: bool) -> None:
    run, recorder = _begin(lab, outage=Outage(limit_s=0.1))
    recorder.record(_steps(1, 20))
    holder = _hold(lab, None)
    if not saved:
        Path(lab.settings.artifacts).mkdir(parents=True, exist_ok=True)
        Path(lab.settings.artifacts, run.id).write_text("a file in place of the folder of the run")
    recorder.record(_steps(21, 25))
    recorder.record(_checkpoint(25))
    holder.close()
    recorder.pause_after_outage(_ended("paused", 25))
    record = lab.store.runs.get(run.id)
    assert record.state is RunState.PAUSED
    assert "training paused at step 25" in record.reason
    assert record.reason.endswith("from there." if saved else "from its last checkpoint.")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    fake = _Clock()
    monkeypatch.setattr("lab.worker.recorder.time", fake)
    return fake


def test_the_progress_has_the_newest_step_metrics_and_training_time(lab: Lab, clock: _Clock) -> None:
    run, recorder = _begin(lab)
    clock.now += 1.0
    recorder.record(_steps(1, 7))
    record = lab.store.runs.get(run.id)
    assert (record.progress.step, record.progress.total_steps, record.progress.steps_per_epoch) == (7, 1_000, 20)
    assert (record.progress.seconds, record.seconds) == pytest.approx((0.7, 0.7))
    assert record.progress.images_per_second == 1.0
    assert (record.progress.phase, record.progress.device) == ("training", "cpu")
    assert (record.progress.epoch, record.progress.epochs) == (1, CONFIG.epochs)
    metrics = {"val/loss": 0.5, "val/accuracy": 0.75}
    recorder.record(Evaluated(20, 1, 3.5, metrics, epoch_end=True))
    record = lab.store.runs.get(run.id)
    assert (record.progress.other["latest"], record.seconds) == (metrics, 3.5)


def test_points_are_stored_after_at_most_half_a_second(lab: Lab, clock: _Clock) -> None:
    run, recorder = _begin(lab)
    for step, (later, last) in enumerate(((0.375, 0), (0.125, 2), (0.375, 2), (0.125, 4)), 1):
        clock.now += later
        recorder.record(_steps(step, step))
        stored = lab.store.points.read(run.id)
        assert (stored["batch/loss"].step[-1] if stored else 0) == last


def test_a_run_is_diagnosed_every_five_seconds_and_at_once_if_a_loss_is_not_finite(lab: Lab, clock: _Clock) -> None:
    run, recorder = _begin(lab)
    clock.now += 4.875
    recorder.record(_steps(1, 250))
    assert _codes(lab, run) == []
    clock.now += 0.125
    recorder.record(_steps(251, 252))
    assert _codes(lab, run) == ["at-chance"]
    loss = np.array([1.0, math.nan, math.nan])
    recorder.record(StepMetrics(np.array([253, 254, 255]), loss, np.zeros(3), np.ones(3), images_per_second=1.0))
    assert _codes(lab, run) == ["diverged"]


def test_after_a_resume_findings_cover_the_whole_training(lab: Lab) -> None:
    run, recorder = _begin(lab)
    losses = [1.0, 0.5, 0.4, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    for epoch, loss in enumerate(losses[:6], 1):
        _validated(recorder, epoch, loss, 0.8**epoch)
    recorder.finish(_ended("paused", 120), state=RunState.PAUSED, reason="")
    lab.submissions.control(run.id, RunRequest.RUN)
    run, recorder = _begin(lab, step=120)
    for epoch, loss in enumerate(losses[6:], 7):
        _validated(recorder, epoch, loss, 0.8**epoch)
    assert _codes(lab, run) == ["overfitting"]


def test_the_result_has_the_final_outcome_epoch_and_time(lab: Lab) -> None:
    run, recorder = _begin(lab)
    recorder.record(_steps(1, 30))
    recorder.finish(Ended("finished", 30, 2, 12.5, {"test_accuracy": 0.25}), state=RunState.FINISHED, reason="because")
    ended = lab.store.runs.get(run.id)
    assert (ended.summary.outcome, ended.summary.step, ended.summary.epoch) == ("finished", 30, 2)
    assert (ended.summary.value("test_accuracy"), ended.seconds, ended.reason) == (0.25, 12.5, "because")


def test_the_normalisation_and_the_largest_classes_are_part_of_the_environment(lab: Lab) -> None:
    lab.submissions.submit(lab.validation.resolve(CONFIG))
    run = claim(lab)
    recorder = RunRecorder(lab.store, lab.artifacts, run)
    recorder.describe(0.25, 0.5, DataFacts(10, largest={"train": 0.5, "test": 0.125}))
    recorder.record(Started("cpu", 0, 9, 9, 50, 0, 7, 8, {"name": "a machine"}))
    environment = lab.store.runs.get(run.id).environment
    assert (environment.normalization, environment.name, lab.store.runs.get(run.id).device) == (
        [0.25, 0.5],
        "a machine",
        "cpu",
    )
    assert environment.other == {"train_largest_class": 0.5, "test_largest_class": 0.125}


def _block_artifacts(lab: Lab, run: RunRecord) -> Path:
    """Put a file in place of the folder of the run."""
    Path(lab.settings.artifacts).mkdir(parents=True, exist_ok=True)
    blocking = Path(lab.settings.artifacts, run.id)
    blocking.write_text("not a folder")
    return blocking


def test_a_checkpoint_that_cannot_be_saved_fails_the_run_if_the_store_responds(lab: Lab) -> None:
    run, recorder = _begin(lab)
    recorder.record(_steps(1, 20))
    _block_artifacts(lab, run)
    with pytest.raises(ArtifactError, match="could not be saved"):
        recorder.record(_checkpoint(20))
    assert lab.store.files.list(run.id) == ()


def test_a_notice_that_a_busy_store_refused_is_stored_before_the_end(lab: Lab) -> None:
    run, recorder = _begin(lab)
    holder = _hold(lab, None)
    for text in ("first", "second", "first"):
        recorder.record(Notice("code", text))
    holder.close()
    assert lab.store.runs.get(run.id).notices == ()
    recorder.finish(_ended("finished", 1), state=RunState.FINISHED, reason="")
    assert lab.store.runs.get(run.id).notices == ("first", "second")


def test_a_worker_that_lost_its_lease_overwrites_no_file_of_the_next_worker(lab: Lab) -> None:
    run, old = _begin(lab)
    lab.store.leases.finish(run.id, run.lease, state=RunState.INTERRUPTED)
    lab.submissions.control(run.id, RunRequest.RUN)
    _, new = _begin(lab)
    _epoch(new, 1, loss=0.5)
    with pytest.raises(LeaseLostError, match="no longer held by lease 1"):
        old.record(Snapshot(WEIGHTS, 20, 1, lambda: _weights(7, 100)))
    (file,) = lab.weights.list(run.id)
    assert lab.artifacts.read(file)  # its bytes are those that were listed


@pytest.mark.parametrize(("size", "left"), [(332_000, [1, 2, 3]), (334_000, [2, 3])])
def test_a_budget_of_a_megabyte_is_a_million_bytes(lab: Lab, size: int, left: list[int]) -> None:
    """With three sets of weights, each with a header of less than a kilobyte."""
    run, recorder = _begin(lab)
    for epoch in (1, 2, 3):
        _epoch(recorder, epoch, loss=1.0 / epoch, size=size)
    assert [file.epoch for file in lab.weights.list(run.id)] == left
    assert len(_files(lab)) == len(left)


class _CountedPoints(Points):
    """Records the steps of each transaction."""

    written: list[list[int]]

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        self.written.append(points["batch/loss"].step.tolist() if "batch/loss" in points else [])
        return super().append(run, lease, points, progress=progress)


def test_each_point_is_stored_once_and_in_batches(lab: Lab, clock: _Clock) -> None:
    points = _CountedPoints(lab.store.context)
    points.written = []
    lab.store.points = points
    run, recorder = _begin(lab)
    for step in range(1, 9):
        clock.now += 0.125
        recorder.record(_steps(step, step))
    assert points.written == [[1, 2, 3, 4], [5, 6, 7, 8]]
    recorder.record(Evaluated(8, 1, 1.0, {"val/loss": 0.5}, epoch_end=False))  # stored at once
    assert points.written[2:] == [[]]
    assert lab.store.points.read(run.id)["val/loss"].value.tolist() == [0.5]


def test_a_run_is_not_diagnosed_more_often_than_every_five_seconds(
    lab: Lab, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    diagnosed_at = []

    def diagnose(*arguments: Any, **rest: Any) -> tuple[Finding, ...]:
        diagnosed_at.append(clock.now)
        return diagnose_run(*arguments, **rest)

    monkeypatch.setattr("lab.worker.recorder.diagnose_run", diagnose)
    _, recorder = _begin(lab)
    for step in range(1, 50):
        clock.now += 0.5
        recorder.record(_steps(step, step))
    assert diagnosed_at == [1_000.0, 1_005.0, 1_010.0, 1_015.0, 1_020.0]


def test_a_run_has_one_checkpoint_with_the_time_it_was_saved(lab: Lab) -> None:
    run, recorder = _begin(lab)
    before = time.time()
    for step in (10, 20, 30):
        recorder.record(_steps(step - 9, step))
        recorder.record(_checkpoint(step))
    (file,) = lab.store.files.list(run.id, kind=CHECKPOINT)
    assert (file.step, file.epoch, before <= file.created_at <= time.time()) == (30, 2, True)
    assert _files(lab) == ["checkpoint-000000"]


def test_files_that_waited_for_the_store_are_all_listed_in_order(lab: Lab) -> None:
    run, recorder = _begin(lab, outage=Outage(limit_s=0.0))
    holder = _hold(lab, None)
    for epoch in (1, 2, 3):
        _epoch(recorder, epoch)
    assert lab.store.files.list(run.id) == ()
    holder.close()
    recorder.finish(_ended("finished", 60), state=RunState.FINISHED, reason="")
    assert [file.epoch for file in lab.weights.list(run.id)] == [1, 2, 3]


@pytest.mark.parametrize("request_", [RunRequest.STOP, RunRequest.PAUSE])
def test_a_run_that_fails_after_a_stop_or_pause_request_has_the_reason_of_its_failure(
    lab: Lab, request_: RunRequest
) -> None:
    run, recorder = _begin(lab)
    lab.submissions.control(run.id, request_)
    recorder.fail("The device ran out of memory.")
    record = lab.store.runs.get(run.id)
    assert (record.state, record.reason) == (RunState.FAILED, "The device ran out of memory.")


def test_weights_larger_than_the_budget_stay_if_they_are_the_best_or_the_newest(lab: Lab) -> None:
    run, recorder = _begin(lab)
    for epoch, loss in enumerate((0.3, 0.1, 0.2, 0.5), 1):
        _epoch(recorder, epoch, loss=loss, size=1_200_000)
        assert lab.weights.list(run.id)[-1].epoch == epoch
    assert [file.epoch for file in lab.weights.list(run.id)] == [2, 4]


class _RefusesPoints(Points):
    """Refuses points while every other operation succeeds."""

    refuses = True

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        if self.refuses:
            raise StoreBusyError("The run store was held by another process.")
        return super().append(run, lease, points, progress=progress)


def test_no_file_is_listed_before_the_points_that_precede_it(lab: Lab) -> None:
    points = _RefusesPoints(lab.store.context)
    lab.store.points = points
    run, recorder = _begin(lab, outage=Outage(limit_s=0.0))
    recorder.record(_steps(1, 20))
    recorder.record(_checkpoint(20))
    assert lab.store.files.list(run.id) == ()
    points.refuses = False
    recorder.finish(_ended("paused", 20), state=RunState.PAUSED, reason="")
    assert [file.step for file in lab.store.files.list(run.id)] == [20]
    assert lab.store.points.read(run.id)["batch/loss"].step[-1] == 20


@pytest.mark.parametrize(
    ("outcome", "state", "codes"), [("finished", RunState.FINISHED, ["at-chance"]), ("paused", RunState.PAUSED, [])]
)
def test_a_short_run_is_diagnosed_at_its_end_and_not_at_a_pause(
    lab: Lab, outcome: str, state: RunState, codes: list[str]
) -> None:
    """So few steps reveal little about a run that continues."""
    run, recorder = _begin(lab)
    recorder.record(_steps(1, 60))
    metrics = {"train/loss": LOG_10, "val/loss": LOG_10, "train/accuracy": 0.1, "val/accuracy": 0.1}
    recorder.record(Evaluated(60, 3, 1.0, metrics, epoch_end=True))
    assert _codes(lab, run) == []
    recorder.finish(_ended(outcome, 60), state=state, reason="")
    assert _codes(lab, run) == codes


def test_predictions_within_an_epoch_replace_those_of_the_last_evaluation(lab: Lab) -> None:
    run, recorder = _begin(lab)
    recorder.record(Evaluated(0, 0, 0.0, {"test/loss": 2.0}, epoch_end=False, answers=((3, 0.75), (1, 0.5))))
    recorder.record(replace(_steps(1, 10), answers=((1, 0.5), (1, 0.625))))
    recorder.record(_steps(11, 12))
    recorder.finish(_ended("paused", 12), state=RunState.PAUSED, reason="")
    assert lab.store.runs.get(run.id).progress.answers == [[1, 0.5], [1, 0.625]]


@pytest.mark.parametrize(("back_to", "shown"), [(20, True), (10, False)])
def test_a_resumed_run_shows_its_newest_answers_unless_it_resumes_before_them(
    lab: Lab, back_to: int, shown: bool
) -> None:
    answers = ((3, 0.75), (1, 0.5))
    run, recorder = _begin(lab)
    recorder.record(_steps(1, 20))
    recorder.record(Evaluated(20, 1, 1.0, {"test/loss": 0.5}, epoch_end=True, answers=answers))
    recorder.record(_checkpoint(20))
    recorder.finish(_ended("paused", 20), state=RunState.PAUSED, reason="")
    lab.submissions.control(run.id, RunRequest.RUN)
    claimed = claim(lab)
    assert claimed.progress.as_dict() == {"answers": [[3, 0.75], [1, 0.5]]}
    RunRecorder(lab.store, lab.artifacts, claimed).phase("loading")
    assert lab.store.runs.get(run.id).progress.answers == [[3, 0.75], [1, 0.5]]
    again = RunRecorder(lab.store, lab.artifacts, claimed)
    again.record(_started(back_to))
    again.record(_steps(back_to + 1, 30))
    again.finish(_ended("paused", 30), state=RunState.PAUSED, reason="")
    assert lab.store.runs.get(run.id).progress.answers == ([[3, 0.75], [1, 0.5]] if shown else None)
