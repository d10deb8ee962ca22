"""The initial state of a fork: the state of another run after an epoch, adapted to the fork's settings.

Steps are counted as if the fork's settings had applied from the start: after epoch N the fork is at N times *its* steps
per epoch, so that schedules, step limits and the epochs of its points need no offset. If no setting changes, the state
is bit-identical to the other run's.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.config import OBJECTIVE, RunConfig
from lab.config.steps import epoch_steps
from lab.metrics import VAL_LOSS
from lab.seeding import derive_seed
from lab.training.checkpoint import Checkpoint
from lab.training.progress import Progress


def same_objective(before: RunConfig, config: RunConfig) -> bool:
    """Return whether the validation losses of two configurations can be compared."""
    return all(getattr(before, name) == getattr(config, name) for name in OBJECTIVE)


def keeps_optimizer_state(before: RunConfig, config: RunConfig) -> bool:
    """Return whether the optimizer's state can be reused, which that of another optimizer cannot.

    RMSprop creates its momentum buffers together with its other state, so momentum cannot be turned on later.
    """
    if before.optimizer != config.optimizer:
        return False
    return config.optimizer != "rmsprop" or before.momentum > 0 or config.momentum == 0


def move_step(step: np.ndarray, *, before: int, now: int) -> np.ndarray:
    """Return steps (int64) of epochs of `before` steps, rescaled to epochs of `now` steps; ends of epochs stay ends."""
    moved: np.ndarray = -(-step * now // before)
    return moved


def continue_with(saved: Checkpoint, *, before: RunConfig, config: RunConfig, train_images: int) -> Checkpoint:
    """Return the state after an epoch of a run of `before` as the state from which a run of `config` continues.

    The state of a different optimizer is dropped. If the objective changes, the best epoch and early stopping's
    patience are reset, because losses of two objectives cannot be compared. The best epoch is also reset if it is to be
    restored at the end and the state does not have its weights.
    """
    progress = copy.deepcopy(saved.progress)
    steps = epoch_steps(train_images, config.batch_size)
    progress.step = progress.evaluated = progress.closed = progress.epoch * steps
    progress.step_in_epoch = steps
    best = saved.best if config.restore_best else {}
    if not same_objective(before, config):
        _forget_best(progress)
        progress.patience_loss, progress.waited = math.inf, 0
        best = {}
    elif config.restore_best and not best:
        _forget_best(progress)
    environment = dict(saved.environment)
    if config.precision != before.precision:
        environment.pop("scaler", None)
    if config.batch_size != before.batch_size:
        environment.pop("parts", None)
    optimizer = saved.optimizer if keeps_optimizer_state(before, config) else {}
    return replace(saved, progress=progress, optimizer=optimizer, best=best, environment=environment)


def _forget_best(progress: Progress) -> None:
    progress.best_loss, progress.best_epoch, progress.best = math.inf, 0, {}


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """The record of an epoch's end: metrics by name, and the engine's time in seconds."""

    metrics: Mapping[str, float]
    time_s: float


def begin_from_weights(
    weights: Mapping[str, Tensor],
    epochs: Mapping[int, EpochRecord],
    *,
    epoch: int,
    config: RunConfig,
    train_images: int,
) -> Checkpoint:
    """Return a state after `epoch` from weights only, with a new optimizer state and a new random stream for dropout.

    epochs: the records of a run of `config`, which determine the best epoch and early stopping's patience.
    """
    progress = _replay(epochs, last=epoch, min_delta=config.min_delta)
    steps = epoch_steps(train_images, config.batch_size)
    progress.step = progress.evaluated = progress.closed = epoch * steps
    progress.step_in_epoch = steps
    progress.trained_images = epoch * train_images
    stream = torch.Generator().manual_seed(derive_seed(config.seed, "fork", epoch))
    return Checkpoint(
        progress=progress, model=weights, optimizer={}, rng={"cpu": stream.get_state()}, best={}, environment={}
    )


def _replay(epochs: Mapping[int, EpochRecord], *, last: int, min_delta: float) -> Progress:
    """Return the progress of a run after these epochs, computed with `note_validation`."""
    progress = Progress()
    for epoch in sorted(number for number in epochs if number <= last):
        record = epochs[epoch]
        progress.epoch, progress.latest = epoch, dict(record.metrics)
        progress.seconds = progress.train_seconds = record.time_s
        loss: Any = record.metrics.get(VAL_LOSS.id)
        if loss is not None and progress.note_validation(loss, min_delta=min_delta):
            progress.best = dict(record.metrics)
    progress.epoch = last
    return progress
