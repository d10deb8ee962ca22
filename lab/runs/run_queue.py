"""The queue: which runs are being trained, which wait, in what order `claim` takes them, and how people change that.

`queued_at` is a run's place in the queue: the time at which it was queued, until somebody moves it.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, case, select

from lab.errors import RunStateError
from lab.runs.base import StoreBase
from lab.runs.records import RunRecord, RunState, Want
from lab.runs.rows import listed_record
from lab.runs.schema import runs
from lab.runs.seals import RAW, is_sound

CLAIM_ORDER = (runs.c.queued_at, runs.c.number)
_QUEUED = (runs.c.state == RunState.QUEUED, runs.c.deleted_at.is_(None))
_RUNNING = (runs.c.state == RunState.RUNNING, runs.c.deleted_at.is_(None))


class Move(StrEnum):
    """Where a queued run can be moved."""

    FRONT = "front"
    UP = "up"
    DOWN = "down"
    BACK = "back"


class Queue(StoreBase):
    """The part of `RunStore` that shows and changes the order of the queue."""

    def list_queue(self, *, limit: int | None = None) -> tuple[RunRecord, ...]:
        """Return the live runs: those in training, then the queued ones, both in the order of `claim`."""
        running_first = case((runs.c.state == RunState.RUNNING, 0), else_=1)
        query = (
            select(*RAW)
            .where(runs.c.state.in_((RunState.RUNNING, RunState.QUEUED)), runs.c.deleted_at.is_(None))
            .order_by(running_first, *CLAIM_ORDER)
            .limit(limit)
        )
        with self.database.read() as connection:
            moment = self._moment(connection)
            records = [listed_record(row, moment=moment) for row in connection.execute(query)]
        return tuple(record for record in records if record.state.live)

    def move_in_queue(self, run: str, move: Move) -> tuple[RunRecord, ...]:
        """Move a queued run and return the queue as it is then; what is first already stays first.

        Raises `RunNotFoundError`, and `RunStateError` for a run that is not queued, or no longer.
        """
        with self.database.write() as connection:
            # Locked in the order of their numbers, which no move changes: two moves never wait for each other's rows.
            locked = connection.execute(select(*RAW).where(*_QUEUED).order_by(runs.c.number).with_for_update()).all()
            queued = sorted(filter(is_sound, locked), key=lambda row: (row.queued_at, row.number))
            place = next((index for index, row in enumerate(queued) if row.id == run), None)
            if place is None:
                state = self._state(connection, self._row(connection, run))
                raise RunStateError(f"Run {run} is {state.value}, so it has no place in the queue: move a queued run.")
            moved = queued.pop(place)
            queued.insert(_target(place, move, last=len(queued)), moved)
            self._write_order(connection, queued)
            moment = self._moment(connection)
            waiting = select(*RAW).where(*_QUEUED).order_by(*CLAIM_ORDER)
            return tuple(listed_record(row, moment=moment) for row in connection.execute(waiting))

    def _write_order(self, connection: Connection, rows: Sequence[Row[Any]]) -> None:
        """Give the rows, in this order, the times they have among them, each later than the one before."""
        before = -math.inf
        for row, time in zip(rows, sorted(float(row.queued_at) for row in rows), strict=True):
            before = max(time, math.nextafter(before, math.inf))
            if before != row.queued_at:
                self._change(connection, row, queued_at=before)

    def stop_all(self) -> tuple[RunRecord, ...]:
        """Stop every live run in one transaction and return them: queued ones at once, running ones by their worker.

        Queued ones first: on Postgres a run that is claimed meanwhile is then found among the running ones.
        """
        with self.database.write() as connection:
            moment = self._moment(connection)
            ended = {"state": RunState.STOPPED, "finished_at": moment.now}
            rows = [
                self._change(connection, row, **values)
                for which, values in ((_QUEUED, ended), ((*_RUNNING, runs.c.want != Want.STOP), {"want": Want.STOP}))
                for row in connection.execute(
                    select(*RAW).where(*which).order_by(runs.c.number).with_for_update()
                ).all()
            ]
            return tuple(listed_record(row, moment=moment) for row in rows)


def _target(place: int, move: Move, *, last: int) -> int:
    return {Move.FRONT: 0, Move.UP: max(0, place - 1), Move.DOWN: min(last, place + 1), Move.BACK: last}[move]
