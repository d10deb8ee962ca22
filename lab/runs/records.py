"""What the store hands out: frozen records of runs, points and kept files. No SQL, no torch."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from lab.config import RunConfig

WEIGHTS = "weights"  # a kept file's kind: the network after an epoch
CHECKPOINT = "checkpoint"  # everything a run needs to go on


class RunState(StrEnum):
    """Life of a run. `STOPPING` and a dead owner's `INTERRUPTED` are read off the row, not only written by the owner."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def live(self) -> bool:
        """Whether a worker has it or will take it."""
        return self in (RunState.QUEUED, RunState.RUNNING, RunState.STOPPING)

    @property
    def resumable(self) -> bool:
        """Whether Resume makes sense."""
        return self in (RunState.PAUSED, RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED)


class Want(StrEnum):
    """What the user asked of a run; its worker looks at it a few times a second."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as the store knows it.

    Times are seconds since the epoch (UTC); `seconds` is pure training time summed over attempts.
    `summary` holds final numbers (`test_accuracy`, `val_accuracy`, `test_loss`, `best_epoch`, `images_per_second`,
    `params`, …); `progress` the newest step (`step`, `total_steps`, `epoch`, `epochs`, `images_per_second`,
    `seconds`, `eta_seconds`, `device`, `phase`). `notices` are sentences the run collected (out-of-memory, mistakes).
    """

    id: str
    name: str
    config: RunConfig
    fingerprint: str
    family: str
    state: RunState
    want: Want
    responding: bool
    reason: str
    lease: int
    attempts: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    seconds: float
    device: str
    parent: str | None
    origin: str
    pinned: bool
    note: str
    tags: tuple[str, ...]
    progress: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    number: int = 0  # counts the runs of this store from 1


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one run in step order; arrays of equal length, float64 values may be NaN or infinite."""

    name: str
    step: np.ndarray  # int64
    value: np.ndarray  # float64
    time_s: np.ndarray  # float64, training seconds since the start of the run


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One artifact: `kind` is `WEIGHTS`, `CHECKPOINT` or another room's word."""

    run: str
    kind: str
    step: int
    epoch: int
    path: str
    sha256: str
    bytes: int
    created_at: float
