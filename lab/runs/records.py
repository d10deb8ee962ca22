"""What the store hands out: frozen records of runs, points and saved files. No SQL, no torch."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from lab.config import RunConfig
from lab.config.steps import epoch_steps
from lab.findings import Finding, Outcome, outcome_of
from lab.formatting import format_duration
from lab.runs.headline import HeadlineResult, result_of_summary
from lab.runs.run_facts import RunEnvironment, RunProgress, RunSummary

WEIGHTS = "weights"  # a saved file's kind: the network after an epoch
CHECKPOINT = "checkpoint"  # everything a run needs to go on
SILENT = "not responding"  # what lists show of a run at work whose worker has let its lease run out
PAUSING = "pausing"  # what lists show of a run that was asked to pause and has not yet


class RunState(StrEnum):
    """Life of a run. `STOPPING`, and `INTERRUPTED` of an owner that has ended, are read off the row, not only written by the owner."""

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
    def over(self) -> bool:
        """Whether no further step will come unless somebody asks for one."""
        return self in (RunState.FINISHED, RunState.STOPPED, RunState.FAILED)

    @property
    def resumable(self) -> bool:
        """Whether Resume makes sense."""
        return self in (RunState.PAUSED, RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED)


LIVE = (RunState.QUEUED, RunState.RUNNING)  # what a row of a live run says; STOPPING is read off its request
# What a run can end as when its owner lets go of it.
ENDS = frozenset({RunState.FINISHED, RunState.STOPPED, RunState.PAUSED, RunState.FAILED, RunState.INTERRUPTED})


class RunRequest(StrEnum):
    """What the user asked of a run; its worker looks at it a few times a second."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as the store knows it.

    Times are seconds since the epoch (UTC); `seconds` is pure training time summed over attempts.
    `summary` holds final numbers (`test_accuracy`, `val_accuracy`, `test_loss`, `best_epoch`, `images_per_second`,
    `params`, …), those of `final_epoch`; what the run is known by is `headline`. `saved`: the result of the saved
    selected weights, None where no weights are saved. `progress` is the newest step (`step`, `total_steps`, `epoch`,
    `epochs`, `images_per_second`, `seconds`, `eta_seconds`, `device`, `phase`). `notices` are sentences the run collected
    (out-of-memory, disk budget). `findings` are what its settings and curves say now; they are made anew and replaced
    as a whole.
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
    number: int = 0  # counts the runs of this store from 1
    problem: str = ""  # why nothing else of it is to be shown: damaged, or written by another release
    findings: tuple[Finding, ...] = ()
    saved: HeadlineResult | None = None
    executor: str = ""  # the engine that trains it (`lab.executors`); "": a host's slots
    pause_epoch: int | None = None  # training pauses at the end of this epoch; None: at no epoch
    queued_at: float = 0.0  # when it was queued last, or its place among its owner's runs once it was moved
    owner: str = ""  # who asked for it; "" for no one in particular
    priority: int = 0  # in the queue, the highest first
    heartbeat_age_s: float | None = None  # since its worker renewed its lease, where that does not respond

    @property
    def outcome(self) -> Outcome | None:
        """What became of a finished run that did not learn; None for every other."""
        return outcome_of(self.findings) if self.state is RunState.FINISHED else None

    @property
    def status(self) -> str:
        """The word that every list shows: a finished run's outcome where it did not learn, else the state or what it comes to."""
        if self.silent:
            return SILENT
        return PAUSING if self.pausing else str(self.outcome or self.state)

    @property
    def silent(self) -> bool:
        """Whether it is at work and its worker, which has not ended, sends no heartbeat: stopped, or its machine sleeps."""
        return self.state in (RunState.RUNNING, RunState.STOPPING) and not self.responding

    @property
    def silence_text(self) -> str:
        """Such as "no heartbeat for 4 min 05 s", "" while its worker responds."""
        if not self.silent:
            return ""
        return f"no heartbeat for {format_duration(self.heartbeat_age_s)}" if self.heartbeat_age_s else "no heartbeat"

    @property
    def pausing(self) -> bool:
        """Whether it was asked to pause and its worker has not yet: that takes a step, or an evaluation."""
        return self.state is RunState.RUNNING and self.requested is RunRequest.PAUSE

    @property
    def steps_per_epoch(self) -> int | None:
        """The updates of one epoch, None where they are not known."""
        if self.progress.steps_per_epoch or not self.environment.train_images:
            return self.progress.steps_per_epoch
        return epoch_steps(self.environment.train_images, self.config.batch_size)

    @property
    def has_weights(self) -> bool:
        """Whether weights are saved that can be loaded."""
        return self.saved is not None

    @property
    def headline(self) -> HeadlineResult:
        """The result of the selected weights; of a run without saved weights, what its summary says."""
        return self.saved or result_of_summary(self.summary, restore_best=self.config.restore_best)

    @property
    def last_result(self) -> HeadlineResult:
        """What the run's summary says: its last whole epoch, or its best one where that was restored at the end."""
        return result_of_summary(self.summary, restore_best=self.config.restore_best)

    @property
    def end_text(self) -> str:
        """Such as "ended at 95.26 % test, epoch 5 of 5 (last)" where that is another epoch than its headline's, else "".

        A run that may go on "stands at" its newest epoch.
        """
        last = self.last_result
        if self.state.live or last.epoch is None or last.epoch == self.headline.epoch:
            return ""
        over = self.state.over
        return f"{'ended' if over else 'stands'} at {last.text(self.config.epochs, live=not over)}"

    @property
    def epochs_trained(self) -> int | None:
        """How many epochs were trained, whole ones of a run that has not finished; None where that is not known.

        A finished run's last epoch may have ended early, at the limit of its steps.
        """
        steps, per_epoch = self.summary.steps, self.steps_per_epoch
        if self.state is RunState.FINISHED or steps is None or not per_epoch:
            return self.summary.epochs
        return steps // per_epoch

    @property
    def early_text(self) -> str:
        """Such as "stopped early after epoch 16 of 30 (patience 3)" of a run that early stopping ended, else ""."""
        if self.summary.outcome != "early-stopped" or self.summary.epochs is None:
            return ""
        return (
            f"stopped early after epoch {self.summary.epochs} of {self.config.epochs} (patience {self.config.patience})"
        )

    @property
    def headline_text(self) -> str:
        """The headline in words, such as "96.38 % test, epoch 3 of 5 (best)", "" where nothing was measured."""
        return self.headline.text(self.config.epochs, live=not self.state.over)

    @property
    def epoch_text(self) -> str:
        """The headline's epoch in words, such as "3 of 5 (best)", "" where it is not known."""
        return self.headline.epoch_text(self.config.epochs, live=not self.state.over)


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one run in step order; arrays of equal length, float64 values may be NaN or infinite."""

    name: str
    step: np.ndarray  # int64
    value: np.ndarray  # float64
    time_s: np.ndarray  # float64, training seconds since the start of the run

    def __getitem__(self, rows: slice | np.ndarray) -> "Series":
        """Return some of the points, by a slice, a mask or indices."""
        return Series(self.name, self.step[rows], self.value[rows], self.time_s[rows])


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One artifact: `kind` is `WEIGHTS`, `CHECKPOINT` or the name another package gives it."""

    run: str
    kind: str
    step: int
    epoch: int
    path: str
    sha256: str
    bytes: int
    created_at: float
