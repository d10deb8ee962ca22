"""Stored sweeps and trials as frozen records. The current state of a trial is derived from its run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lab.sweeps.spec import SweepSpec

MIN_TRIALS = 8  # with fewer trials, importances are noise


class SweepState(StrEnum):
    """Life cycle of a sweep. A paused or stopped one can be resumed; a finished one resumes when it is extended."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"

    @property
    def over(self) -> bool:
        """Whether no trial is created any more, unless somebody resumes or extends the sweep."""
        return self in (SweepState.STOPPED, SweepState.FINISHED)


class TrialState(StrEnum):
    """The current state of a trial, derived from the state of its run and from its measurements."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"  # at its rung: measured, and promoted if it is among the best there
    HELD = "held"  # paused before its rung, by hand or with its sweep
    STOPPED = "stopped"  # by hand
    INTERRUPTED = "interrupted"  # its worker exited; the sweep queues it again
    FINISHED = "finished"
    FAILED = "failed"
    COPY = "copy"  # the same settings as an earlier trial, and therefore the same run

    @property
    def live(self) -> bool:
        """Whether a worker trains it or will claim it."""
        return self in (TrialState.QUEUED, TrialState.RUNNING)


# States of a trial whose run ended before its rung and can be resumed.
RESTING = (TrialState.HELD, TrialState.STOPPED, TrialState.INTERRUPTED)


class Source(StrEnum):
    """The origin of a trial."""

    SUGGESTED = "suggested"
    CACHED = "cached"  # suggested, and answered by an existing run at no cost
    ADOPTED = "adopted"  # an old run, adopted as history at no cost


@dataclass(frozen=True, slots=True)
class Measured:
    """The validation results after an epoch; NaN if the run diverged.

    spent_s: seconds of computing that the sweep had spent when this was recorded, NaN if unknown.
    """

    epoch: int
    val_loss: float
    val_accuracy: float
    spent_s: float = field(default=math.nan, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial. number: from 1. run: its run's id, "" if none could be created.

    params: the settings that the space varies. rung: the index of the rung that it is at or trains to. values: its
    measurements at each rung so far and at its end. decision: the reason for its state, in one sentence. seconds,
    epochs: the computing charged to the sweep. retries: how often in a row its worker exited without progress;
    retried_s: the run's seconds at the last retry. free_s, free_epochs: what its run had when it was adopted. problem:
    why nothing else of it may be shown. run_status: what lists show for its run, as "pausing". responding: False if the
    worker that trains it sends no heartbeat. Both are of the moment and do not count for comparisons.
    """

    number: int
    run: str
    params: Mapping[str, Any] = field(default_factory=dict)
    rung: int = 0
    values: tuple[Measured, ...] = ()
    state: TrialState = TrialState.QUEUED
    decision: str = ""
    source: Source = Source.SUGGESTED
    seconds: float = 0.0
    epochs: int = 0
    retries: int = 0
    retried_s: float = 0.0
    free_s: float = 0.0
    free_epochs: int = 0
    problem: str = ""
    run_status: str = field(default="", compare=False)
    responding: bool = field(default=True, compare=False)

    @property
    def status(self) -> str:
        """The word shown in tables: that of its run while a worker trains it, else the state."""
        return (self.state is TrialState.RUNNING and self.run_status) or str(self.state)

    def at(self, epoch: int) -> Measured | None:
        """Return the measurement after an epoch, or None if there is none."""
        return next((value for value in self.values if value.epoch == epoch), None)

    @property
    def last(self) -> Measured | None:
        """The measurement of the latest epoch, None if there is none."""
        return max(self.values, key=lambda value: value.epoch, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """One sweep. revision: incremented and compared by every change. earlier: its spec before each extension.

    owner, priority: those of its trials' runs in the queue. problem: why nothing else of it may be shown: it is
    damaged, or of a newer release.
    """

    id: str
    number: int
    name: str
    spec: SweepSpec | None
    state: SweepState
    reason: str = ""
    revision: int = 0
    created_at: float = math.nan
    finished_at: float | None = None
    earlier: tuple[Mapping[str, Any], ...] = ()
    owner: str = ""
    priority: int = 0
    problem: str = ""

    @property
    def asked(self) -> SweepSpec:
        """The spec. Raises `ValueError` if the sweep cannot be read."""
        if self.spec is None:
            raise ValueError(self.problem)
        return self.spec


@dataclass(frozen=True, slots=True)
class Importance:
    """share: fraction of all settings' importance, in [0, 1]. n: number of trials used (`lab.sweeps.importance`)."""

    name: str
    share: float
    n: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of trials by state, without copies.

    cached: those of all trials that needed no training. silent: the running ones whose worker does not respond.
    """

    finished: int
    paused: int
    failed: int
    running: int
    queued: int
    cached: int
    silent: int = 0

    @property
    def training(self) -> int:
        """The running trials whose worker responds."""
        return self.running - self.silent

    @classmethod
    def of(cls, trials: Sequence[TrialRecord]) -> "Counts":
        """Count trials."""
        states = [trial.state for trial in trials]
        return cls(
            finished=states.count(TrialState.FINISHED),
            paused=sum(state in (TrialState.PAUSED, TrialState.HELD) for state in states),
            failed=sum(state in (TrialState.FAILED, TrialState.STOPPED) for state in states),
            running=states.count(TrialState.RUNNING),
            queued=sum(state in (TrialState.QUEUED, TrialState.INTERRUPTED) for state in states),
            cached=sum(trial.source is Source.CACHED for trial in trials),
            silent=sum(trial.state is TrialState.RUNNING and not trial.responding for trial in trials),
        )


def objective(spec: SweepSpec, measured: Measured) -> float:
    """Return the value by which trials are compared, lower is better; infinite if the run diverged."""
    value = 1.0 - measured.val_accuracy if spec.by_accuracy else measured.val_loss
    return value if math.isfinite(value) and math.isfinite(measured.val_loss) else math.inf
