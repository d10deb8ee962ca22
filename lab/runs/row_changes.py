"""The only way to read a run's row for a change and to change it.

Every change reads the row under a lock, verifies its checksum, writes, and renews the checksum, so that no change
can confirm damage that happened before it.
"""

from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from lab.errors import LeaseLostError, RunNotFoundError, UnreadableRunError, close_match
from lab.runs.checksums import RAW, has_checksum, is_intact, row_checksum
from lab.runs.context import StoreContext
from lab.runs.records import RunState
from lab.runs.rows import damage_words
from lab.runs.tables import runs

_COMPARED = 1_000  # newest runs whose ids are compared with a mistyped one
_ALIKE = 0.75  # among 1,000 random ids, two are seldom this similar
_REPEATED = 40  # characters of a wrong id that are quoted


def find_row(connection: Connection, run: str, *, deleted: bool = False, lock: bool = False) -> Row[Any]:
    """Return the row of a run as stored, intact or not, or raise `RunNotFoundError`.

    lock: lock the row until the transaction ends.
    """
    query = select(*RAW).where(runs.c.id == run)
    if not deleted:
        query = query.where(runs.c.deleted_at.is_(None))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise RunNotFoundError(_not_found(connection, run))
    return row


def sound_row(connection: Connection, run: str, *, deleted: bool = False, lock: bool = False) -> Row[Any]:
    """Return the row of a run like `find_row`, or raise `UnreadableRunError` for a damaged one."""
    row = find_row(connection, run, deleted=deleted, lock=lock)
    if not is_intact(row):
        raise UnreadableRunError(damage_words(row.id))
    return row


def change_row(connection: Connection, row: Row[Any], **values: Any) -> Row[Any]:
    """Update a row that this transaction has locked, renew its checksum and return it.

    A damaged row stays marked as damaged, and a row without a checksum stays without one.
    """
    fresh = update(runs).where(runs.c.number == row.number).values(**values).returning(*RAW)
    changed = connection.execute(fresh).one()
    return write_checksum(connection, changed) if has_checksum(row) and is_intact(row) else changed


def write_checksum(connection: Connection, row: Row[Any]) -> Row[Any]:
    """Store the checksum of a row's current values and return the row."""
    changed = update(runs).where(runs.c.number == row.number).values(seal=row_checksum(row)).returning(*RAW)
    return connection.execute(changed).one()


def held_row(connection: Connection, run: str, lease: int) -> Row[Any]:
    """Return the locked row of a run that its owner holds, or raise `LeaseLostError`."""
    query = select(*RAW).where(runs.c.id == run).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None or row.lease != lease or row.state != RunState.RUNNING:
        raise LeaseLostError(
            f"Run {run} is no longer held by lease {lease}: it was ended, or taken over by another worker, "
            "so nothing was written."
        )
    if not is_intact(row):
        raise UnreadableRunError(damage_words(run))
    return row


def change_held_row(context: StoreContext, connection: Connection, run: str, lease: int, **values: Any) -> Row[Any]:
    """Write as the owner of a run and renew its lease; raise `LeaseLostError`, with nothing written, if it is lost."""
    row = held_row(connection, run, lease)
    return change_row(connection, row, **context.renewed_lease(connection), **values)


def insert_for(connection: Connection) -> Any:
    """Return the `insert` construct of this database's dialect, which supports `on_conflict_do_…`."""
    return sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert


def _not_found(connection: Connection, run: str) -> str:
    """Return the message for an unknown id, with the only id that starts with it, or else the closest one."""
    newest = select(runs.c.id).where(runs.c.deleted_at.is_(None)).order_by(runs.c.number.desc()).limit(_COMPARED)
    ids = list(connection.execute(newest).scalars())
    longer = [known for known in ids if known.startswith(run)] if run else []
    close = longer[0] if len(longer) == 1 else close_match(run[:_REPEATED], ids, cutoff=_ALIKE)
    hint = f"did you mean {close!r}?" if close else "the Runs page and `python -m lab runs` list all runs."
    shown = run if len(run) <= _REPEATED else run[: _REPEATED - 1] + "…"
    return f"There is no run {shown!r}: {hint}"
