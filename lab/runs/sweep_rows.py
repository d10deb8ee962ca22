"""Conversion of rows of `sweeps` and `trials` to records and back; damaged rows are reported and break no list."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from lab.errors import ConfigError
from lab.runs import facts
from lab.runs.checksums import DAMAGED, is_intact
from lab.runs.database import Moment
from lab.runs.records import RunRequest, RunState, status_word
from lab.runs.rows import decoded, derive
from lab.runs.run_facts import RunProgress
from lab.runs.tables import sweeps, trials
from lab.sweeps.plan import FoundTrial
from lab.sweeps.records import RESTING, Measured, Source, SweepRecord, SweepState, TrialRecord, TrialState
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
    """Build the record of a row of `sweeps`; one that cannot be read has a `problem`."""
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
            owner=row.owner,
            priority=row.priority,
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
    return f"{what} {DAMAGED}, so it is not shown: restore the store from a copy."


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
    """Build a trial from its row joined with its run's columns (`lab.runs.sweeps`).

    copy: an earlier trial of the sweep has the same run. The values are those that are recorded.
    """
    try:
        if is_intact(row, trials):
            return _decoded(row, spec, moment=moment, copy=copy)
    except _BROKEN:
        pass  # the checksum matches, but the values are invalid
    words = _damaged(f"Trial {row.number}")
    lost = TrialRecord(number=row.number, run=str(row.run), state=TrialState.FAILED, decision=words, problem=words)
    return FoundTrial(lost, TrialState.FAILED)


def _decoded(row: Row[Any], spec: SweepSpec, *, moment: Moment, copy: bool) -> FoundTrial:
    params, source, before = decoded(row.params), Source(row.source), TrialState(row.settled)
    values = tuple(Measured(int(epoch), *map(float, numbers)) for epoch, *numbers in decoded(row.measured))
    run_state, responding = _run_state(row, moment)
    state = TrialState.COPY if copy else _state(run_state, before)
    if state in RESTING:
        state = _at_rung(state, spec.pause_epoch(params, row.rung), values)
    free = state is TrialState.COPY or source is Source.CACHED
    trial = TrialRecord(
        number=row.number,
        run=row.run,
        params=params,
        rung=row.rung,
        values=values,
        state=state,
        decision=row.decision,
        source=source,
        seconds=0.0 if free else max(0.0, facts.usable_span(row.seconds or 0.0) - row.free_s),
        epochs=0 if free else max(0, _epochs(row, state, source, values) - row.free_epochs),
        retries=row.retries,
        retried_s=float(row.retried_s),
        free_s=float(row.free_s),
        free_epochs=row.free_epochs,
        run_status=_run_status(row, run_state, responding=responding) if state is TrialState.RUNNING else "",
        responding=responding,
    )
    return FoundTrial(trial, before, _reason(row))


def with_values(one: FoundTrial, values: Sequence[Measured], spec: SweepSpec, *, spent_s: float) -> FoundTrial:
    """Return a trial with its new measurements; if measured at its rung, it is paused there.

    spent_s: seconds of computing that the sweep has spent so far.
    """
    before = {value.epoch: value.spent_s for value in one.trial.values}
    now = tuple(replace(value, spent_s=before.get(value.epoch, spent_s)) for value in values)
    if repr(now) == repr(one.trial.values):  # repr, because NaN != NaN
        return one
    trial = one.trial
    state = trial.state
    if state in RESTING:
        state = _at_rung(state, spec.pause_epoch(trial.params, trial.rung), now)
    return replace(one, trial=replace(trial, values=now, state=state), changed=True)


def _at_rung(state: TrialState, target: int | None, values: Sequence[Measured]) -> TrialState:
    """Return the state of a trial that is not being trained: PAUSED if it has been measured at its rung."""
    return TrialState.PAUSED if target and any(value.epoch == target for value in values) else state


def _run_state(row: Row[Any], moment: Moment) -> tuple[RunState | None, bool]:
    """Return the true state of a trial's run, None if there is no such run, and whether its worker responds."""
    if row.state is None or row.deleted_at is not None:
        return None, True
    state = RunState(row.state)
    return derive(row, moment=moment) if state is RunState.RUNNING else (state, True)


def _run_status(row: Row[Any], state: RunState | None, *, responding: bool) -> str:
    return "" if state is None else status_word(state, requested=RunRequest(row.want), responding=responding)


def _state(state: RunState | None, before: TrialState) -> TrialState:
    """Return the state of a trial by that of its run, whatever was measured."""
    if state is None:
        return TrialState.FAILED
    if state in _AT_WORK:
        return _AT_WORK[state]
    if state is RunState.FINISHED:
        return TrialState.FINISHED
    return before if before is TrialState.FAILED else _ENDED[state]


def _reason(row: Row[Any]) -> str:
    if not row.run:
        return ""
    if row.state is None or row.deleted_at is not None:
        return "its run was deleted"
    return row.run_reason or ""


def _epochs(row: Row[Any], state: TrialState, source: Source, values: Sequence[Measured]) -> int:
    """Return how many epochs of its run were trained, including the current one."""
    measured = max((value.epoch for value in values), default=0)
    whole = state in (TrialState.PAUSED, TrialState.FINISHED) and source is not Source.ADOPTED and measured
    if whole or row.progress is None:
        return measured
    return max(measured, RunProgress.read(decoded(row.progress)).epoch or 0)
