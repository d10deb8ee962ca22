"""Sweeps in the store: their specs, their trials, and the transaction that writes a decision.

The caller reads the sweep (`find`), decides outside any transaction, and writes with the revision that it read. If the
sweep has changed since, nothing is written (`StaleSweepError`). A resumed run, a new run and the trial that it belongs
to are written together, so that no trial is lost or created twice if a process is killed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, func, select

from lab.config import RunConfig
from lab.errors import StaleSweepError, SweepNotFoundError
from lab.metrics import TEST_ACCURACY, VAL_ACCURACY, VAL_LOSS
from lab.runs.checksums import RAW, is_intact
from lab.runs.context import StoreContext
from lab.runs.database import MAX_VALUES
from lab.runs.edits import NAME_LIMIT, checked_owner, checked_priority, checked_text
from lab.runs.expired import mark_expired
from lab.runs.ids import new_id
from lab.runs.records import LIVE, RunRecord, RunRequest, RunState
from lab.runs.row_changes import change_row, find_row, sound_row
from lab.runs.row_values import cache_key_if_free, queued_again
from lab.runs.rows import listed_record
from lab.runs.run_queue import NewRunFacts, insert_or_find, queued_values
from lab.runs.sweep_rows import found_trial, sweep_record, sweep_values, with_values
from lab.runs.sweep_titles import sweep_title
from lab.runs.sweep_writes import SWEEP, TRIAL, change_sweep, write_seal, write_trial
from lab.runs.tables import points, runs, series_names, sweeps, trials
from lab.runs.typed_names import ambiguous_words, find_typed
from lab.sweeps.plan import ANSWERED, SLOTS, FoundTrial
from lab.sweeps.records import RESTING, Measured, Source, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.spec import UNNAMED, SweepSpec

_OF_RUN = (
    *(
        runs.c[name]
        for name in ("state", "want", "host", "pid", "pid_start", "lease_until", "deleted_at", "seconds", "executor")
    ),
    runs.c.reason.label("run_reason"),
    next(column for column in RAW if column.name == "progress"),
)
_UNMEASURED = (*RESTING, TrialState.FINISHED)


@dataclass(frozen=True, slots=True)
class NewRun:
    """The run of a new trial: the arguments of `RunQueue.submit`."""

    config: RunConfig
    facts: NewRunFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepChange:
    """What one decision writes, in one transaction.

    record: the sweep after the decision. trials: those to write. resumed: trials whose runs are queued again and train
    to their rung. new: a new trial and its run. held: ids of runs to pause.
    """

    record: SweepRecord
    trials: Sequence[TrialRecord] = ()
    resumed: Sequence[TrialRecord] = ()
    new: tuple[TrialRecord, NewRun] | None = None
    held: Sequence[str] = field(default=())

    def differs_from(self, before: SweepRecord) -> bool:
        """Return whether there is anything to write, given the sweep before the change."""
        return self.record != before or bool(self.trials or self.resumed or self.new or self.held)


class StoredSweeps:
    """`RunStore.sweeps`: the sweeps and their trials."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def create(self, spec: SweepSpec, *, owner: str = "", priority: int = 0) -> SweepRecord:
        """Store a new running sweep without trials. owner, priority: those of its trials' runs. Raises `TextError`."""
        with self.context.database.write() as connection:
            values = {
                "id": new_id(),
                "name": checked_text(spec.name, "name", NAME_LIMIT),
                "spec": spec.as_dict(),
                "earlier": [],
                "state": SweepState.RUNNING,
                "created_at": self.context.moment(connection).now,
                "owner": checked_owner(owner),
                "priority": checked_priority(priority),
            }
            row = connection.execute(sweeps.insert().values(**values).returning(*SWEEP)).one()
            return sweep_record(write_seal(connection, sweeps, row, sweeps.c.number == row.number))

    def list(self) -> tuple[SweepRecord, ...]:
        """Return all sweeps, newest first; one that cannot be read has a `problem`."""
        with self.context.database.read() as connection:
            return tuple(map(sweep_record, connection.execute(select(*SWEEP).order_by(sweeps.c.number.desc()))))

    def resolve(self, text: str) -> SweepRecord:
        """Find a sweep by its id, its name or title, or a prefix of its id. Raises `SweepNotFoundError`."""
        wanted = text.strip()
        query = select(*SWEEP).order_by(sweeps.c.number.desc())
        with self.context.database.read() as connection:
            rows = find_typed(connection, query, sweeps, wanted)
            if not rows:
                unnamed = connection.execute(query.where(sweeps.c.name == UNNAMED)).all()
                rows = [row for row in unnamed if sweep_title(sweep_record(row)) == wanted]
        if len(rows) == 1:
            return sweep_record(rows[0])
        if rows:
            raise SweepNotFoundError(ambiguous_words(wanted, "sweep", rows))
        raise _not_found(wanted)

    def find(self, sweep: str) -> tuple[SweepRecord, tuple[FoundTrial, ...]]:
        """Return a sweep and its trials in their current state, with new measurements. Raises `SweepNotFoundError`.

        A sweep that cannot be read is returned without trials. A handful of statements, however many trials there are.
        """
        with self.context.database.read() as connection:
            moment = self.context.moment(connection)
            row = connection.execute(select(*SWEEP).where(sweeps.c.id == sweep)).one_or_none()
            if row is None:
                raise _not_found(sweep)
            record = sweep_record(row)
            if record.spec is None:
                return record, ()
            joined = trials.outerjoin(runs, runs.c.id == trials.c.run)
            query = select(*TRIAL, *_OF_RUN).select_from(joined).where(trials.c.sweep == record.number)
            found, seen = [], set()
            for one in connection.execute(query.order_by(trials.c.number)):
                found.append(found_trial(one, record.spec, moment=moment, copy=bool(one.run) and one.run in seen))
                seen.add(one.run)
            values = self._measure(connection, record.spec, [one for one in found if _needs_values(one)])
        spent_s = sum(one.trial.seconds for one in found)
        return record, tuple(
            with_values(one, values[one.trial.run], record.spec, spent_s=spent_s) if one.trial.run in values else one
            for one in found
        )

    def measure(self, spec: SweepSpec, of: Iterable[TrialRecord]) -> dict[str, tuple[Measured, ...]]:
        """Return the measurements of the trials' runs at their rungs and at their ends, by run id."""
        with self.context.database.read() as connection:
            return self._measure(connection, spec, [FoundTrial(trial, trial.state) for trial in of])

    def _measure(
        self, connection: Connection, spec: SweepSpec, found: Sequence[FoundTrial]
    ) -> dict[str, tuple[Measured, ...]]:
        measured: dict[str, tuple[Measured, ...]] = {}
        for start in range(0, len(found), MAX_VALUES):
            part = {one.trial.run: one.trial for one in found[start : start + MAX_VALUES]}
            rows = connection.execute(select(*RAW).where(runs.c.id.in_(part))).all()
            moment = self.context.moment(connection)
            records = [record for row in rows if not (record := listed_record(row, moment=moment)).problem]
            curves = _validation(connection, [record.number for record in records])
            for record in records:
                epochs = set(spec.rungs(part[record.id].params))
                measured[record.id] = _at_epochs(record, epochs, curves.get(record.number, {}))
        return measured

    def find_test_accuracy(self, run: RunRecord, epoch: int) -> float | None:
        """Return a run's last test accuracy up to the end of an epoch, None without one."""
        if not run.steps_per_epoch:
            return None
        measured = (
            select(points.c.value)
            .join(series_names, series_names.c.number == points.c.series)
            .where(points.c.run == run.number, series_names.c.name == TEST_ACCURACY.id)
            .where(points.c.step <= epoch * run.steps_per_epoch)
            .order_by(points.c.step.desc())
        )
        with self.context.database.read() as connection:
            return connection.execute(measured.limit(1)).scalar_one_or_none()

    def due(self, *, slots: int = SLOTS, jobs: Mapping[str, int] | None = None) -> tuple[str, ...]:
        """Return the ids of the running sweeps that need attention: fewer than `slots` runs are queued or in training.

        jobs: the limits that replace `slots` for sweeps whose trials are trained by an executor, by executor id.
        """
        live = (
            select(func.count())
            .select_from(trials.join(runs, runs.c.id == trials.c.run))
            .where(trials.c.sweep == sweeps.c.number, runs.c.state.in_(LIVE), runs.c.deleted_at.is_(None))
            .scalar_subquery()
        )
        if not jobs:
            query = select(sweeps.c.id).where(sweeps.c.state == SweepState.RUNNING, live < slots)
            with self.context.database.read() as connection:
                return tuple(connection.execute(query.order_by(sweeps.c.number)).scalars())
        specs = select(*SWEEP, live.label("live")).where(sweeps.c.state == SweepState.RUNNING)
        with self.context.database.read() as connection:
            rows: Sequence[Any] = connection.execute(specs.order_by(sweeps.c.number)).all()
            found = [(sweep_record(row), row.live) for row in rows]
        limits = {"": slots, **jobs}
        return tuple(one.id for one, count in found if one.spec is None or count < limits.get(one.spec.on, 0))

    def count_running(self) -> int:
        """Return how many sweeps have work for a worker; a sweep that cannot be read has none."""
        query = select(*SWEEP).where(sweeps.c.state == SweepState.RUNNING)
        with self.context.database.read() as connection:
            return sum(not sweep_record(row).problem for row in connection.execute(query))

    def is_over_budget(self, run: str) -> bool:
        """Return whether the running sweep that a run is charged to has used up its minutes; False if there is none."""
        paying = (
            select(*SWEEP)
            .select_from(trials.join(sweeps, sweeps.c.number == trials.c.sweep))
            .where(trials.c.run == run, trials.c.source != Source.CACHED, sweeps.c.state == SweepState.RUNNING)
            .order_by(sweeps.c.number.desc())
        )
        with self.context.database.read() as connection:
            row = connection.execute(paying.limit(1)).one_or_none()
            record = None if row is None else sweep_record(row)
            if record is None or record.spec is None or record.spec.minutes is None:
                return False
            paid = (
                select(func.sum(runs.c.seconds - trials.c.free_s))
                .select_from(trials.join(runs, runs.c.id == trials.c.run))
                .where(trials.c.sweep == record.number, trials.c.source != Source.CACHED)
            )
            return (connection.execute(paid).scalar_one() or 0.0) >= record.spec.seconds

    def write(self, change: SweepChange) -> SweepRecord:
        """Write one decision. Raises `StaleSweepError` if the sweep or one of its runs has changed in the meantime."""
        with self.context.database.write() as connection:
            moment = self.context.moment(connection)
            mark_expired(connection, moment)
            record = self._next_revision(connection, change.record, moment.now)
            for trial in change.resumed:
                self._resume(connection, record.asked, trial, moment.now)
            for run in change.held:
                self._hold(connection, run, moment.now)
            for trial in change.trials:
                write_trial(connection, record.number, trial)
                if trial.state is TrialState.PAUSED and trial.source is not Source.ADOPTED:
                    _set_pause_reason(connection, trial, sweep_title(record))
            if change.new is not None:
                trial, new = change.new
                write_trial(connection, record.number, self._with_run(connection, record.asked, trial, new))
            return record

    def _next_revision(self, connection: Connection, record: SweepRecord, now: float) -> SweepRecord:
        after = replace(record, revision=record.revision + 1, finished_at=now if record.state.over else None)
        same = (sweeps.c.number == record.number) & (sweeps.c.revision == record.revision)
        row = connection.execute(select(*SWEEP).where(same).with_for_update()).one_or_none()
        if row is None or not is_intact(row, sweeps):
            raise StaleSweepError(f"Sweep {record.id} has changed in the meantime, so nothing was written: try again.")
        return sweep_record(change_sweep(connection, row, **sweep_values(after)))

    def _resume(self, connection: Connection, spec: SweepSpec, trial: TrialRecord, now: float) -> None:
        """Queue the run of a paused or ended trial until its rung; withdraw a pause request that is still pending."""
        row = sound_row(connection, trial.run, lock=True)
        target = spec.pause_epoch(trial.params, trial.rung)
        if row.state in LIVE:
            change_row(connection, row, want=RunRequest.RUN)
        elif RunState(row.state).resumable:
            free = cache_key_if_free(connection, row)
            change_row(connection, row, **queued_again(now), **free, pause_epoch=target)
        else:
            raise StaleSweepError(f"Run {trial.run} is {row.state} by now, so it cannot be resumed: try again.")

    def _hold(self, connection: Connection, run: str, now: float) -> None:
        """Pause a run. A damaged row stays marked as damaged."""
        row = find_row(connection, run, deleted=True, lock=True)
        if row.state == RunState.RUNNING:
            change_row(connection, row, want=RunRequest.PAUSE)
        elif row.state == RunState.QUEUED:
            change_row(connection, row, state=RunState.PAUSED, finished_at=now)

    def _with_run(self, connection: Connection, spec: SweepSpec, trial: TrialRecord, new: NewRun) -> TrialRecord:
        """Queue the run of a new trial, or use the cached run; return the trial with its run."""
        values = queued_values(new.config, **new.facts)
        values["pause_epoch"] = spec.pause_epoch(trial.params, trial.rung)
        row, cached = insert_or_find(connection, values, self.context.moment(connection))
        return _cached(trial, row) if cached else replace(trial, run=row.id)


def _not_found(sweep: str) -> SweepNotFoundError:
    return SweepNotFoundError(
        f"There is no sweep {sweep[:60]!r}: the Sweeps page and `python -m lab sweep list` list all sweeps."
    )


def _set_pause_reason(connection: Connection, trial: TrialRecord, sweep: str) -> None:
    """Store the decision as the reason of a run that is paused at its rung. A damaged row stays marked as damaged."""
    row = find_row(connection, trial.run, deleted=True, lock=True)
    if row.state == RunState.PAUSED:
        words = trial.decision[:1].upper() + trial.decision[1:]
        change_row(connection, row, reason=f"{words}, in the sweep {sweep}.")


def _cached(trial: TrialRecord, row: Row[Any]) -> TrialRecord:
    return replace(trial, run=row.id, source=Source.CACHED, decision=ANSWERED)


def _needs_values(one: FoundTrial) -> bool:
    """Return whether the run has ended or paused, and some of its measurements may not be recorded yet."""
    trial = one.trial
    if not trial.run or trial.problem or trial.state not in _UNMEASURED:
        return False
    return trial.state is not one.before or trial.state is not TrialState.FINISHED


def _validation(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, dict[int, float]]]:
    """Return validation loss and accuracy of the given runs: run number -> series -> step -> value."""
    known = connection.execute(
        select(series_names).where(series_names.c.name.in_((VAL_LOSS.id, VAL_ACCURACY.id)))
    ).all()
    names = {row.number: row.name for row in known}
    query = select(points.c.run, points.c.series, points.c.step, points.c.value).where(
        points.c.run.in_(numbers), points.c.series.in_(names)
    )
    found: dict[int, dict[str, dict[int, float]]] = {}
    for run, series, step, value in connection.execute(query) if numbers and names else ():
        found.setdefault(run, {}).setdefault(names[series], {})[step] = float("nan") if value is None else value
    return found


def _at_epochs(record: RunRecord, epochs: set[int], curves: Mapping[str, Mapping[int, float]]) -> tuple[Measured, ...]:
    """Return the measurements after the given epochs of a run, and at the end of a finished one."""
    losses, accuracies = curves.get(VAL_LOSS.id, {}), curves.get(VAL_ACCURACY.id, {})
    size = record.steps_per_epoch
    if not size or not losses:
        return ()
    steps = {epoch: epoch * size for epoch in epochs}
    if record.state is RunState.FINISHED:
        last = max(losses)
        steps.setdefault(-(-last // size), last)
    return tuple(
        Measured(epoch, losses[step], accuracies.get(step, float("nan")))
        for epoch, step in sorted(steps.items())
        if step in losses
    )
