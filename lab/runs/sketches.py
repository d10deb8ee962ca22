"""Saved drawings: the user's own test set, in the same store as the runs.

A drawing is stored as it was drawn (the ink as a PNG), before any network's preprocessing, with the class that its
author chose. This part does not depend on networks or image processing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from lab.errors import InputError
from lab.formatting import plural
from lab.runs.checksums import is_intact, row_checksum
from lab.runs.context import StoreContext
from lab.runs.edits import checked_text
from lab.runs.ids import new_id
from lab.runs.tables import LABEL_LIMIT, sketches

MAX_SKETCHES = 10_000
MAX_BYTES = 256 << 10  # of one drawing; a full canvas has about 5 KB


@dataclass(frozen=True, slots=True)
class SavedSketch:
    """One saved drawing. label: class name; dataset: the data set of that class; png: the ink, light on black.

    number: its place among the others, by which they are listed.
    """

    id: str
    label: str
    dataset: str
    png: bytes
    created_at: float
    number: int = 0


class Sketches:
    """`RunStore.sketches`: saved drawings."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def save(self, png: bytes, *, label: str, dataset: str) -> SavedSketch:
        """Save a drawing. Raises `InputError` if it is too large or has no label, or if there are too many."""
        if not 0 < len(png) <= MAX_BYTES:
            raise InputError(f"The drawing has {len(png):,} bytes, but it must have 1 to {MAX_BYTES:,}: draw it again.")
        values: dict[str, Any] = {
            "id": new_id(),
            "label": _checked_label(label),
            "dataset": dataset,
            "png": png,
        }
        with self.context.database.write() as connection:
            values["created_at"] = self.context.moment(connection).now
            _require_room(connection, 1)
            values["number"] = _insert(connection, values)
        return SavedSketch(**values)

    def list(self) -> tuple[SavedSketch, ...]:
        """Return the saved drawings, oldest first. Damaged ones are left out; `problems` counts them."""
        query = select(sketches).order_by(sketches.c.number)
        with self.context.database.read() as connection:
            return tuple(_record(row) for row in connection.execute(query) if _is_right(row))

    def count_damaged(self) -> int:
        """Return how many saved drawings are damaged."""
        with self.context.database.read() as connection:
            return sum(not _is_right(row) for row in connection.execute(select(sketches)))

    def problems(self) -> tuple[str, ...]:
        """Return a sentence with the number of damaged drawings; () if there are none."""
        damaged = self.count_damaged()
        if not damaged:
            return ()
        are = f"{plural(damaged, 'saved drawing')} {'is' if damaged == 1 else 'are'}"
        return (f"{are} damaged in the database and left out: restore the store from a copy.",)

    def checksum_older_rows(self) -> None:
        """Compute the checksum of the drawings that an older release saved."""
        with self.context.database.write() as connection:
            for row in connection.execute(select(sketches).where(sketches.c.seal == "")).all():
                if _is_right(row):
                    _seal(connection, row)

    def delete(self, ids: tuple[str, ...]) -> int:
        """Delete drawings; unknown ids are ignored. Returns the number of deleted drawings."""
        with self.context.database.write() as connection:
            return int(connection.execute(delete(sketches).where(sketches.c.id.in_(ids))).rowcount)

    def restore(self, drawings: Sequence[SavedSketch]) -> None:
        """Save deleted drawings again, as they were and in their place; those that exist stay as they are."""
        with self.context.database.write() as connection:
            ids = select(sketches.c.id).where(sketches.c.id.in_([each.id for each in drawings]))
            present = set(connection.execute(ids).scalars())
            missing = [each for each in drawings if each.id not in present]
            _require_room(connection, len(missing))
            for each in missing:
                _insert(connection, asdict(each))

    def relabel(self, ids: tuple[str, ...], label: str) -> int:
        """Give drawings another label; unknown ids are ignored. Returns the number of changed drawings."""
        with self.context.database.write() as connection:
            rows = connection.execute(select(sketches).where(sketches.c.id.in_(ids))).all()
            right = [row.id for row in rows if _is_right(row)]  # a damaged row is not sealed again
            chosen = update(sketches).where(sketches.c.id.in_(right)).values(label=_checked_label(label))
            for row in connection.execute(chosen.returning(sketches)).all():
                _seal(connection, row)
        return len(right)


def _checked_label(label: str) -> str:
    if not 0 < len(label.strip()) <= LABEL_LIMIT:
        raise InputError(f"The label is {label[:80]!r}, but it must have 1 to {LABEL_LIMIT} characters.")
    checked_text(label, "label", LABEL_LIMIT)
    return label.strip()


def _require_room(connection: Connection, count: int) -> None:
    if connection.execute(select(func.count()).select_from(sketches)).scalar_one() + count > MAX_SKETCHES:
        raise InputError(f"There are {MAX_SKETCHES:,} saved drawings already: delete some first.")


def _insert(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a row with its checksum, and return its number."""
    row = connection.execute(sketches.insert().values(**values).returning(sketches)).one()
    _seal(connection, row)
    return int(row.number)


def _seal(connection: Connection, row: Row[Any]) -> None:
    changed = update(sketches).where(sketches.c.number == row.number)
    connection.execute(changed.values(seal=row_checksum(row, sketches)))


def _is_right(row: Row[Any]) -> bool:
    plain = isinstance(row.label, str) and isinstance(row.dataset, str) and isinstance(row.png, bytes | memoryview)
    return plain and is_intact(row, sketches)


def _record(row: Row[Any]) -> SavedSketch:
    return SavedSketch(row.id, row.label, row.dataset, bytes(row.png), float(row.created_at), row.number)
