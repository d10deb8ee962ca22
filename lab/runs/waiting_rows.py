"""The order of the queue, read from the store, and the owners' turns, written to it. Damaged values count as absent."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, select

from lab.runs.fair_order import FairOrder, WaitingRun
from lab.runs.row_changes import insert_for
from lab.runs.tables import WAITING, owners, runs

_ORDERED_BY = (runs.c.number, runs.c.owner, runs.c.priority, runs.c.queued_at)

_MAX = 2**62  # beyond it, an incremented counter could no longer be stored


def waiting_order(
    connection: Connection, *, without: Collection[int] = (), bound: bool | None = None, lacks: Collection[str] = ()
) -> FairOrder:
    """Return the queued runs in the order in which they are taken. without: numbers of runs to leave out.

    bound: only runs bound to executors (True), only the others, for hosts (False), or all (None). lacks: data sets
    whose runs are left to others.
    """
    query = select(*_ORDERED_BY).where(WAITING)
    if bound is not None:
        query = query.where(runs.c.executor != "" if bound else runs.c.executor == "")
    if lacks:
        query = query.where(runs.c.dataset.not_in(sorted(lacks)))
    rows = connection.execute(query).all()
    waiting = [_waiting_run(*row) for row in rows if row[0] not in without]
    return FairOrder(waiting, read_served(connection))


def waiting_one(connection: Connection, run: str) -> list[WaitingRun]:
    """Return a list with the queued run of this id, empty if it is not queued."""
    rows = connection.execute(select(*_ORDERED_BY).where(WAITING, runs.c.id == run)).all()
    return [_waiting_run(*row) for row in rows]


def waiting_run(row: Row[Any]) -> WaitingRun:
    """Return the facts that decide the place of a queued run, from its row of `runs`."""
    return _waiting_run(row.number, row.owner, row.priority, row.queued_at)


def _waiting_run(number: int, owner: Any, priority: Any, queued_at: Any) -> WaitingRun:
    return WaitingRun(
        number,
        owner if isinstance(owner, str) else "",
        _whole(priority),
        float(queued_at) if isinstance(queued_at, (int, float)) else 0.0,
    )


def read_served(connection: Connection) -> dict[str, int]:
    """Return the last turn of each owner."""
    return {row.name: _whole(row.served) for row in connection.execute(select(owners)) if isinstance(row.name, str)}


def mark_served(connection: Connection, owner: str) -> None:
    """Give the owner of a claimed run the latest turn. On Postgres two concurrent claims may get the same turn."""
    turn = max(read_served(connection).values(), default=0) + 1
    made = insert_for(connection)(owners).values(name=owner, served=turn)
    connection.execute(made.on_conflict_do_update(index_elements=["name"], set_={"served": turn}))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and abs(value) < _MAX else 0
