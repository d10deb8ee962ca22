"""The initial state of a fork, from a known checkpoint: its step counts, and which state it keeps and drops."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from lab.config import RunConfig
from lab.training.checkpoint import Checkpoint
from lab.training.fork import (
    EpochRecord,
    begin_from_weights,
    continue_with,
    keeps_optimizer_state,
    move_step,
    same_objective,
)
from lab.training.progress import Progress

BASE = RunConfig(dataset="digits", batch_size=10, epochs=9, optimizer="sgd", momentum=0.9)
WEIGHTS = {"w": torch.ones(1)}


def _saved(**changes: Any) -> Checkpoint:
    """Return the checkpoint after epoch 3 with 95 images in batches of ten."""
    progress = Progress(
        step=30,
        epoch=3,
        step_in_epoch=10,
        evaluated=30,
        closed=30,
        grad_norm=1.5,
        best_loss=0.25,
        best_epoch=2,
        patience_loss=0.3,
        waited=1,
        trained_images=285,
        best={"val/loss": 0.25},
    )
    environment = {"scaler": {"scale": 2.0}, "parts": 4, "threads": 1}
    parts: dict[str, Any] = {"optimizer": {"m": torch.zeros(1)}, "best": dict(WEIGHTS), "environment": environment}
    return Checkpoint(progress=progress, model=WEIGHTS, rng={}, **{**parts, **changes})


def _initial(saved: Checkpoint | None = None, **changes: Any) -> Checkpoint:
    return continue_with(saved or _saved(), before=BASE, config=BASE.replace(**changes), train_images=95)


def test_a_fork_that_changes_nothing_has_the_state_of_its_parent() -> None:
    saved = _saved()
    initial = continue_with(
        saved, before=BASE.replace(restore_best=True), config=BASE.replace(restore_best=True), train_images=95
    )
    assert initial == saved
    assert initial.progress is not saved.progress


@pytest.mark.parametrize(("size", "steps"), [(10, 10), (19, 5), (20, 5), (95, 1), (100, 1), (9, 11)])
def test_steps_are_counted_as_if_the_forks_batch_size_had_been_used_from_the_start(size: int, steps: int) -> None:
    progress = _initial(batch_size=size).progress
    assert (progress.step, progress.evaluated, progress.closed) == (3 * steps,) * 3
    assert (progress.step_in_epoch, progress.epoch, progress.trained_images) == (steps, 3, 285)


@pytest.mark.parametrize(
    ("changes", "dropped"),
    [
        ({"batch_size": 20}, {"parts"}),
        ({"precision": "float16"}, {"scaler"}),
        ({"lr": 0.5}, set()),
        ({"batch_size": 20, "precision": "bfloat16"}, {"parts", "scaler"}),
    ],
)
def test_the_scaler_is_dropped_with_the_precision_and_the_parts_with_the_batch_size(
    changes: dict[str, Any], dropped: set[str]
) -> None:
    saved = _saved()
    assert saved.environment.keys() - _initial(saved, **changes).environment.keys() == dropped
    assert saved.environment.keys() == {"scaler", "parts", "threads"}


@pytest.mark.parametrize("changes", [{"loss": "mse", "output": "softmax"}, {"label_smoothing": 0.1}])
def test_with_another_objective_the_best_epoch_and_patience_are_reset(changes: dict[str, Any]) -> None:
    initial = _initial(restore_best=True, **changes)
    progress = initial.progress
    assert (progress.best_loss, progress.best_epoch, progress.best) == (math.inf, 0, {})
    assert (progress.patience_loss, progress.waited, initial.best) == (math.inf, 0, {})
    assert not same_objective(BASE, BASE.replace(**changes))


def test_the_best_epoch_is_kept_if_its_weights_are_saved_or_not_needed() -> None:
    assert same_objective(BASE, BASE.replace(lr=0.5, optimizer="adam"))
    needed = _initial(restore_best=True)
    assert (needed.best, needed.progress.best_epoch, needed.progress.waited) == (WEIGHTS, 2, 1)
    unneeded = _initial(restore_best=False)
    assert (unneeded.best, unneeded.progress.best_epoch, unneeded.progress.best_loss) == ({}, 2, 0.25)
    lost = _initial(_saved(best={}), restore_best=True)
    assert (lost.progress.best_epoch, lost.progress.best_loss, lost.progress.best) == (0, math.inf, {})
    assert (lost.progress.patience_loss, lost.progress.waited) == (0.3, 1)  # these do not need weights


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({}, {}, True),
        ({}, {"momentum": 0.0}, True),
        ({}, {"optimizer": "adam"}, False),
        ({"optimizer": "rmsprop", "momentum": 0.0}, {"optimizer": "rmsprop", "momentum": 0.9}, False),
        ({"optimizer": "rmsprop", "momentum": 0.9}, {"optimizer": "rmsprop", "momentum": 0.0}, True),
        ({"optimizer": "rmsprop", "momentum": 0.9}, {"optimizer": "rmsprop", "momentum": 0.5}, True),
        ({"optimizer": "rmsprop", "momentum": 0.0}, {"optimizer": "rmsprop", "momentum": 0.0}, True),
        ({"optimizer": "sgd", "momentum": 0.0}, {"optimizer": "sgd", "momentum": 0.9}, True),
    ],
)
def test_moments_are_kept_for_the_same_optimizer(before: dict[str, Any], after: dict[str, Any], kept: bool) -> None:
    parent, other = BASE.replace(**before), BASE.replace(**after)
    assert keeps_optimizer_state(parent, other) is kept
    initial = continue_with(_saved(), before=parent, config=other, train_images=95)
    assert bool(initial.optimizer) is kept


def test_ends_of_epochs_move_to_ends_of_epochs_and_other_steps_in_between() -> None:
    steps = np.array([0, 1, 5, 10, 11, 20])
    assert move_step(steps, before=10, now=5).tolist() == [0, 1, 3, 5, 6, 10]
    assert move_step(steps, before=10, now=20).tolist() == [0, 2, 10, 20, 22, 40]
    assert move_step(steps, before=10, now=10).tolist() == steps.tolist()


def _record(loss: float | None, time_s: float) -> EpochRecord:
    return EpochRecord({"train/loss": 1.0} if loss is None else {"val/loss": loss, "val/accuracy": 1 - loss}, time_s)


def test_from_weights_alone_the_best_epoch_and_patience_follow_from_recorded_metrics() -> None:
    epochs = {at: _record(loss, 10.0 * at) for at, loss in enumerate((0.5, 0.25, 0.24, 0.3, 0.01), 1)}
    config = BASE.replace(min_delta=0.1, seed=7)
    initial = begin_from_weights(WEIGHTS, epochs, epoch=4, config=config, train_images=95)
    progress = initial.progress
    assert (progress.epoch, progress.step, progress.evaluated, progress.closed, progress.step_in_epoch) == (
        4,
        40,
        40,
        40,
        10,
    )
    assert (progress.trained_images, progress.seconds, progress.train_seconds) == (380, 40.0, 40.0)
    assert (progress.best_epoch, progress.best_loss, progress.best) == (
        3,
        0.24,
        {"val/loss": 0.24, "val/accuracy": 0.76},
    )
    assert (progress.patience_loss, progress.waited) == (0.25, 2)
    assert progress.latest == {"val/loss": 0.3, "val/accuracy": 0.7}
    assert (initial.model, initial.optimizer, initial.best, initial.environment) == (WEIGHTS, {}, {}, {})


def test_epochs_without_a_record_or_without_validation_are_skipped() -> None:
    initial = begin_from_weights(WEIGHTS, {2: _record(None, 5.0)}, epoch=3, config=BASE, train_images=95)
    assert (initial.progress.epoch, initial.progress.step, initial.progress.seconds) == (3, 30, 5.0)
    assert (initial.progress.best_epoch, initial.progress.waited) == (0, 0)


def test_the_random_numbers_of_dropout_depend_on_the_seed_and_the_epoch() -> None:
    def stream(epoch: int, seed: int) -> bytes:
        config = BASE.replace(seed=seed)
        state = begin_from_weights(WEIGHTS, {}, epoch=epoch, config=config, train_images=95).rng["cpu"]
        return state.numpy().tobytes()

    assert stream(1, 0) == stream(1, 0)
    assert len({stream(1, 0), stream(2, 0), stream(1, 1)}) == 3
