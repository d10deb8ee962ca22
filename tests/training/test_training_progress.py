"""The counters of a run: sums, the best epoch, patience, and the epoch of the newest metrics."""

import math

import numpy as np
import pytest

from lab.training.progress import Progress
from lab.training.recordings import WARM_UPS, Repeat, first_cause, first_line


def test_sums_are_weighted_by_images_and_do_not_depend_on_the_grouping() -> None:
    loss, right, images = np.array([2.0, 1.0, 0.5]), np.array([1, 3, 2]), np.array([4, 4, 2])
    whole, parts = Progress(), Progress()
    whole.add_steps(loss, right, images)
    for step in range(3):
        parts.add_steps(*(values[step : step + 1] for values in (loss, right, images)))
    assert whole == parts or math.isnan(whole.grad_norm)
    for progress in (whole, parts):
        sums = (progress.loss_sum, progress.right, progress.seen, progress.trained_images)
        assert sums == (2.0 * 4 + 1.0 * 4 + 0.5 * 2, 6, 10, 10)


def test_a_new_epoch_resets_the_sums_but_not_the_images_of_the_run() -> None:
    progress = Progress(epoch=3, step_in_epoch=7, train_seconds=9.0, epoch_seconds=2.0)
    progress.add_steps(np.array([2.0]), np.array([1]), np.array([4]))
    progress.open_epoch()
    assert (progress.epoch, progress.step_in_epoch) == (4, 0)
    assert (progress.loss_sum, progress.right, progress.seen, progress.epoch_seconds) == (0.0, 0, 0, 0.0)
    assert (progress.trained_images, progress.train_seconds) == (4, 9.0)


@pytest.mark.parametrize(("closed", "epoch"), [(-1, 0), (0, 0), (1, 1), (10, 1), (11, 2), (20, 2)])
def test_the_newest_closed_epoch_counts_from_one_and_includes_an_incomplete_one(closed: int, epoch: int) -> None:
    assert Progress(closed=closed).closed_epoch(10) == epoch


def test_the_best_epoch_has_the_lowest_loss_and_patience_needs_a_decrease_of_min_delta() -> None:
    progress = Progress()
    seen = []
    for loss in (1.0, 0.75, 0.5, 0.49, 0.5, math.nan, 0.24):
        progress.epoch += 1
        best = progress.note_validation(loss, min_delta=0.25)
        seen.append((best, progress.best_epoch, progress.patience_loss, progress.waited))
    assert seen == [
        (True, 1, 1.0, 0),
        (True, 2, 1.0, 1),  # a decrease of exactly min_delta does not count
        (True, 3, 0.5, 0),
        (True, 4, 0.5, 1),
        (False, 4, 0.5, 2),  # equal to the loss that patience compares with, but not the lowest
        (False, 4, 0.5, 3),
        (True, 7, 0.24, 0),
    ]
    assert progress.best_loss == 0.24
    assert not progress.note_validation(0.24, min_delta=0.0)


def test_a_repeated_step_is_warmed_up_recorded_and_replayed() -> None:
    taken: list[str] = []
    repeat = Repeat()
    repeat.record(lambda: taken.append("warm"), lambda: taken.append("step"))
    assert taken == ["warm"] * WARM_UPS + ["step"]
    repeat.replay()
    repeat.replay()
    assert taken[WARM_UPS:] == ["step"] * 3


def test_a_failed_capture_is_reported_by_the_first_line_of_the_error_of_the_step() -> None:
    step, end = RuntimeError("no memory\nTry less."), RuntimeError("capture failed")
    end.__context__ = step
    assert first_cause(end) is step
    assert first_cause(step) is step
    step.__context__ = ValueError("something else")
    assert first_cause(step) is step
    assert first_line(step) == "no memory"
