"""Finding runs: by id, by what a user types, by fingerprint or setting, and by searches over the whole store."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from lab.config import RunConfig
from lab.config.repeats import setting_key
from lab.errors import RunNotFoundError, near_miss
from lab.runs.checksums import RAW, is_intact
from lab.runs.context import StoreContext
from lab.runs.query import condition, ordering, text_column
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.row_changes import sound_row
from lab.runs.rows import listed_record, listed_records, may_be_gone, run_record
from lab.runs.tables import CACHED, runs
from lab.runs.typed_names import ambiguous_words, find_typed

_HINTS = 20  # at most so many names are compared with a mistyped one


class RunPage(NamedTuple):
    """Some of the runs that match a search, and the number of all that match."""

    records: tuple[RunRecord, ...]
    total: int


class RunLookup:
    """`RunStore.runs`: read-only access to runs."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def get(self, run: str, *, deleted: bool = False) -> RunRecord:
        """Return the run with this id. Raises `RunNotFoundError`."""
        with self.context.database.read() as connection:
            return run_record(sound_row(connection, run, deleted=deleted), moment=self.context.moment(connection))

    def resolve(self, text: str) -> RunRecord:
        """Find a run by what a user types: its id, its name, or a prefix of its id, in this order.

        Raises `RunNotFoundError` if no run or more than one matches.
        """
        wanted = text.strip()
        there = runs.c.deleted_at.is_(None)
        with self.context.database.read() as connection:
            rows = find_typed(connection, select(*RAW).where(there).order_by(runs.c.created_at), runs, wanted)
            if len(rows) == 1:
                return run_record(rows[0], moment=self.context.moment(connection))
            if rows:
                raise RunNotFoundError(ambiguous_words(wanted, "run", rows))
            some = connection.execute(select(*RAW).where(there).limit(_HINTS + 1)).all()
            names = {row.name for row in some if is_intact(row)}
        hint = near_miss(wanted, names) if 0 < len(names) <= _HINTS else "`python -m lab runs` lists all runs."
        raise RunNotFoundError(f"There is no run with the id or name {wanted!r}. {hint}")

    def find_answer(self, fingerprint: str) -> RunRecord | None:
        """Return the queued, running or finished run that is the cached answer for this fingerprint."""
        with self.context.database.read() as connection:
            row = connection.execute(select(*RAW).where(runs.c.cache_key == fingerprint, CACHED)).one_or_none()
            return None if row is None else run_record(row, moment=self.context.moment(connection))

    def find_family(self, family: str) -> tuple[RunRecord, ...]:
        """Return the finished runs of a family (equal except for the number of epochs), longest first."""
        query = select(*RAW).where(
            runs.c.family == family, runs.c.state == RunState.FINISHED, runs.c.deleted_at.is_(None)
        )
        with self.context.database.read() as connection:
            records = _readable(self.context, connection, connection.execute(query))
        return tuple(sorted(records, key=lambda record: (-record.config.epochs, -record.created_at)))

    def find_children(self, ids: Iterable[str]) -> tuple[RunRecord, ...]:
        """Return the runs that continue one of these, fork it or start from its weights, oldest first."""
        of = list(ids)
        columns = (runs.c.parent, text_column("fork_of"), text_column("init_from"))
        query = select(*RAW).where(or_(*[column.in_(of) for column in columns]), runs.c.deleted_at.is_(None))
        with self.context.database.read() as connection:
            return tuple(_readable(self.context, connection, connection.execute(query.order_by(runs.c.number))))

    def find_settings(self, configs: Iterable[RunConfig]) -> dict[str, tuple[RunRecord, ...]]:
        """Return by `setting_key` the runs whose configuration equals one of these, except for seed or fold."""
        keys = sorted({setting_key(config) for config in configs})
        query = select(*RAW).where(runs.c.setting.in_(keys), runs.c.deleted_at.is_(None)).order_by(runs.c.number)
        found: dict[str, list[RunRecord]] = {key: [] for key in keys}
        with self.context.database.read() as connection:
            for record in _readable(self.context, connection, connection.execute(query)):
                found[setting_key(record.config)].append(record)
        return {key: tuple(records) for key, records in found.items()}

    def list(
        self,
        *,
        where: str = "",
        order: str = "-created",
        limit: int | None = 50,
        offset: int = 0,
        ids: Iterable[str] | None = None,
        pinned_first: bool = False,
        problems: bool = False,
    ) -> tuple[RunRecord, ...]:
        """Return one page of runs.

        where: a search such as `arch:lenet* lr<0.01` (`lab.runs.query`). order: "test", or "-test" for descending. ids:
        only these runs. problems: include runs that cannot be read, each with its `problem`. Raises `InputError` for an
        invalid search or order.
        """
        orders = _orders(order, pinned_first)
        with self.context.database.read() as connection:
            # Only the numbers are sorted: sorting 10,000 whole rows takes twice as long.
            query = _found(self.context, connection, select(runs.c.number), where, ids).order_by(*orders)
            numbers = list(connection.execute(query.limit(limit).offset(offset)).scalars())
            found = listed_records(connection, numbers, moment=self.context.moment(connection))
        return tuple(record for record in found if problems or not record.problem)

    def page(
        self, *, where: str = "", order: str = "-created", limit: int, offset: int = 0, pinned_first: bool = False
    ) -> RunPage:
        """Return one page of runs, like `list` with problems, and the number of all that match.

        A search reads every run, so the same statement counts them; without a search, an index yields the first runs.
        """
        orders = _orders(order, pinned_first)
        columns = (runs.c.number, func.count().over()) if where else (runs.c.number,)
        with self.context.database.read() as connection:
            query = _found(self.context, connection, select(*columns), where, None).order_by(*orders)
            rows = connection.execute(query.limit(limit).offset(offset)).all()
            counted = where and rows  # an empty page beyond the first does not give the total
            total = int(rows[0][1]) if counted else self._count(connection, where, None)
            numbers = [row.number for row in rows]
            return RunPage(listed_records(connection, numbers, moment=self.context.moment(connection)), total)

    def count(self, *, where: str = "", ids: Iterable[str] | None = None) -> int:
        """Return how many runs match the search."""
        with self.context.database.read() as connection:
            return self._count(connection, where, ids)

    def _count(self, connection: Connection, where: str, ids: Iterable[str] | None) -> int:
        query = _found(self.context, connection, select(func.count()).select_from(runs), where, ids)
        return int(connection.execute(query).scalar_one())


def _orders(order: str, pinned_first: bool) -> tuple[ColumnElement[Any], ...]:
    return (*([runs.c.pinned.desc()] if pinned_first else []), *ordering(order))


def _readable(context: StoreContext, connection: Connection, rows: Iterable[Row[Any]]) -> list[RunRecord]:
    """Return the records of the rows that can be read."""
    moment = context.moment(connection)
    return [record for row in rows if not (record := listed_record(row, moment=moment)).problem]


def _found(
    context: StoreContext, connection: Connection, query: Select[Any], where: str, ids: Iterable[str] | None
) -> Select[Any]:
    states: dict[str, RunState] = {}
    if where:  # rows stored as "running" whose true state may differ
        other = or_(runs.c.want == RunRequest.STOP, may_be_gone(context.moment(connection)))
        at_work = connection.execute(select(*RAW).where(runs.c.state == RunState.RUNNING, other))
        states = {record.id: record.state for record in _readable(context, connection, at_work)}
    found = query.where(condition(where, states=states))
    return found if ids is None else found.where(runs.c.id.in_(list(ids)))
