"""The queue: the runs in training, the waiting runs in the order in which `claim` takes them, and changes to it.

The order is that of `lab.runs.fair_order`: by priority, and owners in turn. `queued_at` is a run's place among its
owner's runs: the time at which it was queued, until somebody moves it.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Required, TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, Row, func, select

from lab.config import RunConfig
from lab.config.repeats import setting_key
from lab.errors import RunStateError
from lab.runs.checksums import RAW, is_intact
from lab.runs.context import StoreContext
from lab.runs.database import Moment
from lab.runs.edits import NAME_LIMIT, checked_owner, checked_priority, checked_tags, checked_text
from lab.runs.encoding import encode_tags
from lab.runs.expired import mark_expired
from lab.runs.ids import new_id
from lab.runs.queue_moves import Move, changed_by_move
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.row_changes import change_row, insert_for, sound_row, write_checksum
from lab.runs.rows import derive, listed_record, listed_records, may_be_gone, run_record
from lab.runs.sweep_writes import pause_sweeps
from lab.runs.tables import CACHED, WAITING, runs
from lab.runs.waiting_rows import read_served, waiting_order, waiting_run

_RUNNING = (runs.c.state == RunState.RUNNING, runs.c.deleted_at.is_(None))


class NewRunFacts(TypedDict, total=False):
    """The facts of a new run besides its configuration; all but the first two are optional.

    parent: the run that it continues. fresh: create a new run even if there is a cached one. origin: where the request
    was made. owner and priority: see `lab.runs.fair_order`. executor: which trains it, "" for a host's slots.
    """

    fingerprint: Required[str]
    family: Required[str]
    name: str
    parent: str | None
    fresh: bool
    tags: Iterable[str]
    origin: str
    owner: str
    priority: int
    executor: str


class RunQueue:
    """`RunStore.queue`: accepts runs, lists them in the order of `claim` and changes that order."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def submit(self, config: RunConfig, **facts: Unpack[NewRunFacts]) -> tuple[RunRecord, bool]:
        """Queue a run; return it, or the cached run with this fingerprint, and whether it is the cached one.

        A cached run that is still queued gets the higher priority of the two. The check and the insertion are one
        statement, so concurrent callers get the same run. Raises `TextError`.
        """
        values = queued_values(config, **facts)
        with self.context.database.write() as connection:
            moment = self.context.moment(connection)
            mark_expired(connection, moment)
            row, cached = insert_or_find(connection, values, moment)
            if cached and row.state == RunState.QUEUED and row.priority < values["priority"]:
                row = _with_priority(connection, row.id, values["priority"])
            return run_record(row, moment=moment), cached

    def list(self, *, limit: int | None = None) -> tuple[RunRecord, ...]:
        """Return the live runs: those in training in order of queueing, then the waiting ones as `claim` takes them."""
        running = select(*RAW).where(*_RUNNING).order_by(runs.c.queued_at, runs.c.number).limit(limit)
        with self.context.database.read() as connection:
            moment = self.context.moment(connection)
            records = [listed_record(row, moment=moment) for row in connection.execute(running)]
            room = None if limit is None else limit - len(records)
            records += _waiting(connection, moment, limit=room)
        return tuple(record for record in records if record.state.live)

    def list_waiting(self, *, limit: int | None = None) -> tuple[RunRecord, ...]:
        """Return the first waiting runs: those whose job lost its worker, then the others in the order of `claim`.

        Of the runs in training, only those that may have lost their worker are read.
        """
        with self.context.database.read() as connection:
            moment = self.context.moment(connection)
            query = select(*RAW).where(*_RUNNING, may_be_gone(moment)).order_by(runs.c.queued_at, runs.c.number)
            records = [listed_record(row, moment=moment) for row in connection.execute(query)]
            left = [record for record in records if record.state is RunState.QUEUED]
            return (*left, *_waiting(connection, moment, limit=limit))[:limit]

    def move(self, run: str, move: Move) -> tuple[RunRecord, ...]:
        """Move a queued run and return the new queue (`lab.runs.queue_moves`); the first run cannot move further up.

        Raises `RunNotFoundError`, or `RunStateError` for a run that is not queued.
        """
        with self.context.database.write() as connection:
            mark_expired(
                connection, self.context.moment(connection)
            )  # a run that lost its executor's worker waits again
            # Locked in the order of their numbers, which no move changes, so that two moves cannot deadlock.
            locked = connection.execute(select(*RAW).where(WAITING).order_by(runs.c.number).with_for_update()).all()
            queued = {row.number: row for row in filter(is_intact, locked)}
            number = next((number for number, row in queued.items() if row.id == run), None)
            if number is None:
                state = derive(sound_row(connection, run), moment=self.context.moment(connection))[0]
                raise RunStateError(f"Run {run} is {state.value}, so it has no place in the queue: move a queued run.")
            served = read_served(connection)
            for changed in changed_by_move([*map(waiting_run, queued.values())], served, number, move):
                row = queued[changed.number]
                change_row(connection, row, priority=changed.priority, queued_at=changed.queued_at)
            return tuple(_waiting(connection, self.context.moment(connection)))

    def prioritize(self, run: str, priority: int) -> RunRecord:
        """Set the priority of a run, which applies while it waits, now or after it is resumed.

        Raises `RunNotFoundError`, `TextError`, or `RunStateError` for a finished run.
        """
        with self.context.database.write() as connection:
            row = _with_priority(connection, run, checked_priority(priority))
            return run_record(row, moment=self.context.moment(connection))

    def waiting_datasets(self) -> frozenset[str]:
        """Return the data sets that queued runs need."""
        with self.context.database.read() as connection:
            return frozenset(connection.execute(select(runs.c.dataset).where(WAITING).distinct()).scalars())

    def count_queued(self, *, for_hosts: bool = False) -> int:
        """Return how many runs wait for a worker. for_hosts: without those bound to executors."""
        return self._count(RunState.QUEUED, *((runs.c.executor == "",) if for_hosts else ()))

    def count_running(self, *, host: str | None = None) -> int:
        """Return how many runs are held by a worker, or were when it was killed. host: only on this host."""
        return self._count(RunState.RUNNING, *(() if host is None else (runs.c.host == host,)))

    def _count(self, state: RunState, *more: ColumnElement[bool]) -> int:
        query = select(func.count()).where(runs.c.state == state, runs.c.deleted_at.is_(None), *more)
        with self.context.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def stop_all(self) -> tuple[RunRecord, ...]:
        """Stop every live run in one transaction and return them: queued ones at once, running ones by their worker.

        Running sweeps are paused too, because a worker would create their next trials.

        Queued runs come first: on Postgres, a run that is claimed in the meantime is then found among the running ones.
        """
        with self.context.database.write() as connection:
            moment = self.context.moment(connection)
            pause_sweeps(connection, "all runs were stopped")
            ended = {"state": RunState.STOPPED, "finished_at": moment.now}
            rows = [
                change_row(connection, row, **values)
                for which, values in (
                    ((WAITING,), ended),
                    ((*_RUNNING, runs.c.want != RunRequest.STOP), {"want": RunRequest.STOP}),
                )
                for row in connection.execute(
                    select(*RAW).where(*which).order_by(runs.c.number).with_for_update()
                ).all()
            ]
            return tuple(listed_record(row, moment=moment) for row in rows)


def queued_values(config: RunConfig, **facts: Unpack[NewRunFacts]) -> dict[str, Any]:
    """Return the columns of a new run, with a new id. Raises `TextError`."""
    return {
        "id": new_id(),
        "name": checked_text(facts.get("name", ""), "name", NAME_LIMIT) or config.arch,
        "config": config.as_dict(),
        "fingerprint": facts["fingerprint"],
        "family": facts["family"],
        "cache_key": None if facts.get("fresh", False) else facts["fingerprint"],
        "state": RunState.QUEUED,
        "want": RunRequest.RUN,
        "parent": facts.get("parent"),
        "origin": facts.get("origin", "local"),
        "executor": facts.get("executor", ""),
        "arch": config.arch,
        "dataset": config.dataset,
        "setting": setting_key(config),
        "tags": encode_tags(checked_tags(facts.get("tags", ()))),
        "owner": checked_owner(facts.get("owner", "")),
        "priority": checked_priority(facts.get("priority", 0)),
        "progress": {},
        "summary": {},
        "environment": {},
        "notices": [],
        "findings": [],
        "sums": {},
    }


def insert_or_find(connection: Connection, values: Mapping[str, Any], moment: Moment) -> tuple[Row[Any], bool]:
    """Queue a run or find the cached one; return its row and whether it is cached. One statement, which cannot race."""
    statement = insert_for(connection)(runs).values(**values, created_at=moment.now, queued_at=moment.now)
    statement = statement.on_conflict_do_nothing(index_elements=["cache_key"], index_where=CACHED)
    made = connection.execute(statement.returning(*RAW)).one_or_none()
    if made is not None:
        return write_checksum(connection, made), False
    return connection.execute(select(*RAW).where(runs.c.cache_key == values["cache_key"], CACHED)).one(), True


def _with_priority(connection: Connection, run: str, priority: int) -> Row[Any]:
    """Set the priority of a run that is not finished, and return its row."""
    row = sound_row(connection, run, lock=True)
    if row.state == RunState.FINISHED:
        raise RunStateError(
            f"Run {run} is finished, so its priority is irrelevant: give a queued run another priority."
        )
    return row if row.priority == priority else change_row(connection, row, priority=priority)


def _waiting(connection: Connection, moment: Moment, *, limit: int | None = None) -> list[RunRecord]:
    """Return the first queued runs; unreadable ones use no turn, as in `claim`."""
    unreadable: set[int] = set()
    while True:
        numbers = [run.number for run in islice(waiting_order(connection, without=unreadable), limit)]
        records = list(listed_records(connection, numbers, moment=moment))
        problems = {record.number for record in records if record.problem}
        if not problems:
            return records
        unreadable |= problems
