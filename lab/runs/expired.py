"""Runs whose owner is gone: found by their expired leases and dead processes, and marked as interrupted.

Nobody watches a machine that joined from elsewhere, so what it leaves behind goes back into the queue by itself, a few
times: a run that ends every process which trains it must not go round for ever.
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

MOST_ATTEMPTS = 5  # after which a run that was left behind waits for somebody to look at it
_REASON = "The process that trained it ended unexpectedly; resume continues from the last checkpoint."


def mark_expired(connection: Connection, moment: Moment) -> list[str]:
    """Write down the runs whose owner is gone, and return their ids: interrupted, or what had been requested of them.

    Those that an engine trains are queued again, and so are those of a machine that joined.
    """
    expired = expired_rows(connection, moment, lock=True)
    joined = joined_hosts(connection) if expired else frozenset()
    for row, state in expired:
        again = state is RunState.INTERRUPTED and row.host in joined and row.attempts < MOST_ATTEMPTS
        expire(connection, row, RunState.QUEUED if again else state, moment)
    return [str(row.id) for row, _ in expired]


def expire(connection: Connection, row: Row[Any], state: RunState, moment: Moment) -> None:
    """Take a locked row's run from the owner that is gone; one that is queued again keeps its place.

    The job that had it at an engine is marked: its worker was lost, whatever the engine still says.
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
    """Return the rows that say running and whose owner is dead, with the state that this makes.

    lock: until the transaction ends; a row that its owner writes to at this moment is left out then. Only these: whoever
    locks rows of runs in training as well and waits for others afterwards may wait for somebody who waits for them.
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
    return [(row, state) for row, state in states if state not in (RunState.RUNNING, RunState.STOPPING)]
