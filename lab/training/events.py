"""The events that training yields: small frozen records, in the order things happened. No torch, no store, no page.

Metric names are `series/…` as they are stored: `batch/loss`, `batch/accuracy` (every step) and `train/loss`,
`train/accuracy`, `val/loss`, `val/accuracy`, `test/loss`, `test/accuracy`, `lr`, `grad_norm`, `images_per_second`,
`memory_mb` (per epoch, at the epoch's last step; validation also between, and `lr` wherever it changes). A step counts updates from 1; step 0 is
before training (evaluated on the first 1,000 images of each set). `epoch` counts from 1 and is the one a step belongs
to. `time_s` is the engine's own time since the start of the run in seconds, over all attempts: updates and evaluations,
without what is done with the events.
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
    """What is requested of the loop, which polls for it between two steps."""

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
    """Loss and accuracy of consecutive steps, gathered on the device and yielded a few times a second.

    `lr_step` has those of the steps at which the learning rate `lr` is recorded (`schedules.recorded_steps`).
    """

    step: np.ndarray  # int64 (n,)
    loss: np.ndarray  # float64 (n,)
    accuracy: np.ndarray  # float64 (n,), shares in [0, 1]
    time_s: np.ndarray  # float64 (n,)
    images_per_second: float
    lr_step: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # int64 (k,)
    lr: np.ndarray = field(default_factory=lambda: np.empty(0))  # float64 (k,)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Metrics computed at one step: an evaluation between epochs, or an epoch's whole set.

    answers: to the sample images (`lab.training.samples`), None where the test set was not evaluated.
    """

    step: int
    epoch: int
    time_s: float
    metrics: Mapping[str, float]
    epoch_end: bool
    answers: "tuple[Answer, ...] | None" = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state to be saved before training goes on.

    `kind` is "weights" (model only) or "checkpoint" (everything needed to resume bit-exactly). The tensors that `state`
    returns are the run's own: they must be copied or written before the next event is asked for.
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
    """A step was taken, and another run of this process may take one; only where that was asked for (`train(turns=True)`)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event. `outcome` is "finished", "early-stopped", "paused" or "stopped".

    planned: it paused at the end of the epoch that it was to pause after, and not because of a request.
    """

    outcome: str
    step: int
    epoch: int
    time_s: float
    summary: Mapping[str, Any]
    planned: bool = False


Event: TypeAlias = Started | StepMetrics | Evaluated | Snapshot | Notice | Turn | Ended
