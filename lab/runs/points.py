"""Metric points and kept files: what a run leaves behind.

A point is known by run, series and step; written again (a resumed run repeats the steps after its checkpoint) it
replaces the old one. In the table NULL means NaN, on every backend, because SQLite has no NaN of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from lab.errors import RunStateError, StoreError
from lab.runs.base import StoreBase
from lab.runs.leases import progress_values
from lab.runs.records import KeptFile, RunState, Series, Want
from lab.runs.rows import kept_file
from lab.runs.schema import kept, points, runs

_COLUMNS = ("run", "series", "step", "value", "time_s")


class Points(StoreBase):
    """The part of `RunStore` that holds curves and the list of kept files."""

    def append_points(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> Want:
        """Store points, with the newest progress if given, in one transaction, and renew the lease.

        When this returns, the points are on disk; when it raises, none of them is stored and the caller still has
        them. Returns what the user wants of the run. Raises `LeaseLostError`, `StoreBusyError`, `StoreError`.
        """
        rows = [row for name, series in points.items() for row in _rows(run, name, series)]
        with self._database.write() as connection:
            held = self._write_held(connection, run, lease, **(progress_values(progress) if progress else {}))
            self._upsert(connection, rows)
        return Want(held.want)

    def _upsert(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        # One prepared statement, handed to the driver with all rows: 2,000 points in about 5 ms.
        mark = "?" if self._database.is_sqlite else "%s"
        connection.exec_driver_sql(
            f"INSERT INTO points ({', '.join(_COLUMNS)}) VALUES ({', '.join([mark] * 5)}) "  # noqa: S608 (constants)
            "ON CONFLICT (run, series, step) DO UPDATE SET value = excluded.value, time_s = excluded.time_s",
            list(rows),
        )

    def points(self, run: str, *, series: Iterable[str] | None = None, after_step: int = -1) -> dict[str, Series]:
        """Return the curves of a run in step order, all or only the named ones, from the step after `after_step` on."""
        query = (
            select(points.c.series, points.c.step, points.c.value, points.c.time_s)
            .where(points.c.run == run, points.c.step > after_step)
            .order_by(points.c.series, points.c.step)
        )
        if series is not None:
            query = query.where(points.c.series.in_(list(series)))
        with self._database.read() as connection:
            self._row(connection, run)
            rows = connection.execute(query).all()
        return _series(rows)

    def keep(self, run: str, lease: int, file: KeptFile) -> None:
        """List a file that is already written; a path listed before takes the new digest."""
        values = {
            "run": run, "path": file.path, "kind": file.kind, "step": file.step, "epoch": file.epoch,
            "sha256": file.sha256, "bytes": file.bytes, "created_at": file.created_at,
        }  # fmt: skip
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        fresh = {name: value for name, value in values.items() if name not in ("run", "path")}
        with self._database.write() as connection:
            self._write_held(connection, run, lease)
            statement = make(kept).values(**values)
            connection.execute(statement.on_conflict_do_update(index_elements=["run", "path"], set_=fresh))

    def forget_kept(self, run: str, lease: int, paths: Iterable[str]) -> tuple[str, ...]:
        """Take files off the list and return those that no other run lists: only these may be deleted."""
        gone = list(paths)
        with self._database.write() as connection:
            self._write_held(connection, run, lease)
            connection.execute(delete(kept).where(kept.c.run == run, kept.c.path.in_(gone)))
            return unlisted(connection, gone)

    def kept(self, run: str, *, kind: str | None = None) -> tuple[KeptFile, ...]:
        """Return the files of a run in step order, all or one kind."""
        query = select(kept).where(kept.c.run == run).order_by(kept.c.step, kept.c.kind, kept.c.path)
        if kind is not None:
            query = query.where(kept.c.kind == kind)
        with self._database.read() as connection:
            self._row(connection, run)
            return tuple(kept_file(row) for row in connection.execute(query))

    def copy_history(self, source: str, target: str, *, lease: int | None = None) -> None:
        """Give a run the curves, training time and kept files of the one it continues; the files are shared.

        lease: of the target, once it is claimed. Raises `LeaseLostError`, `RunStateError` where the target has ended.
        """
        with self._database.write() as connection:
            origin = self._row(connection, source)
            self._open_for(connection, target, lease)
            for table in (points, kept):
                names = [column.name for column in table.columns if column.name != "run"]
                old = select(*[table.c[name] for name in names]).where(table.c.run == source).subquery()
                connection.execute(delete(table).where(table.c.run == target))
                copied = select(_constant(target), *[old.c[name] for name in names])
                connection.execute(insert(table).from_select(["run", *names], copied))
            connection.execute(runs.update().where(runs.c.id == target).values(seconds=origin.seconds))

    def _open_for(self, connection: Connection, target: str, lease: int | None) -> None:
        if lease is not None:
            self._write_held(connection, target, lease)
            return
        row = self._row(connection, target, lock=True)
        if row.state != RunState.QUEUED:
            raise RunStateError(f"Run {target} is {row.state}, so only its worker may give it a history.")


def _constant(value: str) -> Any:
    from sqlalchemy import literal

    return literal(value)


def unlisted(connection: Connection, paths: Sequence[str]) -> tuple[str, ...]:
    """Return those of the paths that no run lists."""
    listed = set(connection.execute(select(kept.c.path).where(kept.c.path.in_(paths))).scalars())
    return tuple(path for path in paths if path not in listed)


def _rows(run: str, name: str, series: Series) -> list[tuple[Any, ...]]:
    step = np.asarray(series.step)
    value = np.asarray(series.value, dtype=np.float64)
    time_s = np.asarray(series.time_s, dtype=np.float64)
    if not (step.shape == value.shape == time_s.shape and step.ndim == 1):
        raise StoreError(
            f"Series {name!r} of run {run} has {step.size} steps, {value.size} values and {time_s.size} times: "
            "give arrays of one length."
        )
    values: list[float | None] = value.tolist()
    for index in np.flatnonzero(np.isnan(value)):
        values[index] = None
    return [(run, name, *point) for point in zip(step.tolist(), values, time_s.tolist())]


def _series(rows: Sequence[Any]) -> dict[str, Series]:
    found: dict[str, Series] = {}
    names = [row[0] for row in rows]
    start = 0
    while start < len(rows):
        name = names[start]
        stop = start + 1
        while stop < len(rows) and names[stop] == name:
            stop += 1
        found[name] = Series(
            name=name,
            step=np.array([row[1] for row in rows[start:stop]], dtype=np.int64),
            value=np.array([row[2] for row in rows[start:stop]], dtype=np.float64),  # None becomes NaN
            time_s=np.array([row[3] for row in rows[start:stop]], dtype=np.float64),
        )
        start = stop
    return found
