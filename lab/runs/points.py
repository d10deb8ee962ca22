"""Metric points and kept files: what a run leaves behind.

A point is known by run, series and step; written again (a resumed run repeats the steps after its checkpoint) it
replaces the old one. In the table NULL means NaN, on every backend, because SQLite has no NaN of its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection, Row, delete, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from lab.errors import RunStateError, StoreError
from lab.runs.base import StoreBase
from lab.runs.curves import fetch, last_steps
from lab.runs.database import Database
from lab.runs.leases import progress_values
from lab.runs.pace import Pace
from lab.runs.records import KeptFile, RunState, Series, Want
from lab.runs.rows import kept_file
from lab.runs.schema import kept, points, runs, series_names

_PointColumns: TypeAlias = tuple[list[int], list[float | None], list[float]]  # steps, values, times
_INTO = "INSERT INTO points (run, series, step, value, time_s)"
_FROM_ARRAYS = "SELECT * FROM unnest(%s::int[], %s::int[], %s::bigint[], %s::float8[], %s::float8[])"
_REPLACE = "ON CONFLICT (run, series, step) DO UPDATE SET value = excluded.value, time_s = excluded.time_s"


class Points(StoreBase):
    """The part of `RunStore` that holds curves and the list of kept files."""

    def append_points(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> Want:
        """Store points, with the newest progress if given, in one transaction, and renew the lease.

        When this returns, the points are on disk; when it raises, none of them is stored and the caller still has
        them. Returns what the user wants of the run. Raises `LeaseLostError`, `StoreBusyError`, `StoreError`.
        """
        ready = {name: _columns(run, name, series) for name, series in points.items()}
        with self.database.write() as connection:
            held = self._write_held(connection, run, lease, **(progress_values(progress) if progress else {}))
            self._upsert(connection, held.number, list(ready.items()))
        return Want(held.want)

    def _upsert(self, connection: Connection, number: int, ready: Sequence[tuple[str, _PointColumns]]) -> None:
        numbers = self._series_numbers(connection, {name for name, _ in ready})
        rows = [(number, numbers[name], *point) for name, columns in ready for point in zip(*columns, strict=True)]
        if rows and self.database.is_sqlite:
            # One prepared statement, handed to the driver with all rows: 2,000 points in about 5 ms.
            connection.exec_driver_sql(f"{_INTO} VALUES (?, ?, ?, ?, ?) {_REPLACE}", rows)
        elif rows:
            # One statement with five arrays, a twentieth of the time of one a row; it must not meet a point twice.
            newest = {row[:3]: row for row in rows}
            connection.exec_driver_sql(f"{_INTO} {_FROM_ARRAYS} {_REPLACE}", tuple(map(list, zip(*newest.values()))))

    def _series_numbers(self, connection: Connection, names: Iterable[str]) -> dict[str, int]:
        wanted = list(names)
        known = _known_series(connection, wanted)
        missing = [name for name in wanted if name not in known]
        if missing:
            make = sqlite.insert if self.database.is_sqlite else postgresql.insert
            fresh = make(series_names).on_conflict_do_nothing(index_elements=["name"])
            connection.execute(fresh, [{"name": name} for name in missing])
            known = _known_series(connection, wanted)
        return known

    def points(self, run: str, *, series: Iterable[str] | None = None, after_step: int = -1) -> dict[str, Series]:
        """Return the curves of a run in step order, all or only the named ones, from the step after `after_step` on.

        They end where they ended when this was called. A long curve is read in parts, so that no writer waits for it.
        """
        with self.database.read() as connection:
            number = self._row(connection, run).number
            names = _known_series(connection, None if series is None else list(series))
            last = last_steps(connection, number)
        with self.database.read_in_parts() as connection:
            found = {
                name: _read_series(connection, number, name, names[name], after_step, last[names[name]])
                for name in sorted(names)
                if last.get(names[name], -1) > after_step
            }
        return {name: one for name, one in found.items() if one.step.size}

    def rewind(self, run: str, lease: int, step: int) -> tuple[str, ...]:
        """Take a run back to a step: points and files beyond it go. Returns the files that no run lists any more.

        The files go first: whoever is killed in between has no checkpoint that knows more than the points do.
        """
        pace = Pace(self.database)
        with pace.write(sized=False) as connection:
            number = self._write_held(connection, run, lease).number
            taken = delete(kept).where(kept.c.run == run, kept.c.step > step).returning(kept.c.path)
            free = unlisted(connection, list(connection.execute(taken).scalars()))
        delete_points(self.database, pace, number, after_step=step, guard=lambda c: self._write_held(c, run, lease))
        return free

    def keep(self, run: str, lease: int, file: KeptFile) -> None:
        """List a file that is already written; a path listed before takes the new digest."""
        values = {
            "run": run, "path": file.path, "kind": file.kind, "step": file.step, "epoch": file.epoch,
            "sha256": file.sha256, "bytes": file.bytes, "created_at": file.created_at,
        }  # fmt: skip
        make = sqlite.insert if self.database.is_sqlite else postgresql.insert
        fresh = {name: value for name, value in values.items() if name not in ("run", "path")}
        with self.database.write() as connection:
            self._write_held(connection, run, lease)
            statement = make(kept).values(**values)
            connection.execute(statement.on_conflict_do_update(index_elements=["run", "path"], set_=fresh))

    def forget_kept(self, run: str, lease: int, paths: Iterable[str]) -> tuple[str, ...]:
        """Take files off the list and return those that no other run lists: only these may be deleted."""
        gone = list(paths)
        with self.database.write() as connection:
            self._write_held(connection, run, lease)
            connection.execute(delete(kept).where(kept.c.run == run, kept.c.path.in_(gone)))
            return unlisted(connection, gone)

    def kept(self, run: str, *, kind: str | None = None) -> tuple[KeptFile, ...]:
        """Return the files of a run in step order, all or one kind."""
        query = select(kept).where(kept.c.run == run).order_by(kept.c.step, kept.c.kind, kept.c.path)
        if kind is not None:
            query = query.where(kept.c.kind == kind)
        with self.database.read() as connection:
            self._row(connection, run)
            return tuple(kept_file(row) for row in connection.execute(query))

    def strays(self, files: Mapping[str, float]) -> tuple[str, ...]:
        """Return those of the files (path to time of writing) that a worker wrote or let go of and died before saying so.

        They lie in a run's folder, no run lists them, and they were written under a lease that this store gave out.
        Others may be another store's, or all that is left of a newer copy of this one.
        """
        leases = select(runs.c.id, runs.c.lease_until).where(runs.c.lease_until.is_not(None))
        with self.database.read() as connection:
            until = {row.id: row.lease_until for row in connection.execute(leases)}
            listed = set(connection.execute(select(kept.c.path)).scalars())
        loose = {path: written for path, written in files.items() if path not in listed and path.split("/")[0] in until}
        return tuple(path for path, written in loose.items() if written <= until[path.split("/")[0]])

    def copy_history(self, source: str, target: str, *, lease: int | None = None) -> None:
        """Give a run the curves, training time and kept files of the one it continues, deleted or not; files are shared.

        The list of files comes last: whoever is killed in between has no checkpoint yet, and copies again.
        lease: of the target, once it is claimed. Raises `LeaseLostError`, `RunStateError` where the target has ended.
        """
        pace = Pace(self.database)
        with pace.write(sized=False) as connection:
            origin = self._row(connection, source, deleted=True)
            number = self._open_for(connection, target, lease).number
            last = last_steps(connection, origin.number)
        delete_points(self.database, pace, number, guard=lambda c: self._open_for(c, target, lease))
        for series in last:
            after: int | None = -1
            while after is not None:
                with pace.write() as connection:
                    self._row(connection, source, deleted=True)  # it may be purged meanwhile
                    self._open_for(connection, target, lease)
                    after = _copy_part(connection, (origin.number, number), series, after, pace.size)
        with pace.write(sized=False) as connection:
            origin = self._row(connection, source, deleted=True)
            self._open_for(connection, target, lease)
            rest = [column for column in kept.columns if column.name != "run"]
            connection.execute(delete(kept).where(kept.c.run == target))
            copied = select(literal(target), *rest).where(kept.c.run == source)
            connection.execute(insert(kept).from_select(["run", *[c.name for c in rest]], copied))
            connection.execute(runs.update().where(runs.c.id == target).values(seconds=origin.seconds))

    def _open_for(self, connection: Connection, target: str, lease: int | None) -> Row[Any]:
        if lease is not None:
            return self._write_held(connection, target, lease)
        row = self._row(connection, target, lock=True)
        if row.state != RunState.QUEUED:
            raise RunStateError(f"Run {target} is {row.state}, so only its worker may give it a history.")
        return row


def delete_points(
    database: Database,
    pace: Pace,
    number: int,
    *,
    after_step: int = -1,
    guard: Callable[[Connection], object] = lambda _connection: None,
) -> None:
    """Delete the points of a run beyond a step in short transactions, each curve from its end on.

    guard: called in each transaction first; it raises where the points may not be deleted any more.
    """
    with database.read() as connection:
        series = [one for one, last in last_steps(connection, number).items() if last > after_step]
    for one in series:
        curve = (points.c.run == number) & (points.c.series == one) & (points.c.step > after_step)
        left = True
        while left:
            with pace.write() as connection:
                guard(connection)
                # Neither SQLite as Python has it nor Postgres can delete with a LIMIT.
                first = select(points.c.step).where(curve).order_by(points.c.step.desc()).offset(pace.size - 1).limit(1)
                step = connection.execute(first).scalar_one_or_none()
                left = step is not None
                connection.execute(delete(points).where(curve if step is None else curve & (points.c.step >= step)))


def _copy_part(connection: Connection, numbers: tuple[int, int], series: int, after_step: int, size: int) -> int | None:
    """Copy the next `size` points of a curve; return the step of the last one, or None once all are copied."""
    old, new = numbers
    curve = (points.c.run == old) & (points.c.series == series) & (points.c.step > after_step)
    last = connection.execute(
        select(points.c.step).where(curve).order_by(points.c.step).offset(size - 1).limit(1)
    ).scalar_one_or_none()
    rest = [column for column in points.columns if column.name != "run"]
    copied = select(literal(new), *rest).where(curve if last is None else curve & (points.c.step <= last))
    connection.execute(insert(points).from_select(["run", *[c.name for c in rest]], copied))
    return last


def unlisted(connection: Connection, paths: Sequence[str]) -> tuple[str, ...]:
    """Return those of the paths that no run lists."""
    listed = set(connection.execute(select(kept.c.path).where(kept.c.path.in_(paths))).scalars())
    return tuple(path for path in paths if path not in listed)


def _columns(run: str, name: str, series: Series) -> _PointColumns:
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
    return step.tolist(), values, time_s.tolist()


def _known_series(connection: Connection, names: Sequence[str] | None) -> dict[str, int]:
    query = select(series_names.c.name, series_names.c.number)
    if names is not None:
        query = query.where(series_names.c.name.in_(names))
    return {row.name: row.number for row in connection.execute(query)}


def _read_series(connection: Connection, run: int, name: str, number: int, after_step: int, last_step: int) -> Series:
    parts = fetch(connection, run, number, after_step=after_step, up_to=last_step)
    table = np.concatenate([np.empty((0, 3)), *parts])
    return Series(name=name, step=table[:, 0].astype(np.int64), value=table[:, 1].copy(), time_s=table[:, 2].copy())
