"""Permanent removal, in short transactions, of runs deleted some time ago and of what a killed import left.

The row of a run is deleted from `runs` first, which makes it a partial run and thus invisible. Then its points are
deleted, then its files with their list, and then the partial run itself. If the process is killed in between, the next
removal finds the partial run.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import delete, insert, select, update

from lab.errors import RunStateError
from lab.runs.checksums import RAW, is_intact
from lab.runs.context import StoreContext
from lab.runs.point_rows import delete_points
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.row_changes import change_row, find_row
from lab.runs.row_values import cache_key_if_free
from lab.runs.rows import derive, listed_record
from lab.runs.saved_files import unlisted
from lab.runs.tables import jobs, partial_runs, runs, saved_files
from lab.runs.throttled_writer import ThrottledWriter

Remove: TypeAlias = Callable[[Sequence[str]], None]
PURGE_AFTER_S = 7 * 24 * 3600.0  # a week to change one's mind
_FILES = 16  # unlisted in the first transaction: each requires a call to the location of the files
_EXPIRED = 0.0  # an expired lease, which no importer can renew
_FIRST_STEP = -(2**63)


class Removal:
    """`RunStore.removal`: hides runs, restores them, and permanently removes those hidden long ago."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def delete(self, run: str) -> RunRecord:
        """Hide a run; `undelete` restores it until it is purged. Raises `RunStateError` for one in training."""
        with self.context.database.write() as connection:
            row = find_row(connection, run, lock=True)
            moment = self.context.moment(connection)
            values: dict[str, Any] = {"deleted_at": moment.now}
            if not listed_record(row, moment=moment).problem:  # an unreadable row is only hidden
                state = derive(row, moment=moment)[0]
                if state.in_training:
                    way_out = "stop it first" if state is RunState.RUNNING else "wait until it has stopped"
                    raise RunStateError(f"Run {run} is {state.value}, so it cannot be deleted: {way_out}.")
                ended = RunState.STOPPED if state is RunState.QUEUED else state
                values |= {"lease": row.lease + 1, "state": ended, "want": RunRequest.RUN}
            return listed_record(change_row(connection, row, **values), moment=moment)

    def undelete(self, run: str) -> RunRecord:
        """Restore a deleted run."""
        with self.context.database.write() as connection:
            row = find_row(connection, run, deleted=True, lock=True)
            if row.deleted_at is not None:
                row = change_row(connection, row, deleted_at=None, **cache_key_if_free(connection, row))
            return listed_record(row, moment=self.context.moment(connection))

    def purge(self, remove: Remove, *, older_than_s: float = PURGE_AFTER_S) -> None:
        """Permanently remove runs deleted longer ago than this, and the remains of killed imports.

        remove: receives the paths that no run lists any more, within the transaction that unlists them: if the
        process is killed in between, they are found again.
        """
        limit = self.context.now() - older_than_s
        with self.context.database.read() as connection:
            gone = list(connection.execute(select(runs.c.number).where(runs.c.deleted_at <= limit)).scalars())
        writer = ThrottledWriter(self.context.database)
        for number in gone:
            with writer.write(sized=False) as connection:
                still = (runs.c.number == number) & (runs.c.deleted_at <= limit)
                row = connection.execute(select(*RAW).where(still).with_for_update()).one_or_none()
                if row is not None and is_intact(row):  # in a damaged row, the time of deletion may be wrong
                    connection.execute(delete(runs).where(runs.c.number == number))
                    connection.execute(delete(jobs).where(jobs.c.run == row.id))
                    connection.execute(insert(partial_runs).values(number=number, id=row.id, lease_until=_EXPIRED))
        with self.context.database.read() as connection:
            expired = partial_runs.c.lease_until <= self.context.now()
            left = list(connection.execute(select(partial_runs.c.number).where(expired)).scalars())
        for number in left:
            remove_partial(self.context, number, remove, writer)


def remove_partial(context: StoreContext, number: int, remove: Remove, writer: ThrottledWriter) -> None:
    """Remove a partial run and all its data; an importer that is still running can no longer write."""
    with writer.write(sized=False) as connection:
        over = update(partial_runs).where(partial_runs.c.number == number).values(lease_until=_EXPIRED)
        run = connection.execute(over.returning(partial_runs.c.id)).scalar_one_or_none()
    if run is None:
        return
    delete_points(context.database, writer, number, after_step=_FIRST_STEP, lock_row=lambda _connection: None)
    files = ThrottledWriter(context.database, first=_FILES, least=1)
    listed = select(saved_files.c.path).where(saved_files.c.run == run).order_by(saved_files.c.path)
    paths = [""]
    while paths:
        with files.write() as connection:
            paths = list(connection.execute(listed.limit(files.size)).scalars())
            connection.execute(delete(saved_files).where(saved_files.c.run == run, saved_files.c.path.in_(paths)))
            free = unlisted(connection, paths)
            if free:
                remove(free)
    with writer.write(sized=False) as connection:
        connection.execute(delete(partial_runs).where(partial_runs.c.number == number))
