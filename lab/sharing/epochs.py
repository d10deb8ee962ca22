"""The table of epochs: one row for every evaluation with the metrics recorded there.

A run's page, `show` and the export read it: the text form of the curves. Metrics of every batch are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lab.charts.lines import RunCurves, steps_per_epoch
from lab.metrics import LEARNING_RATE, MetricSpec, list_epoch_metrics
from lab.runs.records import RunRecord, Series
from lab.sharing.comparison import Cell, Table


class EpochRow(NamedTuple):
    """One evaluation. time_s: training time up to its last value. metrics: values by metric id, in the usual order."""

    step: int
    time_s: float
    metrics: Mapping[str, float]

    def epoch(self, steps: int | None) -> float | None:
        """Return the place in epochs: 0 before training, 1.5 inside the second epoch. steps: per epoch, if known."""
        return self.step / steps if steps else None


def epoch_rows(points: Mapping[str, Series]) -> tuple[EpochRow, ...]:
    """Return one row for every step at which an epoch's metrics were recorded, by step.

    The learning rate is also recorded whenever it changes, but that makes no row between evaluations.
    """
    known = [points[metric.id] for metric in list_epoch_metrics() if metric.id in points]
    evaluated = sorted({step for series in known if series.name != LEARNING_RATE.id for step in series.step.tolist()})
    values: dict[int, dict[str, float]] = {step: {} for step in evaluated}
    times = dict.fromkeys(evaluated, 0.0)
    for series in known:
        for step, value, time_s in zip(
            series.step.tolist(), series.value.tolist(), series.time_s.tolist(), strict=True
        ):
            if step in values:
                values[step][series.name] = value
                times[step] = max(times[step], time_s)
    return tuple(EpochRow(step, times[step], values[step]) for step in evaluated)


def format_epoch(epoch: float | None) -> str:
    """Return a place in epochs as text: "3", or "2.50" inside an epoch; "" if it is unknown."""
    if epoch is None:
        return ""
    return f"{epoch:.0f}" if epoch == int(epoch) else f"{epoch:.2f}"


def run_steps(run: RunRecord, points: Mapping[str, Series]) -> int | None:
    """Return the number of steps in an epoch of a run, or None if unknown."""
    return steps_per_epoch(RunCurves(run, points))


def recorded_metrics(rows: Iterable[EpochRow]) -> tuple[MetricSpec, ...]:
    """Return the metrics that have a value in one of the rows, in the usual order."""
    named = {name for row in rows for name in row.metrics}
    return tuple(metric for metric in list_epoch_metrics() if metric.id in named)


def epoch_table(runs: Sequence[tuple[RunRecord, Mapping[str, Series]]]) -> Table:
    """Return the rows of all runs with the columns run, name, epoch, step, time_s and one for each metric."""
    listed = [(run, run_steps(run, points), epoch_rows(points)) for run, points in runs]
    metrics = [metric.id for metric in recorded_metrics(row for _, _, rows in listed for row in rows)]
    cells: list[tuple[Cell, ...]] = [
        (run.id, run.name, row.epoch(steps), row.step, row.time_s, *(row.metrics.get(id) for id in metrics))
        for run, steps, rows in listed
        for row in rows
    ]
    return Table(("run", "name", "epoch", "step", "time_s", *metrics), tuple(cells))
