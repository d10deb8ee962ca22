"""The run store: the one record of what was asked, who trains it and what came out. The contract is in `lab.runs`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite

from lab.config import RunConfig
from lab.errors import RunNotFoundError, StoreError, near_miss
from lab.runs.database import BUSY_S, Database
from lab.runs.edits import NAME_LIMIT, Edits, checked_tags, checked_text
from lab.runs.encoding import encode_tags, setting_key
from lab.runs.findings import StoredFindings
from lab.runs.imports import Imports, new_run_id
from lab.runs.leases import Leases
from lab.runs.points import Points
from lab.runs.query import condition, ordering
from lab.runs.records import RunRecord, RunState, Want
from lab.runs.rows import listed_record, run_record
from lab.runs.run_queue import Queue
from lab.runs.schema import CACHED, migrate, runs
from lab.runs.seals import RAW, is_sound
from lab.runs.sketches import Sketches

_PART = 5_000  # values in one statement
_HINTS = 20  # names among which the nearest to a mistyped one is looked for


class RunStore(Imports, Leases, Queue, Points, Edits, Sketches, StoredFindings):
    """Runs, their points and their files in one database. Safe to use from any thread and any process."""

    @classmethod
    def open(
        cls, url: str, *, read_only: bool = False, clock: Callable[[], float] | None = None, busy_s: float = BUSY_S
    ) -> "RunStore":
        """Open the store at an SQLAlchemy URL, creating or migrating it.

        clock: seconds since the epoch instead of the store's own time (`Database.moment`). busy_s: how long a write waits for another process.
        Raises `StoreError`, `StoreVersionError`, `StoreBusyError`.
        """
        database = Database(url, read_only=read_only, busy_s=busy_s)
        try:
            migrate(database)
        except StoreError:
            database.close()
            raise
        return cls(database, clock)

    def close(self) -> None:
        """Let go of connections; the store may be used again afterwards."""
        self.database.close()

    @property
    def read_only(self) -> bool:
        """Whether every write is refused."""
        return self.database.read_only

    def submit(
        self,
        config: RunConfig,
        *,
        fingerprint: str,
        family: str,
        name: str = "",
        parent: str | None = None,
        fresh: bool = False,
        tags: Iterable[str] = (),
        origin: str = "local",
    ) -> tuple[RunRecord, bool]:
        """Queue a run, or return the queued, running or finished one with this fingerprint, and whether it is that.

        fresh: make a new run all the same. The check and the queueing are one statement, so two callers who ask at the
        same moment get the same run.
        """
        values: dict[str, Any] = {
            "id": new_run_id(),
            "name": checked_text(name, "name", NAME_LIMIT) or config.arch,
            "config": config.as_dict(),
            "fingerprint": fingerprint,
            "family": family,
            "cache_key": None if fresh else fingerprint,
            "state": RunState.QUEUED,
            "want": Want.RUN,
            "parent": parent,
            "origin": origin,
            "arch": config.arch,
            "dataset": config.dataset,
            "setting": setting_key(config),
            "tags": encode_tags(checked_tags(tags)),
            "progress": {},
            "summary": {},
            "environment": {},
            "notices": [],
            "findings": [],
            "sums": {},
        }
        make = sqlite.insert if self.database.is_sqlite else postgresql.insert
        with self.database.write() as connection:
            moment = self._moment(connection)
            self._bury(connection, moment)
            statement = make(runs).values(**values, created_at=moment.now, queued_at=moment.now)
            statement = statement.on_conflict_do_nothing(index_elements=["cache_key"], index_where=CACHED)
            made = connection.execute(statement.returning(*RAW)).one_or_none()
            if made is not None:
                return run_record(self._seal(connection, made), moment=moment), False
            known = connection.execute(select(*RAW).where(runs.c.cache_key == fingerprint, CACHED)).one()
            return run_record(known, moment=moment), True

    def get(self, run: str, *, deleted: bool = False) -> RunRecord:
        """Return the run with this id. Raises `RunNotFoundError`."""
        with self.database.read() as connection:
            return self._record(connection, self._row(connection, run, deleted=deleted))

    def resolve(self, text: str) -> RunRecord:
        """Find a run by what a person types: its id, its name, or the beginning of its id, in this order.

        Raises `RunNotFoundError` where nothing or more than one run fits.
        """
        wanted = text.strip()
        there = runs.c.deleted_at.is_(None)
        tests: tuple[ColumnElement[bool], ...] = (
            runs.c.id == wanted,
            runs.c.name == wanted,
            runs.c.id.startswith(wanted, autoescape=True),
        )
        with self.database.read() as connection:
            for test in tests if wanted else ():
                rows = connection.execute(select(*RAW).where(there, test).order_by(runs.c.created_at).limit(6)).all()
                if len(rows) == 1:
                    return self._record(connection, rows[0])
                if rows:
                    ids = ", ".join(row.id for row in rows[:5]) + (", …" if len(rows) > 5 else "")
                    raise RunNotFoundError(f"{wanted!r} fits more than one run ({ids}): give one of these ids.")
            some = connection.execute(select(*RAW).where(there).limit(_HINTS + 1)).all()
            names = {row.name for row in some if is_sound(row)}
        hint = near_miss(wanted, names) if 0 < len(names) <= _HINTS else "`lab runs` lists those there are."
        raise RunNotFoundError(f"There is no run with the id or name {wanted!r}. {hint}")

    def find_answer(self, fingerprint: str) -> RunRecord | None:
        """Return the queued, running or finished run that answers for this fingerprint."""
        with self.database.read() as connection:
            row = connection.execute(select(*RAW).where(runs.c.cache_key == fingerprint, CACHED)).one_or_none()
            return None if row is None else self._record(connection, row)

    def find_family(self, family: str) -> tuple[RunRecord, ...]:
        """Return the finished runs of a family (equal but for the number of epochs), the longest first."""
        query = select(*RAW).where(
            runs.c.family == family, runs.c.state == RunState.FINISHED, runs.c.deleted_at.is_(None)
        )
        with self.database.read() as connection:
            records = self._readable(connection, connection.execute(query))
        return tuple(sorted(records, key=lambda record: (-record.config.epochs, -record.created_at)))

    def find_settings(self, configs: Iterable[RunConfig]) -> dict[str, tuple[RunRecord, ...]]:
        """Return, by `setting_key`, the runs whose configuration differs from one of these in its seed at most."""
        keys = sorted({setting_key(config) for config in configs})
        query = select(*RAW).where(runs.c.setting.in_(keys), runs.c.deleted_at.is_(None)).order_by(runs.c.number)
        found: dict[str, list[RunRecord]] = {key: [] for key in keys}
        with self.database.read() as connection:
            for record in self._readable(connection, connection.execute(query)):
                found[setting_key(record.config)].append(record)
        return {key: tuple(records) for key, records in found.items()}

    def list_runs(
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

        where: a search such as `arch:lenet* lr<0.01` (`lab.runs.query`). order: "test", or "-test" for the biggest
        first. ids: only these. problems: also the runs that cannot be read, each with its `problem`. Raises `InputError` for a search or an order that cannot be read.
        """
        orders = ordering(order)
        with self.database.read() as connection:
            # Only numbers are sorted: carrying 10,000 whole rows through the sorter costs as much again.
            query = self._found(connection, select(runs.c.number), where, ids)
            query = query.order_by(*([runs.c.pinned.desc()] if pinned_first else []), *orders)
            numbers = list(connection.execute(query.limit(limit).offset(offset)).scalars())
            rows = {row.number: row for row in _by_number(connection, numbers)}
            moment = self._moment(connection)
        found = [listed_record(rows[number], moment=moment) for number in numbers if number in rows]
        return tuple(record for record in found if problems or not record.problem)

    def _readable(self, connection: Connection, rows: Iterable[Row[Any]]) -> list[RunRecord]:
        """Return the records of the rows that can be read."""
        moment = self._moment(connection)
        return [record for row in rows if not (record := listed_record(row, moment=moment)).problem]

    def count_runs(self, *, where: str = "", ids: Iterable[str] | None = None) -> int:
        """Return how many runs the search finds."""
        with self.database.read() as connection:
            query = self._found(connection, select(func.count()).select_from(runs), where, ids)
            return int(connection.execute(query).scalar_one())

    def _found(self, connection: Connection, query: Select[Any], where: str, ids: Iterable[str] | None) -> Select[Any]:
        at_work = connection.execute(select(*RAW).where(runs.c.state == RunState.RUNNING)) if where else ()
        states = {record.id: record.state for record in self._readable(connection, at_work)}
        found = query.where(condition(where, states=states))
        return found if ids is None else found.where(runs.c.id.in_(list(ids)))


def _by_number(connection: Connection, numbers: Sequence[int]) -> Iterator[Row[Any]]:
    # A statement holds some 32,000 values in SQLite: long lists are asked for in parts.
    for start in range(0, len(numbers), _PART):
        yield from connection.execute(select(*RAW).where(runs.c.number.in_(numbers[start : start + _PART])))
