"""From rows of `sweeps` and `trials` to records, and back; damaged ones are named and break no list."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row

from lab.errors import ConfigError
from lab.runs import facts
from lab.runs.checksums import is_intact
from lab.runs.database import Moment
from lab.runs.records import RunState
from lab.runs.rows import decoded, derive
from lab.runs.run_facts import RunProgress
from lab.runs.sweeps_table import sweeps, trials
from lab.sweeps.plan import FoundTrial
from lab.sweeps.records import Measured, Source, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec

_BROKEN = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_AT_WORK = {
    RunState.QUEUED: TrialState.QUEUED,
    RunState.RUNNING: TrialState.RUNNING,
    RunState.STOPPING: TrialState.RUNNING,
}
_ENDED = {
    RunState.PAUSED: TrialState.HELD,
    RunState.STOPPED: TrialState.STOPPED,
    RunState.INTERRUPTED: TrialState.INTERRUPTED,
    RunState.FAILED: TrialState.FAILED,
}


def sweep_record(row: Row[Any]) -> SweepRecord:
    """Build the record of a row of `sweeps`; one that cannot be shown has a `problem`."""
    if not is_intact(row, sweeps):
        return _without_spec(row, _damaged(f"Sweep {str(row.id)[:40]}"))
    try:
        return SweepRecord(
            id=row.id,
            number=row.number,
            name=row.name,
            spec=SweepSpec.from_dict(decoded(row.spec)),
            state=SweepState(row.state),
            reason=row.reason,
            revision=row.revision,
            created_at=facts.moment_or_nan(row.created_at),
            finished_at=facts.usable_moment(row.finished_at),
            earlier=tuple(decoded(row.earlier)),
        )
    except ConfigError as error:
        return _without_spec(
            row, f"Sweep {row.id} cannot be read by this release ({str(error)[:110]}): update ConvLab."
        )
    except _BROKEN:
        return _without_spec(row, _damaged(f"Sweep {str(row.id)[:40]}"))


def _without_spec(row: Row[Any], problem: str) -> SweepRecord:
    return SweepRecord(
        id=str(row.id), number=row.number, name="", spec=None, state=SweepState.STOPPED, reason=problem, problem=problem
    )


def _damaged(what: str) -> str:
    return (
        f"{what} is damaged in the database (its checksum differs), so it is not shown: restore the store from a copy."
    )


def sweep_values(record: SweepRecord) -> dict[str, Any]:
    """Return the columns of `sweeps` that change with a record."""
    return {
        "name": record.name,
        "spec": record.asked.as_dict(),
        "earlier": [dict(spec) for spec in record.earlier],
        "state": record.state,
        "reason": record.reason,
        "revision": record.revision,
        "finished_at": record.finished_at,
    }


def trial_values(trial: TrialRecord) -> dict[str, Any]:
    """Return the columns of `trials` that hold a record."""
    return {
        "number": trial.number,
        "run": trial.run,
        "params": dict(trial.params),
        "rung": trial.rung,
        "measured": [[one.epoch, one.val_loss, one.val_accuracy, one.spent_s] for one in trial.values],
        "settled": trial.state,
        "decision": trial.decision,
        "source": trial.source,
        "retries": trial.retries,
        "retried_s": trial.retried_s,
        "free_s": trial.free_s,
        "free_epochs": trial.free_epochs,
    }


def found_trial(row: Row[Any], spec: SweepSpec, *, moment: Moment, copy: bool) -> FoundTrial:
    """Build what is known of a trial from its row joined with its run's columns (`lab.runs.sweeps`).

    copy: an earlier trial of the sweep has the same run. Its values are those that were written.
    """
    if not is_intact(row, trials):
        words = _damaged(f"Trial {row.number}")
        lost = TrialRecord(number=row.number, run=str(row.run), state=TrialState.FAILED, decision=words, problem=words)
        return FoundTrial(lost, TrialState.FAILED)
    try:
        before = TrialState(row.settled)
        trial = TrialRecord(
            number=row.number,
            run=row.run,
            params=decoded(row.params),
            rung=row.rung,
            values=tuple(Measured(int(epoch), *map(float, numbers)) for epoch, *numbers in decoded(row.measured)),
            decision=row.decision,
            source=Source(row.source),
            retries=row.retries,
            retried_s=float(row.retried_s),
            free_s=float(row.free_s),
            free_epochs=row.free_epochs,
        )
        trial = replace(trial, state=_state(row, trial, before, spec, moment=moment, copy=copy))
        trial = replace(trial, seconds=_seconds(row, trial), epochs=_epochs(row, trial, spec))
        return FoundTrial(trial, before, _reason(row))
    except _BROKEN:
        words = _damaged(f"Trial {row.number}")
        lost = TrialRecord(number=row.number, run=str(row.run), state=TrialState.FAILED, decision=words, problem=words)
        return FoundTrial(lost, TrialState.FAILED)


def with_values(one: FoundTrial, values: Sequence[Measured], spec: SweepSpec, *, spent_s: float) -> FoundTrial:
    """Return a trial with what was measured since; at its rung, it is paused there.

    spent_s: seconds of computing that the sweep has spent by now.
    """
    before = {value.epoch: value.spent_s for value in one.trial.values}
    now = tuple(replace(value, spent_s=before.get(value.epoch, spent_s)) for value in values)
    if repr(now) == repr(one.trial.values):  # in which NaN is equal to NaN
        return one
    trial = replace(one.trial, values=now)
    return replace(one, trial=replace(trial, state=at_rung(trial, spec)), changed=True)


def at_rung(trial: TrialRecord, spec: SweepSpec) -> TrialState:
    """Return the state of a trial: paused at its rung where it is measured there and not at work."""
    resting = trial.state in (TrialState.HELD, TrialState.STOPPED, TrialState.INTERRUPTED)
    target = spec.pause_epoch(trial.params, trial.rung)
    return TrialState.PAUSED if resting and target and trial.at(target) else trial.state


def _state(
    row: Row[Any], trial: TrialRecord, before: TrialState, spec: SweepSpec, *, moment: Moment, copy: bool
) -> TrialState:
    if copy:
        return TrialState.COPY
    if row.state is None or row.deleted_at is not None:
        return TrialState.FAILED
    owned = SimpleNamespace(
        **{name: getattr(row, name) for name in ("state", "want", "host", "pid", "pid_start", "lease_until")}
    )
    state = derive(owned, moment=moment)[0]  # type: ignore[arg-type]
    if state in _AT_WORK:
        return _AT_WORK[state]
    if state is RunState.FINISHED:
        return TrialState.FINISHED
    if before is TrialState.FAILED:
        return before
    return at_rung(replace(trial, state=_ENDED[state]), spec)


def _reason(row: Row[Any]) -> str:
    if not row.run:
        return ""
    if row.state is None or row.deleted_at is not None:
        return "its run was deleted"
    return row.run_reason or ""


def _seconds(row: Row[Any], trial: TrialRecord) -> float:
    free = trial.source is Source.CACHED or trial.state is TrialState.COPY
    return 0.0 if free else max(0.0, facts.usable_span(row.seconds or 0.0) - trial.free_s)


def _epochs(row: Row[Any], trial: TrialRecord, spec: SweepSpec) -> int:
    """Return how many epochs of its run the sweep paid for, the one that is under way among them."""
    if trial.source is Source.CACHED or trial.state is TrialState.COPY:
        return 0
    progress = {} if row.progress is None else decoded(row.progress)
    known = RunProgress.read(progress).epoch or 0 if progress else 0
    measured = trial.last.epoch if trial.last else 0
    return max(0, max(known, measured) - trial.free_epochs)
