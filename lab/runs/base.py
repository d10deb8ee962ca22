"""What every part of the run store shares: the database, the clock and the two guards in front of a run's rows."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, Update, select, update

from lab.errors import LeaseLostError, RunNotFoundError, close_match
from lab.runs.database import Database
from lab.runs.records import RunRecord, RunState
from lab.runs.rows import LEASE_S, derive, run_record
from lab.runs.schema import runs

_COMPARED = 1_000  # newest runs among whose ids a mistyped one is looked for
_ALIKE = 0.75  # two random ids of 1,000 are seldom so much alike
_REPEATED = 40  # characters of a wrong id that are repeated


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
            raise RunNotFoundError(_not_found(connection, run))
        return row

    def _record(self, row: Row[Any]) -> RunRecord:
        return run_record(row, now=self._clock())

    def _state(self, row: Row[Any]) -> RunState:
        return derive(row, now=self._clock())[0]


def _not_found(connection: Connection, run: str) -> str:
    """Return the sentence for an id that no run has, with the closest one, or the one that begins so."""
    newest = select(runs.c.id).where(runs.c.deleted_at.is_(None)).order_by(runs.c.number.desc()).limit(_COMPARED)
    ids = list(connection.execute(newest).scalars())
    longer = [known for known in ids if known.startswith(run)] if run else []
    close = longer[0] if len(longer) == 1 else close_match(run[:_REPEATED], ids, cutoff=_ALIKE)
    hint = f"did you mean {close!r}?" if close else "the Runs page and `python -m lab runs` list those there are."
    shown = run if len(run) <= _REPEATED else run[: _REPEATED - 1] + "…"
    return f"There is no run {shown!r}: {hint}"
