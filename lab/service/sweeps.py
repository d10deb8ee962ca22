"""Making sweeps and carrying them on: reads the store, lets `lab.sweeps` decide, and writes the decision in one piece.

`advance` may be called by anyone at any time: it derives everything from the store, and of two that decide at once one
finds that the sweep has changed and reads again. Trials are ordinary runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lab.errors import (
    ConfigError,
    DataError,
    DeviceError,
    LabError,
    RunNotFoundError,
    StaleSweepError,
    StoreError,
    SweepStateError,
    UnreadableRunError,
)
from lab.executors.config import list_executors, read_executors
from lab.runs.records import RunRecord
from lab.runs.run_queue import NewRunFacts
from lab.runs.store import RunStore
from lab.runs.sweeps import NewRun, SweepChange
from lab.service.submissions import Submissions
from lab.service.sweep_history import find_history
from lab.service.validation import Validation
from lab.settings import Settings
from lab.sweeps.plan import FoundTrial, best_trial, decide, failure_words, settle
from lab.sweeps.records import Counts, Measured, Source, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.space import Space
from lab.sweeps.spec import SweepSpec
from lab.sweeps.suggest import find_copy, suggest
from lab.worker.supervisor.slots import count_slots

AT_ONCE = 20  # trials made in one call at most
_TAG = "sweep-"
TRIES = 20  # how often a decision is made anew because another process was quicker
_TO_HOLD = (TrialState.QUEUED, TrialState.RUNNING)
_TO_GO_ON = (TrialState.HELD, TrialState.STOPPED, TrialState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far, with what was measured last. test_accuracy: None until the sweep has ended."""

    trial: TrialRecord
    measured: Measured
    test_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class SweepView:
    """A sweep with its trials as they are now. seconds and epochs: of computing that it paid for."""

    sweep: SweepRecord
    trials: tuple[TrialRecord, ...]
    counts: Counts
    seconds: float
    epochs: int
    best: Best | None


class Sweeps:
    """Creates sweeps, shows them, and does what people and workers ask of them."""

    def __init__(self, settings: Settings, store: RunStore, validation: Validation, submissions: Submissions) -> None:
        self._settings, self._store = settings, store
        self._validation, self._submissions = validation, submissions

    def check(self, spec: SweepSpec) -> None:
        """Raise `LabError` for a sweep that cannot be trained: a network, an option, a data set or an engine is not there."""
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
        """Store a sweep and queue its first trial. owner and priority: of all its trials, as `submit` has them. Raises `ConfigError`, `DataError`, `ReadOnlyError`."""
        self._settings.require_writable()
        self.check(spec)
        owner = self._settings.owner if owner is None else owner
        return self.advance(self._store.sweeps.create(spec, owner=owner, priority=priority).id)

    def list(self) -> tuple[SweepRecord, ...]:
        """Return all sweeps, the newest first; one that cannot be read has a `problem`."""
        return self._store.sweeps.list()

    def resolve(self, text: str) -> SweepRecord:
        """Return the sweep of an id, a name, or the beginning of an id. Raises `SweepNotFoundError`."""
        return self._store.sweeps.resolve(text)

    def show(self, sweep: str) -> SweepView:
        """Return a sweep and its trials as they are now. Raises `SweepNotFoundError`."""
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
        ended = record.state in (SweepState.FINISHED, SweepState.STOPPED)
        test = self._store.sweeps.test_accuracy(trial.run, trial.last.epoch) if ended else None
        return Best(trial, trial.last, test)

    def is_over_budget(self, run: str) -> bool:
        """Whether the sweep that pays for a run has used up its minutes of computing."""
        return self._store.sweeps.is_over_budget(run)

    # -- carrying on ---------------------------------------------------------------------------------------------------

    def advance_due(self) -> int:
        """Carry on every running sweep with fewer live trials than this host has slots; return how many there were.

        One whose trials an engine trains may have as many as that takes jobs.
        """
        jobs = {executor: self._at_once(executor) for executor in list_executors(self._settings)}
        due = self._store.sweeps.due(slots=count_slots(self._settings), jobs=jobs)
        for sweep in due:
            try:
                self._advance(sweep)
            except (SweepStateError, StaleSweepError):
                continue  # it cannot be read, which its list says; or others were quicker and look after it
        return len(due)

    def advance(self, sweep: str) -> SweepView:
        """Settle what has ended and do what comes next: promote a trial, make one, or end the sweep.

        Does nothing to a sweep that is not running. What forbids the next trial pauses the sweep and becomes its reason.
        """
        self._advance(sweep)
        return self.show(sweep)

    def _at_once(self, executor: str) -> int:
        """Return how many trials of a sweep may be in training or wait at once."""
        if not executor:
            return count_slots(self._settings)
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
                held=() if state is SweepState.RUNNING else _live_runs(found),
            )
            return change if plan.new is None else self._with_new(change, found, plan.new)

        started = 0
        # One trial is made at a time, and those that need no training are followed by the next.
        for _ in range(AT_ONCE):
            change = self._change(sweep, next_step)
            if change is None or change.record.state is not SweepState.RUNNING:
                return
            started += len(change.resumed) + (change.new is not None)
            if started >= self._at_once(change.record.asked.on):
                return

    def _with_new(self, change: SweepChange, found: Sequence[FoundTrial], number: int) -> SweepChange:
        """Add the next trial to a change; a trial that cannot be made is written down as failed."""
        spec, trials = change.record.asked, settle(change.record.asked, found)
        params = suggest(spec, trials, number)
        if params is None:
            return change
        trial = TrialRecord(number=number, run="", params=params, decision=_first_words(spec, params))
        copied = find_copy(trials, params)
        if copied is not None:
            words = f"the same settings as trial {copied.number}"
            copy = replace(trial, run=copied.run, source=Source.CACHED, state=TrialState.COPY, decision=words)
            return replace(change, trials=(*change.trials, copy))
        try:
            return replace(change, new=(trial, self._new_run(change.record, trial)))
        except StoreError:
            raise
        except (DeviceError, DataError) as error:  # no other settings would help
            return replace(change, record=replace(change.record, state=SweepState.PAUSED, reason=str(error)))
        except LabError as error:  # these settings do not go together; others may
            failed = replace(trial, state=TrialState.FAILED, decision=f"failed: {error}")
            reason = failure_words((*trials, failed))
            state = SweepState.PAUSED if reason else change.record.state
            record = replace(change.record, state=state, reason=reason)
            return replace(change, record=record, trials=(*change.trials, failed))

    def _new_run(self, record: SweepRecord, trial: TrialRecord) -> NewRun:
        resolved = self._validation.resolve(record.asked.config(trial.params))
        self._validation.check_fits(resolved)
        fingerprint, family = self._submissions.fingerprint(resolved)
        name = f"{record.name} {trial.number}"
        tags = (sweep_tag(record.id),)
        facts: NewRunFacts = {"fingerprint": fingerprint, "family": family, "name": name, "tags": tags}
        facts |= {"owner": record.owner, "priority": record.priority, "executor": record.asked.on}
        return NewRun(resolved.config, facts)

    def _change(
        self, sweep: str, step: Callable[[SweepRecord, Sequence[FoundTrial]], SweepChange | None]
    ) -> SweepChange | None:
        """Read, decide and write, until nobody else was quicker; return what was written, None for nothing."""
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
                self._store.sweeps.write(_without_unreadable(self._store, change))
            else:
                return change
        raise AssertionError("the last attempt returns or raises")

    # -- what people ask -----------------------------------------------------------------------------------------------

    def pause(self, sweep: str) -> SweepView:
        """Pause a sweep with the trial that is in training; `resume` goes on from the same step."""
        return self._halt(sweep, SweepState.PAUSED)

    def stop(self, sweep: str) -> SweepView:
        """End a sweep: its trial in training is paused, no other begins, and the test result of the best is shown."""
        return self._halt(sweep, SweepState.STOPPED)

    def _halt(self, sweep: str, state: SweepState) -> SweepView:
        def step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange | None:
            if record.state is state:
                return None
            if record.state is SweepState.FINISHED:
                raise SweepStateError(f"Sweep {record.id} is finished: extend it to go on.")
            settled = settle(record.asked, found)
            return SweepChange(
                record=replace(record, state=state, reason=""),
                trials=_changed(settled, found),
                held=[trial.run for trial in settled if trial.state in _TO_HOLD],
            )

        self._change(sweep, step)
        return self.show(sweep)

    def resume(self, sweep: str) -> SweepView:
        """Carry on a paused or stopped sweep; trials that were paused or stopped on their way go on."""

        def step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange | None:
            if record.state is SweepState.RUNNING:
                return None
            if record.state is SweepState.FINISHED:
                raise SweepStateError(f"Sweep {record.id} is finished: extend it with trials or minutes.")
            return _running_again(record, found)

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
        """Add trials or minutes, or replace the space; a finished sweep goes on. Trials outside a space stay as history.

        Raises `ConfigError` for what cannot be searched.
        """

        def step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange:
            spec = record.asked.extended(trials=trials, minutes=minutes, space=space)
            self.check(spec)
            after = replace(record, spec=spec, earlier=(*record.earlier, record.asked.as_dict()))
            if record.state is SweepState.FINISHED:
                return _running_again(after, found)
            # More minutes may meet a trial that is being paused because they were used up.
            held = minutes is not None and record.state is SweepState.RUNNING
            return _going_on(after, found, (TrialState.HELD,) if held else ())

        self._change(sweep, step)
        return self.advance(sweep)

    def adopt(self, sweep: str, runs: Iterable[RunRecord] | None = None) -> tuple[SweepView, int]:
        """Take old runs as history, those given or all that fit; return the sweep and how many were taken.

        A run fits that differs from the base only in what the space varies, has ended, and was measured at a rung or at its
        end. One that was paused at or after a rung can be promoted. Raises `SweepStateError` where a given run does not fit.
        """
        taken = 0

        def step(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange | None:
            nonlocal taken
            trials = settle(record.asked, found)
            adopted = find_history(self._store, self._validation, record.asked, trials, runs)
            taken = len(adopted)
            if not adopted:
                return None
            return SweepChange(record=record, trials=(*_changed(trials, found), *adopted))

        self._change(sweep, step)
        return self.show(sweep), taken


def sweep_tag(sweep: str) -> str:
    """Return the tag of a sweep's runs."""
    return f"{_TAG}{sweep}"


def sweeps_of(run: RunRecord) -> tuple[str, ...]:
    """Return the ids of the sweeps that made a run, by its tags; people may have removed them."""
    return tuple(tag.removeprefix(_TAG) for tag in run.tags if tag.startswith(_TAG))


def _first_words(spec: SweepSpec, params: Mapping[str, Any]) -> str:
    return f"new: trains to epoch {spec.rungs(params)[0]}"


def _changed(settled: Sequence[TrialRecord], found: Sequence[FoundTrial]) -> tuple[TrialRecord, ...]:
    """Return the trials whose decision or values are not written yet."""
    pairs = zip(settled, found, strict=True)
    return tuple(trial for trial, one in pairs if (one.changed or trial.state is not one.before) and not trial.problem)


def _running_again(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange:
    """Return the change that lets a sweep run again, with the trials that were on their way."""
    change = _going_on(replace(record, state=SweepState.RUNNING, reason=""), found, _TO_GO_ON)
    live = [one.trial for one in found if one.trial.state in _TO_HOLD]  # a pause that is not obeyed yet is taken back
    return replace(change, resumed=(*change.resumed, *live))


def _going_on(record: SweepRecord, found: Sequence[FoundTrial], states: Sequence[TrialState]) -> SweepChange:
    """Return the change that writes a sweep and lets its trials in some states go on."""
    spec = record.asked
    settled = settle(spec, found)
    going = {
        trial.number: replace(
            trial, state=TrialState.QUEUED, decision=f"goes on to epoch {spec.rungs(trial.params)[trial.rung]}"
        )
        for trial in settled
        if trial.state in states
    }
    others = [trial for trial in _changed(settled, found) if trial.number not in going]
    return SweepChange(record=record, trials=(*others, *going.values()), resumed=tuple(going.values()))


def _live_runs(found: Sequence[FoundTrial]) -> tuple[str, ...]:
    """Return the runs that are to pause because their sweep ends."""
    return tuple(one.trial.run for one in found if one.trial.state in _TO_HOLD)


def _without_unreadable(store: RunStore, change: SweepChange) -> SweepChange:
    """Return a change in which trials whose runs are damaged have failed instead of going on."""
    damaged: dict[str, str] = {}
    for trial in change.resumed:
        try:
            store.runs.get(trial.run)
        except UnreadableRunError as error:
            damaged[trial.run] = str(error)
        except RunNotFoundError:
            continue
    trials = [
        replace(trial, state=TrialState.FAILED, decision=f"failed: {damaged[trial.run]}")
        if trial.run in damaged
        else trial
        for trial in change.trials
    ]
    resumed = [trial for trial in change.resumed if trial.run not in damaged]
    return replace(change, trials=trials, resumed=resumed)
