"""What every part of the run store shares: the database, the clock and the two guards in front of a run's rows."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, Update, select, update

from lab.errors import LeaseLostError, RunNotFoundError
from lab.runs.database import Database
from lab.runs.records import RunRecord, RunState
from lab.runs.rows import LEASE_S, derive, run_record
from lab.runs.schema import runs
from lab.runs.visible import with_visible_text


class StoreBase:
    """The ground of `RunStore`; use that."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self._clock = clock

    def _held(self, run: str, lease: int) -> Update:
        """Return the guarded update of a run that its owner holds; it renews the lease as well."""
        return (
            update(runs)
            .where(runs.c.id == run, runs.c.lease == lease, runs.c.state == RunState.RUNNING)
            .values(lease_until=self._clock() + LEASE_S)
        )

    def _write_held(self, connection: Connection, run: str, lease: int, **values: Any) -> Row[Any]:
        """Write as the owner of a run, or raise `LeaseLostError` without having written.

        Returns its number, the user's wish and the notices so far.
        """
        statement = self._held(run, lease)
        if values:
            statement = statement.values(**values)
        row = connection.execute(statement.returning(runs.c.number, runs.c.want, runs.c.notices)).one_or_none()
        if row is None:
            raise LeaseLostError(
                f"Run {run} is no longer held by lease {lease}: it was ended, or taken over by another worker, "
                "so nothing was written."
            )
        return row

    def _row(self, connection: Connection, run: str, *, deleted: bool = False, lock: bool = False) -> Row[Any]:
        """Return the row of a run, locked until the transaction ends where asked for, or raise `RunNotFoundError`."""
        query = select(runs).where(runs.c.id == run)
        if not deleted:
            query = query.where(runs.c.deleted_at.is_(None))
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise RunNotFoundError(
                f"There is no run {run!r}: the Runs page and `python -m lab runs` list those there are."
            )
        return row

    def _record(self, row: Row[Any]) -> RunRecord:
        return with_visible_text(run_record(row, now=self._clock()))

    def _state(self, row: Row[Any]) -> RunState:
        return derive(row, now=self._clock())[0]
