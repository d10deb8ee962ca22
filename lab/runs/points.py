"""Curves of runs: written by their owners in short transactions, read completely, in part or sampled."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sqlalchemy import select

from lab.runs import sums
from lab.runs.context import StoreContext
from lab.runs.curves import fetch, last_steps, sample
from lab.runs.point_rows import as_series, checked_columns, known_series, read_curves, series_numbers, upsert_points
from lab.runs.records import RunRequest, Series
from lab.runs.row_changes import change_row, held_row, sound_row
from lab.runs.row_values import progress_values
from lab.runs.tables import points as points_table
from lab.runs.tables import runs as runs_table


class Points:
    """`RunStore.points`: the curves."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        """Store points, and the newest progress if given, in one transaction, and renew the lease.

        When this returns, the points are on disk. When it raises, none of them is stored and the caller still has them.
        Returns the user's request. Raises `LeaseLostError`, `StoreBusyError` or `StoreError`.
        """
        ready = {name: checked_columns(run, name, series) for name, series in points.items()}
        with self.context.database.write() as connection:
            held = held_row(connection, run, lease)
            numbers = series_numbers(connection, ready)
            values = {**self.context.renewed_lease(connection), **(progress_values(progress) if progress else {})}
            values |= sums.after_storing(connection, held, ready, numbers)
            upsert_points(connection, held.number, list(ready.items()), numbers)
            return RunRequest(change_row(connection, held, **values).want)

    def read(self, run: str, *, series: Iterable[str] | None = None, after_step: int = -1) -> dict[str, Series]:
        """Return the curves of a run in step order, all or the named ones, with steps beyond `after_step`.

        They end where they ended at the time of the call. A long curve is read in parts, so that no writer has to wait.
        Whole curves are compared with their checksums. Raises `UnreadableRunError` for damaged ones.
        """
        asked = None if series is None else set(series)
        with self.context.database.read() as connection:
            row = sound_row(connection, run)
            names = known_series(connection, None if asked is None else list(asked))
            last = last_steps(connection, row.number)
        with self.context.database.read_in_parts() as connection:
            tables = read_curves(connection, row.number, names, last, after_step)
        if after_step < 0 and sums.wrong_curves(row, tables, asked):
            # A resumed run may have rewritten steps in the meantime: compare within one snapshot.
            with self.context.database.read() as connection:
                row = sound_row(connection, run)
                tables = read_curves(connection, row.number, names, last_steps(connection, row.number), after_step)
            wrong = sums.wrong_curves(row, tables, asked)
            if wrong:
                raise sums.damaged_curves(run, wrong)
        return {name: as_series(name, table_N3) for name, table_N3 in tables.items() if len(table_N3)}

    def sample(self, run: str, *, limit: int) -> dict[str, Series]:
        """Return the curves of a run with at most about `limit` points each, evenly sampled from longer ones.

        Memory use is bounded, however long the run is. Checksums are not compared: `verify` does that.
        """
        with self.context.database.read() as connection:
            row = sound_row(connection, run)
            names = known_series(connection, None)
            last = last_steps(connection, row.number)
        with self.context.database.read_in_parts() as connection:
            tables = {
                name: sample(fetch(connection, row.number, one, last_step=last[one]), limit=limit)
                for name, one in sorted(names.items())
                if one in last
            }
        return {name: as_series(name, table_N3) for name, table_N3 in tables.items()}

    def read_across(self, runs: Iterable[str], series: str) -> dict[str, Series]:
        """Return one curve of many runs by run id, in step order; runs without it are left out.

        For short curves, such as one value per epoch: it runs one statement. Checksums are not compared (see `verify`).
        """
        with self.context.database.read() as connection:
            number = known_series(connection, [series]).get(series)
            query = (
                select(runs_table.c.id, points_table.c.step, points_table.c.value, points_table.c.time_s)
                .join(runs_table, runs_table.c.number == points_table.c.run)
                .where(points_table.c.series == number, runs_table.c.id.in_(list(runs)))
                .order_by(points_table.c.run, points_table.c.step)
            )
            rows: dict[str, list[tuple[float, float, float]]] = {}
            for row in connection.execute(query):
                rows.setdefault(row.id, []).append((row.step, math.nan if row.value is None else row.value, row.time_s))
        return {run: as_series(series, np.array(table, dtype=np.float64)) for run, table in rows.items()}
