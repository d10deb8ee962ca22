"""Sweeps and their trials as the store hands them out: frozen records. What a trial does now is read off its run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lab.sweeps.spec import SweepSpec

LEAST_TRIALS = 8  # below which importances are chance


class SweepState(StrEnum):
    """Life of a sweep. Paused and stopped ones go on when asked to; a finished one when it is extended."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"


class TrialState(StrEnum):
    """What a trial does now, made from the state of its run and from what was measured."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"  # at its rung: measured, and promoted when it is among the best there
    HELD = "held"  # paused on its way to a rung, by hand or with its sweep
    STOPPED = "stopped"  # by hand
    INTERRUPTED = "interrupted"  # its worker ended; the sweep queues it again
    FINISHED = "finished"
    FAILED = "failed"
    COPY = "copy"  # the same settings as an earlier trial, and therefore the same run

    @property
    def live(self) -> bool:
        """Whether a worker has it or will take it."""
        return self in (TrialState.QUEUED, TrialState.RUNNING)


# States of a trial whose run has ended on its way and may go on.
RESTING = (TrialState.HELD, TrialState.STOPPED, TrialState.INTERRUPTED)


class Source(StrEnum):
    """Where a trial comes from."""

    SUGGESTED = "suggested"
    CACHED = "cached"  # suggested, and answered by a run that was there: costs nothing
    ADOPTED = "adopted"  # a run from before, taken as history: costs nothing


@dataclass(frozen=True, slots=True)
class Measured:
    """What the validation set gave after an epoch; NaN where the run diverged.

    spent_s: seconds of computing that the sweep had spent when it took this down, NaN where that is not known.
    """

    epoch: int
    val_loss: float
    val_accuracy: float
    spent_s: float = field(default=math.nan, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial. number: from 1. run: its run's id, "" where none could be made.

    params: the settings that the space varies. rung: the index of the rung that it is at, or on its way to. values: what
    was measured at each rung so far, and at its end. decision: in one sentence, why it is where it is. seconds and epochs:
    of computing that the sweep paid for. retries: how often in a row its worker ended without having trained it further,
    and retried_s the run's seconds then. free_s and free_epochs: what its run had when it was adopted. problem: why
    nothing else of it is shown.
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

    def at(self, epoch: int) -> Measured | None:
        """Return what was measured after an epoch, None where nothing was."""
        return next((value for value in self.values if value.epoch == epoch), None)

    @property
    def last(self) -> Measured | None:
        """What was measured last."""
        return max(self.values, key=lambda value: value.epoch, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """One sweep. revision: grows with every change, which compares it first. earlier: its specs before each extension.

    owner and priority: of its trials' runs in the queue. problem: why nothing else of it is shown: damaged, or of a newer
    release.
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
        """The spec of a sweep without a problem; `ValueError` for another."""
        if self.spec is None:
            raise ValueError(self.problem)
        return self.spec


@dataclass(frozen=True, slots=True)
class Importance:
    """share: of all settings' importance, in [0, 1]. n: trials from which it was computed (`lab.sweeps.importance`)."""

    name: str
    share: float
    n: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many trials are in which state; together they are all but the copies. cached: of all, answered without training."""

    finished: int
    paused: int
    failed: int
    running: int
    queued: int
    cached: int

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
        )


def objective(spec: SweepSpec, measured: Measured) -> float:
    """Return what trials are compared by, the smaller the better; infinite where the run diverged."""
    value = 1.0 - measured.val_accuracy if spec.by_accuracy else measured.val_loss
    return value if math.isfinite(value) and math.isfinite(measured.val_loss) else math.inf
