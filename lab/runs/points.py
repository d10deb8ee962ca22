"""Metric points and kept files: what a run leaves behind.

A point is known by run, series and step; written again (a resumed run repeats the steps after its checkpoint) it
replaces the old one. In the table NULL means NaN, on every backend, because SQLite has no NaN of its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection, Row, delete, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from lab.errors import RunStateError, StoreError, UnreadableRunError
from lab.runs import sums
from lab.runs.curves import fetch, last_steps, sample
from lab.runs.digests import sum_files
from lab.runs.headlines import Headlines
from lab.runs.leases import progress_values
from lab.runs.pace import Pace
from lab.runs.records import WEIGHTS, KeptFile, RunState, Series, Want
from lab.runs.rows import decoded, kept_file
from lab.runs.schema import kept, points, runs, series_names
from lab.runs.seals import EMPTY_SUM, RAW, file_sum, is_sound, points_sum
from lab.runs.sums import PointColumns

_INTO = "INSERT INTO points (run, series, step, value, time_s)"
_FROM_ARRAYS = "SELECT * FROM unnest(%s::int[], %s::int[], %s::bigint[], %s::float8[], %s::float8[])"
_REPLACE = "ON CONFLICT (run, series, step) DO UPDATE SET value = excluded.value, time_s = excluded.time_s"
Hold: TypeAlias = Callable[
    [Connection], Row[Any] | None
]  # checks the right to write; the run's locked row, if it has one


class Points(Headlines):
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
            held = self._held(connection, run, lease)
            numbers = self._series_numbers(connection, ready)
            values = {**self._renewed(connection), **(progress_values(progress) if progress else {})}
            values |= sums.after_storing(connection, held, ready, numbers)
            self._upsert(connection, held.number, list(ready.items()), numbers)
            return Want(self._change(connection, held, **values).want)

    def _upsert(
        self,
        connection: Connection,
        number: int,
        ready: Sequence[tuple[str, PointColumns]],
        numbers: Mapping[str, int] | None = None,
    ) -> None:
        """Store points under the number of a run; who has its row brings the checksums up to date."""
        known = numbers or self._series_numbers(connection, {name for name, _ in ready})
        rows = [(number, known[name], *point) for name, columns in ready for point in zip(*columns, strict=True)]
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
        Whole curves are compared with their checksums. Raises `UnreadableRunError` for damaged ones.
        """
        asked = None if series is None else set(series)
        with self.database.read() as connection:
            row = self._row(connection, run)
            names = _known_series(connection, None if asked is None else list(asked))
            last = last_steps(connection, row.number)
        with self.database.read_in_parts() as connection:
            tables = _read_curves(connection, row.number, names, last, after_step)
        if after_step < 0 and sums.wrong_curves(row, tables, asked):
            # The run may have been resumed meanwhile and have written steps anew: one moment decides.
            with self.database.read() as connection:
                row = self._row(connection, run)
                tables = _read_curves(connection, row.number, names, last_steps(connection, row.number), after_step)
            wrong = sums.wrong_curves(row, tables, asked)
            if wrong:
                raise sums.damaged_curves(run, wrong)
        return {name: _as_series(name, table_N3) for name, table_N3 in tables.items() if len(table_N3)}

    def sampled_points(self, run: str, *, limit: int) -> dict[str, Series]:
        """Return the curves of a run with at most about `limit` points each, evenly sampled from longer ones.

        Memory stays bounded whatever the run's length. Checksums are not compared: `verify` does that.
        """
        with self.database.read() as connection:
            row = self._row(connection, run)
            names = _known_series(connection, None)
            last = last_steps(connection, row.number)
        with self.database.read_in_parts() as connection:
            tables = {
                name: sample(fetch(connection, row.number, one, last_step=last[one]), limit=limit)
                for name, one in sorted(names.items())
                if one in last
            }
        return {name: _as_series(name, table_N3) for name, table_N3 in tables.items()}

    def rewind(self, run: str, lease: int, step: int) -> tuple[str, ...]:
        """Take a run back to a step: points and files beyond it go. Returns the files that no run lists any more.

        The files go first: whoever is killed in between has no checkpoint that knows more than the points do.
        """
        pace = Pace(self.database)
        with pace.write(sized=False) as connection:
            row = self._held(connection, run, lease)
            beyond = (kept.c.run == run, kept.c.step > step)
            gone = sums.after_files(row, gone=sums.files_where(connection, *beyond))
            row = self._change(connection, row, **self._renewed(connection), **gone)
            taken = delete(kept).where(*beyond).returning(kept.c.path)
            free = unlisted(connection, list(connection.execute(taken).scalars()))
            self._refresh_headline(connection, row)
        self._delete_points(pace, row.number, after_step=step, hold=lambda c: self._write_held(c, run, lease))
        return free

    def _delete_points(self, pace: Pace, number: int, *, after_step: int = -1, hold: Hold) -> None:
        """Delete the points of a run beyond a step in short transactions, each curve from its end on."""
        with self.database.read() as connection:
            names = {one: name for name, one in _known_series(connection, None).items()}
            series = [one for one, last in last_steps(connection, number).items() if last > after_step]
        for one in series:
            left: int | None = after_step
            while left is not None:
                with pace.write() as connection:
                    row = hold(connection)
                    left = _delete_start(connection, number, one, after_step, pace.size)
                    first = after_step if left is None else left - 1
                    if row is not None:
                        part = points_sum(names[one], fetch(connection, number, one, after_step=first))
                        self._change(connection, row, **sums.after_moving(row, names[one], part, away=True))
                    curve = (points.c.run == number) & (points.c.series == one)
                    connection.execute(delete(points).where(curve, points.c.step > first))

    def keep(self, run: str, lease: int, file: KeptFile) -> None:
        """List a file that is already written; a path listed before takes the new digest."""
        values = {
            "run": run,
            "path": file.path,
            "kind": file.kind,
            "step": file.step,
            "epoch": file.epoch,
            "sha256": file.sha256,
            "bytes": file.bytes,
            "created_at": file.created_at,
        }
        make = sqlite.insert if self.database.is_sqlite else postgresql.insert
        fresh = {name: value for name, value in values.items() if name not in ("run", "path")}
        with self.database.write() as connection:
            row = self._held(connection, run, lease)
            replaced = sums.files_where(connection, kept.c.run == run, kept.c.path == file.path)
            changed = sums.after_files(row, gone=replaced, new=[file_sum(values)])
            row = self._change(connection, row, **self._renewed(connection), **changed)
            statement = make(kept).values(**values)
            connection.execute(statement.on_conflict_do_update(index_elements=["run", "path"], set_=fresh))
            if file.kind == WEIGHTS:
                self._refresh_headline(connection, row)

    def forget_kept(self, run: str, lease: int, paths: Iterable[str]) -> tuple[str, ...]:
        """Take files off the list and return those that no other run lists: only these may be deleted."""
        gone = list(paths)
        with self.database.write() as connection:
            row = self._held(connection, run, lease)
            listed = sums.files_where(connection, kept.c.run == run, kept.c.path.in_(gone))
            row = self._change(connection, row, **self._renewed(connection), **sums.after_files(row, gone=listed))
            taken = delete(kept).where(kept.c.run == run, kept.c.path.in_(gone)).returning(kept.c.kind)
            if WEIGHTS in connection.execute(taken).scalars().all():
                self._refresh_headline(connection, row)
            return unlisted(connection, gone)

    def kept(self, run: str, *, kind: str | None = None) -> tuple[KeptFile, ...]:
        """Return the files of a run in step order, all or one kind. Raises `UnreadableRunError` for a damaged list."""
        query = select(kept).where(kept.c.run == run).order_by(kept.c.step, kept.c.kind, kept.c.path)
        with self.database.read() as connection:
            row = self._row(connection, run)
            rows = connection.execute(query).all()
        if row.sums is not None and sum_files(rows) != decoded(row.sums).get("files", EMPTY_SUM):
            raise UnreadableRunError(
                f"The list of saved files of run {run} is damaged in the database (its checksum differs): restore the "
                "store from a copy, or train the run again."
            )
        return tuple(kept_file(each) for each in rows if kind is None or each.kind == kind)

    def strays(self, files: Mapping[str, float]) -> tuple[str, ...]:
        """Return those of the files (path to time of writing) that a worker wrote or let go of and died before saying so.

        They lie in a run's folder, no run lists them, and they were written under a lease that this store gave out.
        Others may be another store's, or all that is left of a newer copy of this one.
        """
        held = select(*RAW).where(runs.c.lease_until.is_not(None))
        with self.database.read() as connection:
            # A list that is damaged may lack a file that it had: nothing of such a run is touched.
            rows = {row.id: row for row in connection.execute(held) if is_sound(row)}
            listed = set(connection.execute(select(kept.c.path)).scalars())
            loose = {path: at for path, at in files.items() if path not in listed and path.split("/")[0] in rows}
            until = {run: rows[run].lease_until for run in {path.split("/")[0] for path in loose}}
            whole = {run for run in until if sums.files_fit(connection, rows[run])}
        return tuple(path for path, at in loose.items() if (run := path.split("/")[0]) in whole and at <= until[run])

    def copy_history(self, source: str, target: str, *, lease: int | None = None) -> None:
        """Give a run the curves, training time and kept files of the one it continues, deleted or not; files are shared.

        The list of files comes last: whoever is killed in between has no checkpoint yet, and copies again.
        lease: of the target, once it is claimed. Raises `LeaseLostError`, `RunStateError` where the target has ended, and
        `UnreadableRunError` where the source is damaged.
        """
        pace = Pace(self.database)
        with pace.write(sized=False) as connection:
            origin = self._row(connection, source, deleted=True)
            number = self._open_for(connection, target, lease).number
            last = last_steps(connection, origin.number)
            names = {one: name for name, one in _known_series(connection, None).items()}
        self._delete_points(pace, number, hold=lambda c: self._open_for(c, target, lease))
        for series in last:
            after: int | None = -1
            while after is not None:
                with pace.write() as connection:
                    self._row(connection, source, deleted=True)  # it may be purged meanwhile
                    row = self._open_for(connection, target, lease)
                    end = _copy_part(connection, (origin.number, number), series, after, pace.size)
                    copied = fetch(connection, number, series, after_step=after)
                    part = points_sum(names[series], copied)
                    self._change(connection, row, **sums.after_moving(row, names[series], part, away=False))
                    after = end
        with pace.write(sized=False) as connection:
            self._copy_files(
                connection, self._row(connection, source, deleted=True), self._open_for(connection, target, lease)
            )

    def _copy_files(self, connection: Connection, origin: Row[Any], row: Row[Any]) -> None:
        """Share the files of a run whose curves were copied, and take over its training time."""
        known = origin.sums is not None and row.sums is not None
        if known and _curve_sums(origin) != _curve_sums(row):
            raise UnreadableRunError(
                f"The curves of run {origin.id} are damaged in the database (their checksum differs), so they were not "
                "copied: restore the store from a copy, or train the run again."
            )
        rest = [column for column in kept.columns if column.name != "run"]
        old = sums.files_where(connection, kept.c.run == row.id)
        connection.execute(delete(kept).where(kept.c.run == row.id))
        copied = select(literal(row.id), *rest).where(kept.c.run == origin.id)
        connection.execute(insert(kept).from_select(["run", *[c.name for c in rest]], copied))
        new = [sum_files(sums.files_where(connection, kept.c.run == row.id))]
        changed = self._change(connection, row, seconds=origin.seconds, **sums.after_files(row, gone=old, new=new))
        self._refresh_headline(connection, changed)

    def _open_for(self, connection: Connection, target: str, lease: int | None) -> Row[Any]:
        if lease is not None:
            return self._write_held(connection, target, lease)
        row = self._row(connection, target, lock=True)
        if row.state != RunState.QUEUED:
            raise RunStateError(f"Run {target} is {row.state}, so only its worker may give it a history.")
        return row


def _curve_sums(row: Row[Any]) -> dict[str, str]:
    return {key: one for key, one in (decoded(row.sums) or {}).items() if key != "files" and one != EMPTY_SUM}


def _delete_start(connection: Connection, number: int, series: int, after_step: int, size: int) -> int | None:
    """Return the step from which the last `size` points of a curve begin, None where all beyond `after_step` fit."""
    # Neither SQLite as Python has it nor Postgres can delete with a LIMIT.
    curve = (points.c.run == number) & (points.c.series == series) & (points.c.step > after_step)
    first = select(points.c.step).where(curve).order_by(points.c.step.desc()).offset(size - 1).limit(1)
    step: int | None = connection.execute(first).scalar_one_or_none()
    return step


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


def _columns(run: str, name: str, series: Series) -> PointColumns:
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


def _read_curves(
    connection: Connection, number: int, names: Mapping[str, int], last: Mapping[int, int], after_step: int
) -> dict[str, np.ndarray]:
    """Return the curves' points as tables (n, 3) of step, value and time, each up to its last step."""
    return {
        name: np.concatenate(
            [np.empty((0, 3)), *fetch(connection, number, one, after_step=after_step, last_step=last[one])]
        )
        for name, one in sorted(names.items())
        if last.get(one, -1) > after_step
    }


def _as_series(name: str, table_N3: np.ndarray) -> Series:
    step_N, value_N, time_N = (column.copy() for column in table_N3.T)
    return Series(name=name, step=step_N.astype(np.int64), value=value_N, time_s=time_N)
