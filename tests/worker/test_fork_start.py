"""Where a fork's curves end and how its steps are counted, and which checkpoints are those of a whole epoch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.runs.outage import Outage
from lab.runs.records import Series
from lab.training.checkpoint import Checkpoint
from lab.training.events import Command
from lab.training.progress import Progress
from lab.worker.fork_start import ForkStart, _is_after, _moved
from lab.worker.recorder import RunRecorder
from tests.worker.worker_runs import SMALL, open_lab, train, work_off


def _curve(steps: Sequence[int]) -> Series:
    at = np.array(steps, dtype=np.int64)
    return Series("batch/loss", at, at / 10, at * 2.0)


@pytest.mark.parametrize(
    ("steps", "last", "before", "now", "moved", "kept"),
    [
        ([0, 1, 2, 3, 4, 5], 4, 2, 2, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ([0, 2, 5], 4, 2, 2, [0, 2], [0, 2]),
        ([1, 2, 3, 4, 5], 4, 2, 4, [2, 4, 6, 8], [1, 2, 3, 4]),
        ([0, 1, 2, 3, 4, 5], 4, 2, 1, [0, 1, 2], [0, 2, 4]),  # the last of those that fall together
        ([1, 2, 3], 3, 3, 2, [1, 2], [1, 3]),
        ([5, 6], 4, 2, 4, [], []),
        ([], 4, 2, 4, [], []),
    ],
)
def test_a_curve_is_taken_up_to_the_epoch_in_the_steps_of_the_fork(
    steps: list[int], last: int, before: int, now: int, moved: list[int], kept: list[int]
) -> None:
    found = _moved(_curve(steps), last=last, before=before, now=now)
    assert found.step.tolist() == moved
    assert found.value.tolist() == [step / 10 for step in kept]
    assert found.time_s.tolist() == [step * 2.0 for step in kept]
    assert found.name == "batch/loss"


@pytest.mark.parametrize(
    ("progress", "epoch", "after"),
    [
        (Progress(step=20, epoch=2, step_in_epoch=10, closed=20), 2, True),
        (Progress(step=20, epoch=2, step_in_epoch=10, closed=20), 1, False),
        (Progress(step=20, epoch=2, step_in_epoch=10, closed=10), 2, False),  # its metrics are not taken yet
        (Progress(step=15, epoch=2, step_in_epoch=5, closed=10), 2, False),
        (Progress(step=20, epoch=3, step_in_epoch=0, closed=20), 3, False),  # before the first step of the third
        (Progress(step=20, epoch=3, step_in_epoch=0, closed=20), 2, False),
    ],
)
def test_a_checkpoint_is_that_of_an_epoch_once_its_end_is_done(progress: Progress, epoch: int, after: bool) -> None:
    assert _is_after(Checkpoint(progress, {}, {}, {}, {}, {}), epoch) is after


def test_recomputing_begins_at_the_end_of_the_shorter_run_that_was_continued_and_of_no_other(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    shorter = train(lab, SMALL.replace(epochs=2))
    looks_ahead = SMALL.replace(schedule="one-cycle")
    lab.submissions.submit(lab.validation.resolve(looks_ahead))
    alone = work_off(lab)
    assert alone.family == ""

    def begins_after(epoch: int, parent: str = shorter.id, family: str = shorter.family) -> int | None:
        run = replace(shorter, id="ffff", parent=parent, family=family)
        recorder = RunRecorder(lab.store, lab.artifacts, run)
        start = ForkStart(lab, run, recorder, torch.device("cpu"), lambda: Command.RUN, Outage())
        begin = start._earlier_state(run, epoch)
        return begin.progress.epoch if begin else None

    assert [begins_after(epoch) for epoch in (1, 2, 3)] == [None, 2, 2]
    assert [begins_after(3, parent=parent) for parent in ("", "00000000")] == [None, None]
    assert [begins_after(3, family=family) for family in ("", "another")] == [None, None]
    assert begins_after(3, parent=alone.id, family="") is None  # fine-tuned: it began with the weights alone
