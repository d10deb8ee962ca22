"""The events that training yields: small frozen records in chronological order. No torch, no store, no page.

Metric names are those of `lab.metrics`: `batch/loss` and `batch/accuracy` (every step), `train/loss`, `train/accuracy`,
`val/loss`, `val/accuracy`, `test/loss`, `test/accuracy`, `lr`, `grad_norm`, `images_per_second` and `memory_mb` (per
epoch, at its last step; validation also in between, and `lr` wherever it changes). Steps count updates from 1; step 0
is before training (evaluated on the first 1,000 images of each set). `epoch` counts from 1 and is the epoch that a step
belongs to. `time_s` is the engine's own time in seconds since the start of the run, over all attempts: updates and
evaluations, without the handling of events.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from lab.training.checkpoint import Checkpoint, Weights
    from lab.training.samples import Answer


class Command(StrEnum):
    """A request to the loop, which polls for it between steps."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Started:
    """The run is about to take its first (or, resumed, next) step."""

    device: str
    step: int
    total_steps: int
    steps_per_epoch: int
    train_images: int
    val_images: int
    test_images: int
    params: int
    environment: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """Loss and accuracy of consecutive steps, collected on the device and yielded a few times per second.

    `lr_step` has the steps at which the learning rate `lr` is recorded (`schedules.recorded_steps`). answers:
    predictions for the sample images (`lab.training.samples`) after the last of these steps, None if not computed.
    """

    step: np.ndarray  # int64 (n,)
    loss: np.ndarray  # float64 (n,)
    accuracy: np.ndarray  # float64 (n,), shares in [0, 1]
    time_s: np.ndarray  # float64 (n,)
    images_per_second: float
    lr_step: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # int64 (k,)
    lr: np.ndarray = field(default_factory=lambda: np.empty(0))  # float64 (k,)
    answers: "tuple[Answer, ...] | None" = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Metrics computed at one step: an evaluation before or inside an epoch, or all metrics at its end.

    answers: predictions for the sample images, None if the test set was not evaluated.
    """

    step: int
    epoch: int
    time_s: float
    metrics: Mapping[str, float]
    epoch_end: bool
    answers: "tuple[Answer, ...] | None" = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state to be saved before training continues.

    `kind` is "weights" (model only) or "checkpoint" (everything needed to resume bit-exactly). The tensors that `state`
    returns are the run's own, so they must be copied or written before the next event is requested.
    """

    kind: str
    step: int
    epoch: int
    state: "Callable[[], Checkpoint | Weights]"


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to the user, such as that batches were halved."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A step was taken, and another run of this process may take one. Only yielded with `train(turns=True)`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event. `outcome` is "finished", "early-stopped", "paused" or "stopped".

    planned: whether it paused because of `pause_epoch` and not because of a request.
    """

    outcome: str
    step: int
    epoch: int
    time_s: float
    summary: Mapping[str, Any]
    planned: bool = False


Event: TypeAlias = Started | StepMetrics | Evaluated | Snapshot | Notice | Turn | Ended
