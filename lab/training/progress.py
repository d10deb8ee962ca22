"""Progress of a run: counters, running sums and the best epoch; JSON restores it exactly."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(slots=True)
class Progress:
    """The state of the loop, apart from tensors.

    `epoch` counts from 1 and is the epoch that `step` belongs to; `step_in_epoch` of its steps are done. `evaluated` is
    the latest step with an evaluation, `closed` the latest step at which an epoch was completed (-1: none). `loss_sum`,
    `right` (correct predictions) and `seen` (images) are sums over the epoch so far. `grad_norm` is that of the last
    step of the latest epoch. `best_loss` is the lowest validation loss, `patience_loss` the one that early stopping
    compares with (it decreases only by more than `min_delta`), `waited` the number of epochs since it changed.
    `seconds` is the engine's own time; `train_seconds` and `epoch_seconds` (of this epoch) are the part of it spent on
    updates. Field names are keys of stored checkpoints.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    evaluated: int = -1
    closed: int = -1
    loss_sum: float = 0.0
    right: int = 0
    seen: int = 0
    grad_norm: float = math.nan
    best_loss: float = math.inf
    best_epoch: int = 0
    patience_loss: float = math.inf
    waited: int = 0
    seconds: float = 0.0
    train_seconds: float = 0.0
    epoch_seconds: float = 0.0
    trained_images: int = 0
    latest: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)

    def open_epoch(self) -> None:
        """Start the next epoch."""
        self.epoch += 1
        self.step_in_epoch = 0
        self.loss_sum, self.right, self.seen, self.epoch_seconds = 0.0, 0, 0, 0.0

    def closed_epoch(self, steps_per_epoch: int) -> int:
        """Return the epoch of the metrics in `latest`: the latest completed one, 0 before the first."""
        return math.ceil(max(0, self.closed) / steps_per_epoch)

    def add_steps(self, loss: np.ndarray, correct: np.ndarray, images: np.ndarray) -> None:
        """Add consecutive steps to the epoch's sums, one by one, so that the result does not depend on the grouping."""
        self.loss_sum = float(np.cumsum(np.concatenate([[self.loss_sum], loss * images]))[-1])
        self.right += int(correct.sum())
        self.seen += int(images.sum())
        self.trained_images += int(images.sum())

    def note_validation(self, loss: float, *, min_delta: float) -> bool:
        """Record an epoch's validation loss; return whether it is the lowest so far, which NaN never is."""
        if loss < self.patience_loss - min_delta:
            self.patience_loss, self.waited = loss, 0
        else:
            self.waited += 1
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, self.epoch
            return True
        return False

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-safe values. Floats are exact hexadecimal text, which also represents NaN and infinities."""
        return {f.name: _pack(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Progress":
        """Build from `as_dict()`. Raises `KeyError`, `TypeError` or `ValueError` for other values."""
        return cls(**{f.name: _unpack(values[f.name]) for f in dataclasses.fields(cls)})


def _pack(value: Any) -> Any:
    if isinstance(value, float):
        return value.hex()
    return {k: _pack(v) for k, v in value.items()} if isinstance(value, dict) else value


def _unpack(value: Any) -> Any:
    if isinstance(value, str):
        return float.fromhex(value)
    return {k: _unpack(v) for k, v in value.items()} if isinstance(value, dict) else value
