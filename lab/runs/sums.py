"""How a run's checksums change with its curves and files; `lab.runs.checksums` defines them.

A run of an older release has no sums (NULL) until its checksum is computed; until then nothing is updated for it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, select

from lab.errors import UnreadableRunError
from lab.runs.checksums import DAMAGED, EMPTY_SUM, add_sums, file_sum, points_sum, subtract_sum
from lab.runs.curves import fetch
from lab.runs.rows import decoded
from lab.runs.tables import saved_files, series_names

PointColumns: TypeAlias = tuple[list[int], list[float | None], list[float]]  # steps, values, times


def files_where(connection: Connection, *where: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Return the rows of `saved_files` that meet the conditions."""
    return connection.execute(select(saved_files).where(*where)).all()


def stored_sums(connection: Connection, number: int, run: str) -> dict[str, str]:
    """Return the sums of a run's stored points and files, which are all read; empty curves and lists have none."""
    found = {
        f"points/{name.name}": points_sum(name.name, fetch(connection, number, name.number))
        for name in connection.execute(select(series_names)).all()
    }
    found["files"] = sum_files(connection.execute(select(saved_files).where(saved_files.c.run == run)))
    return {key: one for key, one in found.items() if one != EMPTY_SUM}


def sum_files(rows: Iterable[Row[Any]]) -> str:
    """Return the sum of saved files' rows."""
    return add_sums(EMPTY_SUM, *map(file_sum, rows))


def after_storing(
    connection: Connection, row: Row[Any], ready: Mapping[str, PointColumns], numbers: Mapping[str, int]
) -> dict[str, Any]:
    """Return the column `sums` with these points added and those they replace subtracted; call it before storing."""
    if row.sums is None or not ready:
        return {}
    sums = dict(decoded(row.sums))
    for name, (steps, values, times) in ready.items():
        if not steps:
            continue
        table_N3 = np.array([steps, [math.nan if v is None else v for v in values], times], dtype=np.float64).T
        last = {step: at for at, step in enumerate(steps)}  # a repeated step is stored once
        new_N3 = table_N3 if len(last) == len(steps) else table_N3[sorted(last.values())]
        between = fetch(connection, row.number, numbers[name], after_step=min(steps) - 1, last_step=max(steps))
        old_M3 = np.concatenate([np.empty((0, 3)), *between])
        key = f"points/{name}"
        total = add_sums(sums.get(key, EMPTY_SUM), points_sum(name, [new_N3]))
        sums[key] = subtract_sum(total, points_sum(name, [old_M3[np.isin(old_M3[:, 0], new_N3[:, 0])]]))
    return {"sums": sums}


def after_moving(row: Row[Any], name: str, part: str, *, away: bool) -> dict[str, Any]:
    """Return the column `sums` after points with the sum `part` were deleted from a curve, or copied to it."""
    if row.sums is None:
        return {}
    sums = dict(decoded(row.sums))
    known = sums.get(f"points/{name}", EMPTY_SUM)
    sums[f"points/{name}"] = subtract_sum(known, part) if away else add_sums(known, part)
    return {"sums": _without_empty(sums)}


def after_files(row: Row[Any], *, gone: Sequence[Row[Any]], new: Sequence[str] = ()) -> dict[str, Any]:
    """Return the column `sums` after files were removed and added."""
    if row.sums is None:
        return {}
    sums = dict(decoded(row.sums))
    files = subtract_sum(add_sums(sums.get("files", EMPTY_SUM), *new), sum_files(gone))
    return {"sums": _without_empty({**sums, "files": files})}


def _without_empty(sums: Mapping[str, str]) -> dict[str, str]:
    return {key: one for key, one in sums.items() if one != EMPTY_SUM}


def files_fit(connection: Connection, row: Row[Any]) -> bool:
    """Return whether a run's list of files is as it was written."""
    if row.sums is None:
        return True
    return bool(
        sum_files(files_where(connection, saved_files.c.run == row.id)) == decoded(row.sums).get("files", EMPTY_SUM)
    )


def curve_names(row: Row[Any]) -> set[str]:
    """Return the names of the curves that a run has written; none for a row of an older release."""
    return (
        {key.removeprefix("points/") for key in decoded(row.sums) if key != "files"} if row.sums is not None else set()
    )


def wrong_curves(row: Row[Any], tables: Mapping[str, np.ndarray], asked: set[str] | None) -> list[str]:
    """Return the names of the curves that are damaged. asked: those that were read, None for all."""
    if row.sums is None:
        return []
    written = {name: decoded(row.sums)[f"points/{name}"] for name in curve_names(row)}
    names = {*written, *tables} if asked is None else asked & {*written, *tables}
    found = {name: points_sum(name, [tables[name]] if name in tables else []) for name in names}
    return sorted(name for name in names if written.get(name, EMPTY_SUM) != found[name])


def damaged_curves(run: str, wrong: Sequence[str]) -> UnreadableRunError:
    """Return the error that names damaged curves."""
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return damaged_part(f"The curve {wrong[0][:60]!r}{more}", run)


def damaged_part(part: str, run: str) -> UnreadableRunError:
    """Return the error for a damaged part of a run."""
    return UnreadableRunError(f"{part} of run {run} {DAMAGED}: restore the store from a copy, or train the run again.")
