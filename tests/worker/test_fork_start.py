"""Where a fork's curves end, how its steps are counted, and which checkpoints belong to a complete epoch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.metrics import list_epoch_metrics
from lab.runs.outage import Outage
from lab.runs.records import RunRecord, RunState, Series
from lab.service.forks import ForkPoint, find_fork_point, fork_config
from lab.service.lab import Lab
from lab.training.checkpoint import Checkpoint, weights_digest
from lab.training.events import Command
from lab.training.progress import Progress
from lab.worker.fork_start import ForkStart, _is_after, _moved
from lab.worker.recorder import RunRecorder
from tests.worker.worker_runs import SMALL, claim, open_lab, train, train_queued


def _curve(steps: Sequence[int]) -> Series:
    at = np.array(steps, dtype=np.int64)
    return Series("batch/loss", at, at / 10, at * 2.0)


@pytest.mark.parametrize(
    ("steps", "last", "before", "now", "moved", "sources"),
    [
        ([0, 1, 2, 3, 4, 5], 4, 2, 2, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ([0, 2, 5], 4, 2, 2, [0, 2], [0, 2]),
        ([1, 2, 3, 4, 5], 4, 2, 4, [2, 4, 6, 8], [1, 2, 3, 4]),
        ([0, 1, 2, 3, 4, 5], 4, 2, 1, [0, 1, 2], [0, 2, 4]),  # the last of the steps that coincide
        ([1, 2, 3], 3, 3, 2, [1, 2], [1, 3]),
        ([5, 6], 4, 2, 4, [], []),
        ([], 4, 2, 4, [], []),
    ],
)
def test_a_curve_is_copied_up_to_the_epoch_in_the_steps_of_the_fork(
    steps: list[int], last: int, before: int, now: int, moved: list[int], sources: list[int]
) -> None:
    found = _moved(_curve(steps), last=last, before=before, now=now)
    assert found.step.tolist() == moved
    assert found.value.tolist() == [step / 10 for step in sources]
    assert found.time_s.tolist() == [step * 2.0 for step in sources]
    assert found.name == "batch/loss"


@pytest.mark.parametrize(
    ("progress", "epoch", "after"),
    [
        (Progress(step=20, epoch=2, step_in_epoch=10, closed=20), 2, True),
        (Progress(step=20, epoch=2, step_in_epoch=10, closed=20), 1, False),
        (Progress(step=20, epoch=2, step_in_epoch=10, closed=10), 2, False),  # its metrics are not computed yet
        (Progress(step=15, epoch=2, step_in_epoch=5, closed=10), 2, False),
        (Progress(step=20, epoch=3, step_in_epoch=0, closed=20), 3, False),  # before the first step of epoch 3
        (Progress(step=20, epoch=3, step_in_epoch=0, closed=20), 2, False),
    ],
)
def test_a_checkpoint_belongs_to_an_epoch_once_its_metrics_are_computed(
    progress: Progress, epoch: int, after: bool
) -> None:
    assert _is_after(Checkpoint(progress, {}, {}, {}, {}, {}), epoch) is after


def test_recomputing_starts_at_the_end_of_the_continued_shorter_run_and_of_no_other(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    shorter = train(lab, SMALL.replace(epochs=2))
    one_cycle = SMALL.replace(schedule="one-cycle")
    lab.submissions.submit(lab.validation.resolve(one_cycle))
    alone = train_queued(lab)
    assert alone.family == ""

    def starts_after(epoch: int, parent: str = shorter.id, family: str = shorter.family) -> int | None:
        run = replace(shorter, id="ffff", parent=parent, family=family)
        recorder = RunRecorder(lab.store, lab.artifacts, run)
        start = ForkStart(lab, run, recorder, torch.device("cpu"), lambda: Command.RUN, Outage())
        begin = start._earlier_state(run, epoch)
        return begin.progress.epoch if begin else None

    assert [starts_after(epoch) for epoch in (1, 2, 3)] == [None, 2, 2]
    assert [starts_after(3, parent=parent) for parent in ("", "00000000")] == [None, None]
    assert [starts_after(3, family=family) for family in ("", "another")] == [None, None]
    assert starts_after(3, parent=alone.id, family="") is None  # fine-tuned: it started with the weights alone


def _start(lab: Lab, parent: RunRecord, **changes: object) -> tuple[ForkStart, RunRecord, ForkPoint]:
    """Claim a fork after the parent's first epoch; return its `ForkStart`, the run and the fork point."""
    point = find_fork_point(lab.store, parent, 1)
    lab.submissions.submit(lab.validation.resolve(fork_config(point, **changes)))
    run = claim(lab)
    recorder = RunRecorder(lab.store, lab.artifacts, run)
    return ForkStart(lab, run, recorder, torch.device("cpu"), lambda: Command.RUN, Outage()), run, point


def test_epochs_that_cannot_be_recomputed_are_replaced_by_saved_weights_and_metrics(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    parent = train(lab, SMALL.replace(epochs=2, val_fraction=0.25))
    start, _, point = _start(lab, parent)
    saved = start._from_weights(point, 48)
    assert weights_digest(dict(saved.model)) == weights_digest(
        lab.weights.load(parent.id, epoch=1).network.state_dict()
    )
    progress = saved.progress
    assert (progress.step, progress.epoch, progress.step_in_epoch, progress.closed) == (2, 1, 2, 2)
    assert (progress.trained_images, saved.optimizer, saved.best) == (48, {}, {})
    curves = lab.store.points.read(parent.id)
    records = start._epoch_records(point)
    assert list(records) == [1]
    assert records[1].metrics == {
        metric.id: curves[metric.id].value[curves[metric.id].step.tolist().index(2)]
        for metric in list_epoch_metrics()
        if metric.id in curves
    }
    assert {"train/loss", "val/loss", "val/accuracy", "test/accuracy"} <= set(records[1].metrics)
    assert records[1].time_s == curves["val/loss"].time_s[curves["val/loss"].step.tolist().index(2)]
    assert progress.best_loss == records[1].metrics["val/loss"]


def test_a_fork_that_restores_its_best_epoch_loads_the_weights_of_its_parent(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    parent = train(lab, SMALL.replace(epochs=2, val_fraction=0.25))
    own = lab.weights.load(parent.id, epoch=1).network.state_dict()
    for restore in (True, False):
        start, run, point = _start(lab, parent, restore_best=restore, lr=0.01)
        state = start._with_best_weights(start._from_weights(point, 48), point)
        assert (weights_digest(dict(state.best)) == weights_digest(own)) is restore
        assert bool(state.best) is restore
        lab.store.leases.finish(run.id, run.lease, state=RunState.STOPPED)
    lost = Checkpoint(Progress(best_epoch=9), {}, {}, {}, {}, {})
    start, _, point = _start(lab, parent, restore_best=True, lr=0.02)
    assert start._with_best_weights(lost, point) is lost, "the weights of that epoch are not saved"
    none = Checkpoint(Progress(best_epoch=0), {}, {}, {}, {}, {})
    assert start._with_best_weights(none, point) is none
