"""Writing rows of `sweeps` and `trials`, always with their checksum."""

from typing import Any

from sqlalchemy import Connection, Row, Table, select, update

from lab.runs.checksums import is_intact, raw_columns, row_checksum
from lab.runs.sweep_rows import trial_values
from lab.runs.tables import sweeps, trials
from lab.sweeps.records import SweepState, TrialRecord

SWEEP, TRIAL = raw_columns(sweeps), raw_columns(trials)


def write_seal(connection: Connection, table: Table, row: Row[Any], this: Any) -> Row[Any]:
    """Store the checksum of a row's current values and return the row. this: the condition that selects this row."""
    sealed = update(table).where(this).values(seal=row_checksum(row, table))
    return connection.execute(sealed.returning(*raw_columns(table))).one()


def write_trial(connection: Connection, sweep: int, trial: TrialRecord) -> None:
    """Insert a trial of the sweep with this number, or update it."""
    values = trial_values(trial)
    this = (trials.c.sweep == sweep) & (trials.c.number == trial.number)
    row = connection.execute(update(trials).where(this).values(**values).returning(*TRIAL)).one_or_none()
    if row is None:
        row = connection.execute(trials.insert().values(sweep=sweep, **values).returning(*TRIAL)).one()
    write_seal(connection, trials, row, this)


def pause_sweeps(connection: Connection, reason: str) -> None:
    """Pause every running sweep."""
    running = select(*SWEEP).where(sweeps.c.state == SweepState.RUNNING).with_for_update()
    for row in connection.execute(running).all():
        if is_intact(row, sweeps):
            change_sweep(connection, row, state=SweepState.PAUSED, reason=reason, revision=row.revision + 1)


def change_sweep(connection: Connection, row: Row[Any], **values: Any) -> Row[Any]:
    """Update an intact row that this transaction has locked, renew its checksum and return it."""
    this = sweeps.c.number == row.number
    changed = connection.execute(update(sweeps).where(this).values(**values).returning(*SWEEP)).one()
    return write_seal(connection, sweeps, changed, this)
