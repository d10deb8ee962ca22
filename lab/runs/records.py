"""The store's frozen records of runs, points and saved files. No SQL, no torch."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from lab.config import RunConfig
from lab.config.steps import epoch_steps
from lab.findings import Finding, Outcome, outcome_of
from lab.formatting import format_duration
from lab.runs.headline import HeadlineResult, result_of_summary
from lab.runs.run_facts import RunEnvironment, RunProgress, RunSummary

WEIGHTS = "weights"  # kind of saved file: the network after an epoch
CHECKPOINT = "checkpoint"  # everything that a run needs to resume
SILENT = "not responding"  # shown in lists for a running run whose worker has let its lease expire
PAUSING = "pausing"  # shown in lists for a run with a pending request to pause


class RunState(StrEnum):
    """Life cycle of a run. `STOPPING`, and `INTERRUPTED` if the owner has exited, are derived and not stored."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def in_training(self) -> bool:
        """Whether a worker holds it."""
        return self in (RunState.RUNNING, RunState.STOPPING)

    @property
    def live(self) -> bool:
        """Whether a worker trains it or will claim it."""
        return self.in_training or self is RunState.QUEUED

    @property
    def over(self) -> bool:
        """Whether no further step will follow unless somebody requests it."""
        return self in (RunState.FINISHED, RunState.STOPPED, RunState.FAILED)

    @property
    def resumable(self) -> bool:
        """Whether the run can be resumed."""
        return self in (RunState.PAUSED, RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED)


LIVE = (RunState.QUEUED, RunState.RUNNING)  # stored states of a live run; STOPPING is derived from its request
# The states in which an owner can end its part of a run.
ENDS = frozenset({RunState.FINISHED, RunState.STOPPED, RunState.PAUSED, RunState.FAILED, RunState.INTERRUPTED})


class RunRequest(StrEnum):
    """What the user requested; the worker of the run polls it a few times a second."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


def is_silent(state: RunState, *, responding: bool) -> bool:
    """Return whether a run is in training by its state, but its worker sends no heartbeat."""
    return state.in_training and not responding


def is_pausing(state: RunState, requested: RunRequest) -> bool:
    """Return whether a run is in training and was asked to pause."""
    return state is RunState.RUNNING and requested is RunRequest.PAUSE


def status_word(state: RunState, *, requested: RunRequest, responding: bool) -> str:
    """Return the word that every list shows for a run, and for a sweep's trial by its run, apart from outcomes."""
    if is_silent(state, responding=responding):
        return SILENT
    return PAUSING if is_pausing(state, requested) else str(state)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as stored.

    Times are seconds since the epoch (UTC); `seconds` is the pure training time of all attempts. `summary` holds the
    final numbers (`test_accuracy`, `val_accuracy`, `test_loss`, `best_epoch`, `images_per_second`, `params`, …), which
    are those of `final_epoch`; `headline` is the result that represents the run. `saved`: the result of the selected
    saved weights, None if no weights are saved. `progress` is the newest step (`step`, `total_steps`, `epoch`,
    `epochs`, `images_per_second`, `seconds`, `eta_seconds`, `device`, `phase`). `notices` are sentences collected
    during training (out of memory, disk budget). `findings` follow from its settings and curves and are replaced as
    a whole.
    """

    id: str
    name: str
    config: RunConfig
    fingerprint: str
    family: str
    state: RunState
    requested: RunRequest
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
    progress: RunProgress = field(default_factory=RunProgress)
    summary: RunSummary = field(default_factory=RunSummary)
    environment: RunEnvironment = field(default_factory=RunEnvironment)
    notices: tuple[str, ...] = ()
    number: int = 0  # sequence number in this store, from 1
    problem: str = ""  # why nothing else of it may be shown: it is damaged, or of another release
    findings: tuple[Finding, ...] = ()
    saved: HeadlineResult | None = None
    executor: str = ""  # the id of the one that trains it (`lab.executors`); "": a host's slots
    pause_epoch: int | None = None  # training pauses at the end of this epoch; None: at no epoch
    queued_at: float = 0.0  # when it was last queued; a move in the queue changes it
    owner: str = ""  # who requested it; "" if unnamed
    priority: int = 0  # in the queue, highest first
    heartbeat_age_s: float | None = None  # since its worker last renewed the lease, if the worker does not respond

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of a finished run that did not learn; None for every other run."""
        return outcome_of(self.findings) if self.state is RunState.FINISHED else None

    @property
    def status(self) -> str:
        """The word shown in all lists: the outcome of a finished run that did not learn, a transition, or the state."""
        if self.outcome:
            return str(self.outcome)
        return status_word(self.state, requested=self.requested, responding=self.responding)

    @property
    def silent(self) -> bool:
        """Whether the worker is alive but sends no heartbeat: it is suspended, or its machine sleeps."""
        return is_silent(self.state, responding=self.responding)

    @property
    def silence_text(self) -> str:
        """A phrase such as "no heartbeat for 4 min 05 s", "" while the worker responds."""
        if not self.silent:
            return ""
        return f"no heartbeat for {format_duration(self.heartbeat_age_s)}" if self.heartbeat_age_s else "no heartbeat"

    @property
    def pausing(self) -> bool:
        """Whether a request to pause is pending; the worker obeys it after a step or an evaluation."""
        return is_pausing(self.state, self.requested)

    @property
    def steps_per_epoch(self) -> int | None:
        """The number of steps in an epoch, or None if unknown."""
        if self.progress.steps_per_epoch or not self.environment.train_images:
            return self.progress.steps_per_epoch
        return epoch_steps(self.environment.train_images, self.config.batch_size)

    @property
    def has_weights(self) -> bool:
        """Whether there are saved weights to load."""
        return self.saved is not None

    @property
    def headline(self) -> HeadlineResult:
        """The result of the selected weights; for a run without saved weights, of its summary."""
        return self.saved or result_of_summary(self.summary, restore_best=self.config.restore_best)

    @property
    def last_result(self) -> HeadlineResult:
        """The result in the run's summary: its last whole epoch, or its best one if that was restored at the end."""
        return result_of_summary(self.summary, restore_best=self.config.restore_best)

    @property
    def end_text(self) -> str:
        """Such as "ended at 95.26 % test, epoch 5 of 5 (last)" if its headline is of another epoch, else "".

        A run that may be resumed "is at" its newest epoch.
        """
        last = self.last_result
        if self.state.live or last.epoch is None or last.epoch == self.headline.epoch:
            return ""
        over = self.state.over
        return f"{'ended' if over else 'is'} at {last.text(self.config.epochs, live=not over)}"

    @property
    def epochs_trained(self) -> int | None:
        """How many epochs were trained, counting whole ones if the run has not finished; None if unknown.

        A finished run's last epoch may have ended early, at the step limit.
        """
        steps, per_epoch = self.summary.steps, self.steps_per_epoch
        if self.state is RunState.FINISHED or steps is None or not per_epoch:
            return self.summary.epochs
        return steps // per_epoch

    @property
    def early_text(self) -> str:
        """Such as "stopped early after epoch 16 of 30 (patience 3)" if early stopping ended the run, else ""."""
        if self.summary.outcome != "early-stopped" or self.summary.epochs is None:
            return ""
        return (
            f"stopped early after epoch {self.summary.epochs} of {self.config.epochs} (patience {self.config.patience})"
        )

    @property
    def headline_text(self) -> str:
        """The headline as text, such as "96.38 % test, epoch 3 of 5 (best)"; "" if nothing was measured."""
        return self.headline.text(self.config.epochs, live=not self.state.over)

    @property
    def epoch_text(self) -> str:
        """The headline's epoch as text, such as "3 of 5 (best)"; "" if unknown."""
        return self.headline.epoch_text(self.config.epochs, live=not self.state.over)


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one run in step order. The arrays have equal length; values may be NaN or infinite."""

    name: str
    step: np.ndarray  # int64
    value: np.ndarray  # float64
    time_s: np.ndarray  # float64, training seconds since the start of the run

    def __getitem__(self, rows: slice | np.ndarray) -> "Series":
        """Return the points selected by a slice, a mask or indices."""
        return Series(self.name, self.step[rows], self.value[rows], self.time_s[rows])


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One artifact: `kind` is `WEIGHTS`, `CHECKPOINT` or a name chosen by another package."""

    run: str
    kind: str
    step: int
    epoch: int
    path: str
    sha256: str
    bytes: int
    created_at: float
