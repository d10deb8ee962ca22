"""Creating and advancing sweeps: reads the store, lets `lab.sweeps` decide, and writes the decision in one transaction.

Any process may call `advance` at any time: everything is derived from the store. If two processes decide at the same
time, one of them finds that the sweep has changed and reads it again. Trials are ordinary runs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from lab.errors import (
    ConfigError,
    RunNotFoundError,
    StaleSweepError,
    SweepStateError,
    UnreadableRunError,
)
from lab.executors.config import list_executors, read_executors
from lab.runs.records import SILENT, RunRecord
from lab.runs.store import RunStore
from lab.runs.sweeps import SweepChange
from lab.service.submissions import Submissions
from lab.service.sweep_changes import going_on, live_runs, running_again, without_unreadable
from lab.service.sweep_history import find_history
from lab.service.sweep_trials import NewTrials
from lab.service.validation import Validation
from lab.settings import Settings
from lab.sweeps.plan import FoundTrial, best_trial, changed_trials, decide, settle
from lab.sweeps.records import Counts, Measured, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.space import Space
from lab.sweeps.spec import SweepSpec
from lab.worker.supervisor.slots import count_slots

AT_ONCE = 20  # maximum number of trials created in one call
TRIES = 20  # how often a decision is attempted if other processes change the sweep first


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far, with its newest measurement, by which trials are compared.

    run: the trial's run, None if it cannot be read; its selected epoch (`lab.runs.headline`) may be another one.
    test_accuracy: after the epoch of `measured`, None until the sweep has ended.
    """

    trial: TrialRecord
    measured: Measured
    test_accuracy: float | None = None
    run: RunRecord | None = None

    @property
    def epoch_text(self) -> str:
        """The measured epoch: "epoch 4, its last", or "epoch 2, its last so far" if the trial may continue."""
        so_far = "" if self.trial.state is TrialState.FINISHED else " so far"
        return f"epoch {self.measured.epoch}, its last{so_far}"

    @property
    def selected_text(self) -> str:
        """A sentence that the run's headline is of another epoch; "" if it is of this one."""
        if self.run is None or self.run.headline.epoch in (None, self.measured.epoch):
            return ""
        return f"Trials are compared after their last epoch; the run's own page shows epoch {self.run.epoch_text}."


@dataclass(frozen=True, slots=True)
class SweepView:
    """A sweep with its current trials. seconds, epochs: the computing charged to it."""

    sweep: SweepRecord
    trials: tuple[TrialRecord, ...]
    counts: Counts
    seconds: float
    epochs: int
    best: Best | None

    @property
    def counts_text(self) -> str:
        """Such as "3 finished, 1 in training, 2 queued; 1 of them taken from earlier runs"; "" without trials."""
        counts = self.counts
        numbers = (
            (counts.finished, "finished"),
            (counts.training, "in training"),
            (counts.silent, SILENT),
            (counts.queued, "queued"),
            (counts.paused, "paused"),
            (counts.failed, "failed"),
        )
        words = ", ".join(f"{number} {word}" for number, word in numbers if number)
        return words + (f"; {counts.cached} of them taken from earlier runs" if counts.cached else "")


class Sweeps:
    """Creates, shows and advances sweeps, and carries out the requests of users."""

    def __init__(
        self,
        settings: Settings,
        store: RunStore,
        validation: Validation,
        submissions: Submissions,
        *,
        joined: bool = False,
    ) -> None:
        self._settings, self._store = settings, store
        self._validation, self._trials = validation, NewTrials(validation, submissions, joined=joined)
        self._joined = joined

    def check(self, spec: SweepSpec) -> None:
        """Raise `LabError` if a sweep cannot be trained: a network, option, data set or executor is missing."""
        read_executors(self._settings).check(spec.on)
        base = self._validation.resolve(spec.base)
        self._validation.check_fits(base)
        self._validation.check_trainable(base)
        for parameter in spec.space:
            given = {name: values[0] for name, values in parameter.when.items()}
            for value in parameter.values or parameter.bounds:
                try:
                    config = spec.config({**given, parameter.name: parameter.spec.check(value)})
                    self._validation.check_fits(self._validation.resolve(config))
                except ConfigError as error:
                    raise ConfigError(
                        f"The space cannot be searched at {parameter.name}: {error}", field=parameter.name
                    ) from error

    def create(self, spec: SweepSpec, *, owner: str | None = None, priority: int = 0) -> SweepView:
        """Store a sweep and queue its first trial. owner, priority: of all its trials, as for `submit`.

        Raises `ConfigError`, `DataError` or `ReadOnlyError`.
        """
        self._settings.require_writable()
        self.check(spec)
        owner = self._settings.owner if owner is None else owner
        return self.advance(self._store.sweeps.create(spec, owner=owner, priority=priority).id)

    def show(self, sweep: str) -> SweepView:
        """Return a sweep and its current trials. Raises `SweepNotFoundError`."""
        record, found = self._store.sweeps.find(sweep)
        return self._view(record, () if record.spec is None else settle(record.spec, found))

    def _view(self, record: SweepRecord, trials: Sequence[TrialRecord]) -> SweepView:
        best = None if record.spec is None else self._best(record, trials)
        return SweepView(
            record,
            tuple(trials),
            Counts.of(trials),
            sum(trial.seconds for trial in trials),
            sum(trial.epochs for trial in trials),
            best,
        )

    def _best(self, record: SweepRecord, trials: Sequence[TrialRecord]) -> Best | None:
        trial = best_trial(record.asked, trials)
        if trial is None or trial.last is None:
            return None
        try:
            run = self._store.runs.get(trial.run, deleted=True)
        except (RunNotFoundError, UnreadableRunError):
            return Best(trial, trial.last)
        test = self._store.sweeps.find_test_accuracy(run, trial.last.epoch) if record.state.over else None
        return Best(trial, trial.last, test, run)

    # -- advancing -----------------------------------------------------------------------------------------------------

    def advance_due(self) -> int:
        """Advance every running sweep with fewer live trials than there are slots; return how many there were.

        A sweep whose trials are trained by an executor may have as many live trials as the executor accepts jobs.
        """
        jobs = {executor: self._at_once(executor) for executor in list_executors(self._settings)}
        due = self._store.sweeps.due(slots=self._at_once(""), jobs=jobs)
        for sweep in due:
            try:
                self._advance(sweep)
            except (SweepStateError, StaleSweepError):
                continue  # unreadable, which the list reports, or already advanced by another process
        return len(due)

    def advance(self, sweep: str) -> SweepView:
        """Settle trials that have ended and take the next step: promote a trial, create one, or end the sweep.

        Has no effect on a sweep that is not running. An error that prevents the next trial pauses the sweep and is its
        reason.
        """
        self._advance(sweep)
        return self.show(sweep)

    def _at_once(self, executor: str) -> int:
        """Return how many trials of a sweep may be queued or in training at the same time."""
        if not executor:
            if self._store.database.is_sqlite:
                return count_slots(self._settings)
            # The slots of the lab's own machine are unknown here; it has at least one.
            own = 1 if self._joined else count_slots(self._settings)
            return own + self._store.hosts.count_joined_slots()
        return max(1, min(AT_ONCE, read_executors(self._settings).most_jobs(executor)))

    def _advance(self, sweep: str) -> None:
        def next_step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange | None:
            if record.state is not SweepState.RUNNING:
                return None
            plan = decide(record.asked, found, slots=self._at_once(record.asked.on))
            if plan.empty:
                return None
            state = SweepState.FINISHED if plan.finished else SweepState.PAUSED if plan.paused else record.state
            change = SweepChange(
                record=replace(record, state=state, reason=plan.finished or plan.paused),
                trials=plan.settled,
                resumed=plan.resumed,
                held=() if state is SweepState.RUNNING else live_runs(found),
            )
            if plan.new is not None:
                change = self._trials.add_next(change, found, plan.new)
            return change if change.differs_from(record) else None

        started = 0
        # Trials are created one at a time; one that needs no training is followed by the next.
        for _ in range(AT_ONCE):
            change = self._change(sweep, next_step)
            if change is None or change.record.state is not SweepState.RUNNING:
                return
            started += len(change.resumed) + (change.new is not None)
            if started >= self._at_once(change.record.asked.on):
                return

    def _change(
        self, sweep: str, step: Callable[[SweepRecord, Sequence[FoundTrial]], SweepChange | None]
    ) -> SweepChange | None:
        """Read, decide and write, until no other process interferes; return what was written, or None."""
        self._settings.require_writable()
        for attempt in range(TRIES):
            record, found = self._store.sweeps.find(sweep)
            if record.problem:
                raise SweepStateError(record.problem)
            change = step(record, found)
            if change is None:
                return None
            try:
                self._store.sweeps.write(change)
            except (StaleSweepError, RunNotFoundError):
                if attempt == TRIES - 1:
                    raise
            except UnreadableRunError:
                self._store.sweeps.write(without_unreadable(self._store, change))
            else:
                return change
        raise AssertionError("the last attempt returns or raises")

    # -- requests of users ---------------------------------------------------------------------------------------------

    def pause(self, sweep: str) -> SweepView:
        """Pause a sweep and the trials in training; `resume` continues at the same step."""
        return self._halt(sweep, SweepState.PAUSED)

    def stop(self, sweep: str) -> SweepView:
        """End a sweep: trials in training are paused, no more are created, and the best one's test result is shown."""
        return self._halt(sweep, SweepState.STOPPED)

    def _halt(self, sweep: str, state: SweepState) -> SweepView:
        def step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange | None:
            if record.state is state:
                return None
            if record.state is SweepState.FINISHED:
                raise SweepStateError(f"Sweep {record.id} is finished: extend it to continue.")
            settled = settle(record.asked, found)
            return SweepChange(
                record=replace(record, state=state, reason=""),
                trials=changed_trials(found, settled),
                held=[trial.run for trial in settled if trial.state.live],
            )

        self._change(sweep, step)
        return self.show(sweep)

    def resume(self, sweep: str) -> SweepView:
        """Resume a paused or stopped sweep, and its trials that were paused or stopped before their rung."""

        def step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange | None:
            if record.state is SweepState.RUNNING:
                return None
            if record.state is SweepState.FINISHED:
                raise SweepStateError(f"Sweep {record.id} is finished: extend it with trials or minutes.")
            return running_again(record, found)

        self._change(sweep, step)
        return self.advance(sweep)

    def extend(
        self,
        sweep: str,
        *,
        trials: int | None = None,
        minutes: float | None = None,
        space: Space | None = None,
    ) -> SweepView:
        """Add trials or minutes, or replace the space; a finished sweep resumes. Trials outside it stay as history.

        Raises `ConfigError` for a space that cannot be searched.
        """

        def step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange:
            spec = record.asked.extended(trials=trials, minutes=minutes, space=space)
            self.check(spec)
            after = replace(record, spec=spec, earlier=(*record.earlier, record.asked.as_dict()))
            if record.state is SweepState.FINISHED:
                return running_again(after, found)
            # With more minutes, a trial may still be pausing because the old ones were used up.
            held = minutes is not None and record.state is SweepState.RUNNING
            return going_on(after, found, (TrialState.HELD,) if held else ())

        self._change(sweep, step)
        return self.advance(sweep)

    def adopt(self, sweep: str, runs: Iterable[RunRecord] | None = None) -> tuple[SweepView, int]:
        """Adopt old runs as history, given ones or all that fit; return the sweep and the number of adopted runs.

        A run fits if it has ended, differs from the base only in what the space varies, and was measured at a rung or
        at its end. One that was paused at or after a rung can be promoted. Raises `SweepStateError` if a given run does
        not fit.
        """
        taken = 0

        def step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange | None:
            nonlocal taken
            trials = settle(record.asked, found)
            adopted = find_history(self._store, self._validation, record.asked, trials, runs)
            taken = len(adopted)
            if not adopted:
                return None
            return SweepChange(record=record, trials=(*changed_trials(found, trials), *adopted))

        self._change(sweep, step)
        return self.show(sweep), taken
