"""Matching what a user types for a run or a sweep: its id, its name, or a prefix of its id, in this order."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Table

_NAMED = 5  # ids in a message


def find_typed(connection: Connection, query: Select[Any], table: Table, text: str) -> Sequence[Row[Any]]:
    """Return the rows of a query that match a text best, none for "": at most one more than `ambiguous_words` lists."""
    tests = (table.c.id == text, table.c.name == text, table.c.id.startswith(text, autoescape=True))
    for test in tests if text else ():
        rows = connection.execute(query.where(test).limit(_NAMED + 1)).all()
        if rows:
            return rows
    return ()


def ambiguous_words(text: str, noun: str, rows: Sequence[Row[Any]]) -> str:
    """Return the message for a text that several rows match, with the ids to choose from, such as "3f2a, 3f7c, …"."""
    ids = ", ".join(row.id for row in rows[:_NAMED]) + (", …" if len(rows) > _NAMED else "")
    return f"{text!r} matches more than one {noun} ({ids}): give one of these ids."
