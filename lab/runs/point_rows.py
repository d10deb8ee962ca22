"""Rows of `points`, read and written in the caller's transaction; the functions also update the run's checksums.

A point is identified by run, series and step. Writing it again replaces it: a resumed run repeats the steps after its
checkpoint. In the table NULL means NaN, on every backend, because SQLite cannot store NaN.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection, Row, delete, insert, literal, select

from lab.errors import StoreError
from lab.runs import sums
from lab.runs.checksums import points_sum
from lab.runs.curves import fetch, last_steps
from lab.runs.database import Database
from lab.runs.records import Series
from lab.runs.row_changes import change_row, insert_for
from lab.runs.sums import PointColumns
from lab.runs.tables import points, series_names
from lab.runs.throttled_writer import ThrottledWriter

_INTO = "INSERT INTO points (run, series, step, value, time_s)"
_FROM_ARRAYS = "SELECT * FROM unnest(%s::int[], %s::int[], %s::bigint[], %s::float8[], %s::float8[])"
_REPLACE = "ON CONFLICT (run, series, step) DO UPDATE SET value = excluded.value, time_s = excluded.time_s"
# Checks the permission to write and returns the run's locked row, if it has one.
LockRow: TypeAlias = Callable[[Connection], Row[Any] | None]


def upsert_points(
    connection: Connection,
    number: int,
    ready: Sequence[tuple[str, PointColumns]],
    numbers: Mapping[str, int] | None = None,
) -> None:
    """Store points under the number of a run; the caller updates the checksums in its row."""
    known = numbers or series_numbers(connection, {name for name, _ in ready})
    rows = [(number, known[name], *point) for name, columns in ready for point in zip(*columns, strict=True)]
    if rows and connection.dialect.name == "sqlite":
        # One prepared statement, passed to the driver with all rows: 2,000 points in about 5 ms.
        connection.exec_driver_sql(f"{_INTO} VALUES (?, ?, ?, ?, ?) {_REPLACE}", rows)
    elif rows:
        # One statement with five arrays takes a twentieth of the time of one per row; no point may occur twice in it.
        newest = {row[:3]: row for row in rows}
        connection.exec_driver_sql(f"{_INTO} {_FROM_ARRAYS} {_REPLACE}", tuple(map(list, zip(*newest.values()))))


def series_numbers(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the numbers of series by name; new series get one."""
    wanted = list(names)
    known = known_series(connection, wanted)
    missing = [name for name in wanted if name not in known]
    if missing:
        make = insert_for(connection)
        fresh = make(series_names).on_conflict_do_nothing(index_elements=["name"])
        connection.execute(fresh, [{"name": name} for name in missing])
        known = known_series(connection, wanted)
    return known


def delete_points(
    database: Database, writer: ThrottledWriter, number: int, *, after_step: int = -1, lock_row: LockRow
) -> None:
    """Delete the points of a run beyond a step in short transactions, each curve from its end backwards."""
    with database.read() as connection:
        names = {one: name for name, one in known_series(connection, None).items()}
        series = [one for one, last in last_steps(connection, number).items() if last > after_step]
    for one in series:
        left: int | None = after_step
        while left is not None:
            with writer.write() as connection:
                row = lock_row(connection)
                left = _delete_start(connection, number, one, after_step, writer.size)
                first = after_step if left is None else left - 1
                if row is not None:
                    part = points_sum(names[one], fetch(connection, number, one, after_step=first))
                    change_row(connection, row, **sums.after_moving(row, names[one], part, away=True))
                curve = (points.c.run == number) & (points.c.series == one)
                connection.execute(delete(points).where(curve, points.c.step > first))


def _delete_start(connection: Connection, number: int, series: int, after_step: int, size: int) -> int | None:
    """Return the first step of the last `size` points of a curve, or None if all beyond `after_step` fit."""
    # Neither Python's SQLite nor Postgres supports DELETE with LIMIT.
    curve = (points.c.run == number) & (points.c.series == series) & (points.c.step > after_step)
    first = select(points.c.step).where(curve).order_by(points.c.step.desc()).offset(size - 1).limit(1)
    step: int | None = connection.execute(first).scalar_one_or_none()
    return step


def copy_part(connection: Connection, numbers: tuple[int, int], series: int, after_step: int, size: int) -> int | None:
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


def checked_columns(run: str, name: str, series: Series) -> PointColumns:
    """Return the columns of a curve as the table stores them. Raises `StoreError` for arrays of unequal length."""
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


def known_series(connection: Connection, names: Sequence[str] | None) -> dict[str, int]:
    """Return the numbers of the named series that exist; of all series if names is None."""
    query = select(series_names.c.name, series_names.c.number)
    if names is not None:
        query = query.where(series_names.c.name.in_(names))
    return {row.name: row.number for row in connection.execute(query)}


def read_curves(
    connection: Connection, number: int, names: Mapping[str, int], last: Mapping[int, int], after_step: int
) -> dict[str, np.ndarray]:
    """Return the points of the curves as tables (n, 3) of step, value and time, each up to its last step."""
    return {
        name: np.concatenate(
            [np.empty((0, 3)), *fetch(connection, number, one, after_step=after_step, last_step=last[one])]
        )
        for name, one in sorted(names.items())
        if last.get(one, -1) > after_step
    }


def as_series(name: str, table_N3: np.ndarray) -> Series:
    """Return a table (n, 3) of step, value and time as a curve."""
    step_N, value_N, time_N = (column.copy() for column in table_N3.T)
    return Series(name=name, step=step_N.astype(np.int64), value=value_N, time_s=time_N)
