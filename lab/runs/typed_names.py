"""Matching what a user types for a run or a sweep: its id, its name, or a prefix of its id, in this order."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Table

_NAMED = 5  # ids in a message


def find_typed(connection: Connection, query: Select[Any], table: Table, text: str) -> Sequence[Row[Any]]:
    """Return the rows of a query that match a text best, none for "": at most one more than `fitting_ids` lists."""
    tests = (table.c.id == text, table.c.name == text, table.c.id.startswith(text, autoescape=True))
    for test in tests if text else ():
        rows = connection.execute(query.where(test).limit(_NAMED + 1)).all()
        if rows:
            return rows
    return ()


def fitting_ids(rows: Sequence[Row[Any]]) -> str:
    """Return the ids to choose from, such as "3f2a, 3f7c, …"."""
    return ", ".join(row.id for row in rows[:_NAMED]) + (", …" if len(rows) > _NAMED else "")
