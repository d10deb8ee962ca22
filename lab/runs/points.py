"""Metric points and kept files: what a run leaves behind.

A point is known by run, series and step; written again (a resumed run repeats the steps after its checkpoint) it
replaces the old one. In the table NULL means NaN, on every backend, because SQLite has no NaN of its own.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from lab.errors import RunStateError, StoreError, UnreadableRunError
from lab.runs.curves import fetch
from lab.runs.digests import stored_sums, sum_files
from lab.runs.headlines import Headlines
from lab.runs.leases import progress_values
from lab.runs.records import WEIGHTS, KeptFile, RunState, Series, Want
from lab.runs.rows import decoded, kept_file
from lab.runs.schema import kept, points, runs, series_names
from lab.runs.seals import EMPTY_SUM, RAW, added, file_sum, is_sound, points_sum, taken

_PointColumns: TypeAlias = tuple[list[int], list[float | None], list[float]]  # steps, values, times
_UPSERT = (
    "INSERT INTO points (run, series, step, value, time_s) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (run, series, step) DO UPDATE SET value = excluded.value, time_s = excluded.time_s"
)


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
            values = {**self._renewed(connection), **(progress_values(progress) if progress else {})}
            return Want(self._store_points(connection, held, ready, **values).want)

    def _upsert(self, connection: Connection, number: int, ready: Mapping[str, _PointColumns]) -> None:
        """Store points of the run with this number and bring its checksums up to date."""
        row = connection.execute(select(*RAW).where(runs.c.number == number).with_for_update()).one()
        self._store_points(connection, row, ready)

    def _store_points(
        self, connection: Connection, row: Row[Any], ready: Mapping[str, _PointColumns], **values: Any
    ) -> Row[Any]:
        """Store points of a run whose row is locked, with other columns of that row in the same change."""
        numbers = self._series_numbers(connection, ready)
        if row.sums is not None and ready:
            values["sums"] = _sums_with(connection, row, ready, numbers)
        rows = [
            (row.number, numbers[name], *point)
            for name, columns in ready.items()
            for point in zip(*columns, strict=True)
        ]
        if rows:
            # One prepared statement, handed to the driver with all rows: 2,000 points in about 5 ms.
            connection.exec_driver_sql(_UPSERT if self.database.is_sqlite else _UPSERT.replace("?", "%s"), rows)
        return self._change(connection, row, **values) if values else row

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

        Whole curves are compared with their checksums. Raises `UnreadableRunError` for damaged ones.
        """
        with self.database.read() as connection:
            row = self._row(connection, run)
            names = _known_series(connection, None if series is None else list(series))
            tables = {n: _read_series(connection, row.number, names[n], after_step) for n in sorted(names)}
        if row.sums is not None and after_step < 0:
            _check_curves(row, tables, None if series is None else set(series))
        return {name: _as_series(name, table_N3) for name, table_N3 in tables.items() if len(table_N3)}

    def rewind(self, run: str, lease: int, step: int) -> tuple[str, ...]:
        """Take a run back to a step: points and files beyond it go. Returns the files that no run lists any more."""
        with self.database.write() as connection:
            row = self._held(connection, run, lease)
            values = self._renewed(connection)
            if row.sums is not None:
                values["sums"] = _sums_up_to(connection, row, step)
            row = self._change(connection, row, **values)
            known = select(series_names.c.number)  # so that the key leads to each curve's end; none is read through
            beyond = (points.c.run == row.number) & points.c.series.in_(known) & (points.c.step > step)
            connection.execute(delete(points).where(beyond))
            taken_off = delete(kept).where(kept.c.run == run, kept.c.step > step).returning(kept.c.path)
            paths = list(connection.execute(taken_off).scalars())
            self._refresh_headline(connection, row)
            return unlisted(connection, paths)

    def keep(self, run: str, lease: int, file: KeptFile) -> None:
        """List a file that is already written; a path listed before takes the new digest."""
        values = {
            "run": run, "path": file.path, "kind": file.kind, "step": file.step, "epoch": file.epoch,
            "sha256": file.sha256, "bytes": file.bytes, "created_at": file.created_at,
        }  # fmt: skip
        make = sqlite.insert if self.database.is_sqlite else postgresql.insert
        fresh = {name: value for name, value in values.items() if name not in ("run", "path")}
        with self.database.write() as connection:
            row = self._held(connection, run, lease)
            replaced = _files(connection, kept.c.run == run, kept.c.path == file.path)
            sums = _sums_of_files(row, gone=replaced, new=[file_sum(values)])
            row = self._change(connection, row, **self._renewed(connection), **sums)
            statement = make(kept).values(**values)
            connection.execute(statement.on_conflict_do_update(index_elements=["run", "path"], set_=fresh))
            if file.kind == WEIGHTS:
                self._refresh_headline(connection, row)

    def forget_kept(self, run: str, lease: int, paths: Iterable[str]) -> tuple[str, ...]:
        """Take files off the list and return those that no other run lists: only these may be deleted."""
        gone = list(paths)
        with self.database.write() as connection:
            row = self._held(connection, run, lease)
            listed = _files(connection, kept.c.run == run, kept.c.path.in_(gone))
            row = self._change(connection, row, **self._renewed(connection), **_sums_of_files(row, gone=listed))
            connection.execute(delete(kept).where(kept.c.run == run, kept.c.path.in_(gone)))
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
            whole = {run for run in until if _files_fit(connection, rows[run])}
        return tuple(path for path, at in loose.items() if (run := path.split("/")[0]) in whole and at <= until[run])

    def copy_history(self, source: str, target: str, *, lease: int | None = None) -> None:
        """Give a run the curves, training time and kept files of the one it continues, deleted or not; files are shared.

        lease: of the target, once it is claimed. Raises `LeaseLostError`, `RunStateError` where the target has ended.
        """
        with self.database.write() as connection:
            origin = self._row(connection, source, deleted=True)
            target_row = self._open_for(connection, target, lease)
            for table, old, new in ((points, origin.number, target_row.number), (kept, source, target)):
                rest = [column for column in table.columns if column.name != "run"]
                connection.execute(delete(table).where(table.c.run == new))
                copied = select(literal(new), *rest).where(table.c.run == old)
                connection.execute(insert(table).from_select(["run", *[c.name for c in rest]], copied))
            sums = stored_sums(connection, origin) if origin.sums is None else decoded(origin.sums)
            values = self._renewed(connection) if lease is not None else {}
            changed = self._change(connection, target_row, seconds=origin.seconds, sums=sums, **values)
            self._refresh_headline(connection, changed)

    def _open_for(self, connection: Connection, target: str, lease: int | None) -> Row[Any]:
        if lease is not None:
            return self._held(connection, target, lease)
        row = self._row(connection, target, lock=True)
        if row.state != RunState.QUEUED:
            raise RunStateError(f"Run {target} is {row.state}, so only its worker may give it a history.")
        return row


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


def _read_series(connection: Connection, run: int, number: int, after_step: int) -> np.ndarray:
    return np.concatenate([np.empty((0, 3)), *fetch(connection, run, number, after_step=after_step)])


def _as_series(name: str, table_N3: np.ndarray) -> Series:
    step_N, value_N, time_N = (column.copy() for column in table_N3.T)
    return Series(name=name, step=step_N.astype(np.int64), value=value_N, time_s=time_N)


def _check_curves(row: Row[Any], tables: Mapping[str, np.ndarray], asked: set[str] | None) -> None:
    """Compare curves with their checksums. Raises `UnreadableRunError`."""
    written = {key.removeprefix("points/"): one for key, one in decoded(row.sums).items() if key != "files"}
    names = {*written, *tables} if asked is None else asked & {*written, *tables}
    wrong = sorted(
        name for name in names
        if written.get(name, EMPTY_SUM) != points_sum(name, [tables[name]] if name in tables else [])
    )  # fmt: skip
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UnreadableRunError(
            f"The curve {wrong[0][:60]!r}{more} of run {row.id} is damaged in the database (its checksum differs): restore "
            "the store from a copy, or train the run again."
        )


def _sums_with(
    connection: Connection, row: Row[Any], ready: Mapping[str, _PointColumns], numbers: Mapping[str, int]
) -> dict[str, str]:
    """Return the sums of a run once these points are stored, before they are: those they replace are taken out."""
    sums = dict(decoded(row.sums))
    for name, (steps, values, times) in ready.items():
        if not steps:
            continue
        table_N3 = np.array([steps, [math.nan if v is None else v for v in values], times], dtype=np.float64).T
        last = {step: at for at, step in enumerate(steps)}  # a step that is given twice is stored once
        new_N3 = table_N3 if len(last) == len(steps) else table_N3[sorted(last.values())]
        between = fetch(connection, row.number, numbers[name], after_step=min(steps) - 1, last_step=max(steps))
        old_M3 = np.concatenate([np.empty((0, 3)), *between])
        key = f"points/{name}"
        total = added(sums.get(key, EMPTY_SUM), points_sum(name, [new_N3]))
        sums[key] = taken(total, points_sum(name, [old_M3[np.isin(old_M3[:, 0], new_N3[:, 0])]]))
    return sums


def _sums_up_to(connection: Connection, row: Row[Any], step: int) -> dict[str, str]:
    """Return the sums of a run without what lies beyond a step."""
    sums = dict(decoded(row.sums))
    for name, number in _known_series(connection, None).items():
        beyond = points_sum(name, fetch(connection, row.number, number, after_step=step))
        if beyond != EMPTY_SUM:
            sums[f"points/{name}"] = taken(sums.get(f"points/{name}", EMPTY_SUM), beyond)
    files = sum_files(_files(connection, kept.c.run == row.id, kept.c.step > step))
    sums["files"] = taken(sums.get("files", EMPTY_SUM), files)
    return {key: one for key, one in sums.items() if one != EMPTY_SUM}


def _files(connection: Connection, *where: ColumnElement[bool]) -> Sequence[Row[Any]]:
    return connection.execute(select(kept).where(*where)).all()


def _sums_of_files(row: Row[Any], *, gone: Sequence[Row[Any]], new: Sequence[str] = ()) -> dict[str, Any]:
    """Return the column `sums` of a run after files came and went, nothing for a run of an older release."""
    if row.sums is None:
        return {}
    sums = dict(decoded(row.sums))
    files = taken(added(sums.get("files", EMPTY_SUM), *new), sum_files(gone))
    return {"sums": {key: one for key, one in {**sums, "files": files}.items() if one != EMPTY_SUM}}


def _files_fit(connection: Connection, row: Row[Any]) -> bool:
    if row.sums is None:
        return True
    return bool(sum_files(_files(connection, kept.c.run == row.id)) == decoded(row.sums).get("files", EMPTY_SUM))
