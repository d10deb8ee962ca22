"""Runs whose owner's lease expired or whose process has exited: found, and marked as interrupted.

Nobody watches a machine that joined, so its abandoned runs are queued again automatically, but only a few times: a run
that crashes every process that trains it must not be retried for ever.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update

from lab.runs.checksums import RAW, is_intact
from lab.runs.database import Moment
from lab.runs.hosts import joined_hosts
from lab.runs.records import RunRequest, RunState
from lab.runs.row_changes import change_row
from lab.runs.rows import derive, may_be_gone
from lab.runs.tables import LOST, jobs, runs

MAX_ATTEMPTS = 5  # after which an abandoned run waits for the user
_REASON = "The process that trained it ended unexpectedly; resume continues from the last checkpoint."


def mark_expired(connection: Connection, moment: Moment) -> list[str]:
    """Mark the runs whose owner is lost as interrupted, or according to their pending request; return their ids.

    Runs that an executor trains and runs of joined machines are queued again.
    """
    expired = expired_rows(connection, moment, lock=True)
    joined = joined_hosts(connection) if expired else frozenset()
    for row, state in expired:
        again = state is RunState.INTERRUPTED and row.host in joined and row.attempts < MAX_ATTEMPTS
        expire(connection, row, RunState.QUEUED if again else state, moment)
    return [str(row.id) for row, _ in expired]


def expire(connection: Connection, row: Row[Any], state: RunState, moment: Moment) -> None:
    """Take a run, whose row is locked, from its lost owner; if it is queued again, it keeps its place.

    The executor's job that held it is marked as LOST, whatever the executor still reports.
    """
    again = state is RunState.QUEUED
    if row.executor:
        had_it = (jobs.c.run == row.id, jobs.c.id == row.slot, jobs.c.closed_at.is_(None))
        connection.execute(update(jobs).where(*had_it).values(state=LOST))
    change_row(
        connection,
        row,
        state=state,
        want=RunRequest.RUN,
        lease=row.lease + 1,
        reason="" if again else _REASON,
        finished_at=None if again else moment.now,
    )


def expired_rows(connection: Connection, moment: Moment, *, lock: bool = False) -> list[tuple[Row[Any], RunState]]:
    """Return the rows in state running whose owner is lost, with the state that follows from this.

    lock: lock these rows until the transaction ends; a row that its owner is writing to is left out. No other rows are
    locked: locking the rows of live runs as well, and then waiting for others, could deadlock.
    """
    query = select(*RAW).where(runs.c.state == RunState.RUNNING, may_be_gone(moment))
    found = _expired(connection.execute(query).all(), moment)
    if lock and found:
        gone = runs.c.number.in_([row.number for row, _ in found])
        found = _expired(connection.execute(query.where(gone).with_for_update(skip_locked=True)).all(), moment)
    return found


def _expired(rows: Sequence[Row[Any]], moment: Moment) -> list[tuple[Row[Any], RunState]]:
    # A damaged row may name another process than its owner.
    states = [(row, derive(row, moment=moment)[0]) for row in rows if is_intact(row)]
    return [(row, state) for row, state in states if not state.in_training]
