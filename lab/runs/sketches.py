"""Saved drawings: the user's own test set, in the same store as the runs.

A drawing is stored as it was drawn (the ink as a PNG), before any network's preprocessing, with the class that its
author chose. This part does not depend on networks or image processing.
"""

from dataclasses import dataclass
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
    """One saved drawing. label: class name; dataset: the data set of that class; png: the ink, light on black."""

    id: str
    label: str
    dataset: str
    png: bytes
    created_at: float


class Sketches:
    """`RunStore.sketches`: saved drawings."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def save(self, png: bytes, *, label: str, dataset: str) -> SavedSketch:
        """Save a drawing. Raises `InputError` if it is too large or has no label, or if there are too many."""
        if not 0 < len(png) <= MAX_BYTES:
            raise InputError(f"The drawing has {len(png):,} bytes, but it must have 1 to {MAX_BYTES:,}: draw it again.")
        if not 0 < len(label.strip()) <= LABEL_LIMIT:
            raise InputError(f"The label is {label[:80]!r}, but it must have 1 to {LABEL_LIMIT} characters.")
        checked_text(label, "label", LABEL_LIMIT)
        values: dict[str, Any] = {
            "id": new_id(),
            "label": label.strip(),
            "dataset": dataset,
            "png": png,
        }
        with self.context.database.write() as connection:
            values["created_at"] = self.context.moment(connection).now
            if connection.execute(select(func.count()).select_from(sketches)).scalar_one() >= MAX_SKETCHES:
                raise InputError(f"There are {MAX_SKETCHES:,} saved drawings already: delete some first.")
            row = connection.execute(sketches.insert().values(**values).returning(sketches)).one()
            _seal(connection, row)
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


def _seal(connection: Connection, row: Row[Any]) -> None:
    changed = update(sketches).where(sketches.c.number == row.number)
    connection.execute(changed.values(seal=row_checksum(row, sketches)))


def _is_right(row: Row[Any]) -> bool:
    plain = isinstance(row.label, str) and isinstance(row.dataset, str) and isinstance(row.png, bytes | memoryview)
    return plain and is_intact(row, sketches)


def _record(row: Row[Any]) -> SavedSketch:
    return SavedSketch(row.id, row.label, row.dataset, bytes(row.png), float(row.created_at))
