"""One run's series as lines of a chart: x positions, thinning, and the values that an axis cannot show."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lab.charts.smoothing import centred_mean, smoothed_means
from lab.charts.thinning import MAX_BUCKETS, Thinned, thin, thin_log
from lab.metrics import TRAIN_LOSS
from lab.runs.records import RunRecord, Series

MAX_GAPS = 200  # non-finite stretches that a smoothed line shows as gaps


@dataclass(frozen=True, slots=True)
class RunCurves:
    """One run with all its points."""

    run: RunRecord
    points: Mapping[str, Series]


@dataclass(frozen=True, slots=True)
class Curve:
    """One run and how it is drawn. seedless: the label to use if runs with other seeds share its line."""

    curves: RunCurves
    label: str
    seedless: str
    slot: int
    x: str
    log_x: bool
    smoothing: int
    raw: bool

    @property
    def run(self) -> RunRecord:
        """The run."""
        return self.curves.run

    @property
    def points(self) -> Mapping[str, Series]:
        """All its points, by series."""
        return self.curves.points


class NonFinite(NamedTuple):
    """A stretch of non-finite values: its first x position and the name of its first value."""

    x: float
    name: str


class Measured(NamedTuple):
    """Every value of a series with its x position. steps is empty if runs were folded."""

    x: np.ndarray
    value: np.ndarray
    steps: np.ndarray


class Line(NamedTuple):
    """One line of the chart. x and y have the same length; low and high are a band around y, or empty.

    kind: "train" (smoothed), "val", "test", "plain", "constant" (a learning rate that never changed) or "dots" (points
    that are not joined). raw_x, raw_y: thinned raw points, for "train" of a single run. total: number of points that
    the line represents. slot: slot of the first run, which determines the colour. dropped: (step, value) pairs that a
    logarithmic x axis cannot show. before_fork: whether a fork inherited this part of its curve from its parent run.
    """

    label: str
    kind: str
    slot: int
    runs: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    raw_x: np.ndarray
    raw_y: np.ndarray
    non_finite: tuple[NonFinite, ...]
    total: int
    measured: Measured
    dropped: tuple[tuple[int, float], ...] = ()
    before_fork: bool = False


NONE = np.empty(0)


def line_of(one: Curve, series: Series, kind: str) -> Line:
    """Return a series as a line; a step-level series ("train") is smoothed and thinned."""
    dropped: tuple[tuple[int, float], ...] = ()
    if one.log_x:
        series, dropped = _positive_part(one, series)
    x = x_values(one.curves, series.step, series.time_s, one.x)
    starts = stretch_starts(series.value)
    line = Line(
        label=one.label,
        kind=kind,
        slot=one.slot,
        runs=(one.run.id,),
        x=x,
        y=series.value,
        low=NONE,
        high=NONE,
        raw_x=NONE,
        raw_y=NONE,
        non_finite=tuple(
            NonFinite(x[i], "NaN" if np.isnan(series.value[i]) else f"{series.value[i]:+}") for i in starts
        ),
        total=series.step.size,
        measured=Measured(x, series.value, series.step),
        dropped=dropped,
    )
    return _smoothed(one, series, line) if kind == "train" and series.step.size else line


def fork_lines(one: Curve, series: Series, kind: str) -> list[Line]:
    """Return a series as lines. A fork has two: the part before the fork, and its own, which starts where that ends."""
    steps = steps_per_epoch(one.curves)
    if not one.run.config.fork_epoch or not steps:
        return [line_of(one, series, kind)]
    at = one.run.config.fork_epoch * steps
    before, own = series[series.step <= at], series[series.step >= at]
    return [line_of(replace(one, raw=False), before, kind)._replace(before_fork=True), line_of(one, own, kind)]


def _positive_part(one: Curve, series: Series) -> tuple[Series, tuple[tuple[int, float], ...]]:
    shown = x_values(one.curves, series.step, series.time_s, one.x) > 0
    left = tuple(zip(series.step[~shown].tolist(), series.value[~shown].tolist(), strict=True))
    return series[shown], left


def _smoothed(one: Curve, series: Series, line: Line) -> Line:
    if one.log_x:
        at = _chosen(series)
        line = line._replace(x=line.x[at], y=centred_mean(series.value, one.smoothing, at))
        thinned: Series | Thinned = thin_log(series)
    else:
        thinned = buckets = thin(series, complete=True)[0]
        x = x_values(one.curves, buckets.mean_step, buckets.mean_time_s, one.x)
        line = line._replace(x=x, y=smoothed_means(buckets, one.smoothing))
    if not one.raw:
        return line
    return line._replace(raw_x=x_values(one.curves, thinned.step, thinned.time_s, one.x), raw_y=thinned.value)


def _chosen(series: Series) -> np.ndarray:
    """Return the indices of about MAX_BUCKETS points, evenly spaced on a logarithmic axis, with both ends and the gaps.

    On such an axis, buckets of equal width would hide the first steps.
    """
    count = series.step.size
    if count <= MAX_BUCKETS:
        return np.arange(count)
    targets = np.geomspace(max(1, series.step[0]), series.step[-1], MAX_BUCKETS)
    spread = np.minimum(np.searchsorted(series.step, targets), count - 1)
    ends = np.array([0, count - 1])
    return np.unique(np.concatenate([spread, ends, stretch_starts(series.value)[:MAX_GAPS]]))


def stretch_starts(value: np.ndarray) -> np.ndarray:
    """Return the indices at which a stretch of NaN, of +inf or of -inf begins."""
    kind = np.where(np.isnan(value), 1, np.where(np.isposinf(value), 2, np.where(np.isneginf(value), 3, 0)))
    return np.flatnonzero((kind > 0) & (np.diff(kind, prepend=0) != 0))


def steps_per_epoch(one: RunCurves) -> int | None:
    """Return the steps per epoch from the run's progress or its first complete epoch; None if neither is known yet."""
    known = one.run.steps_per_epoch
    if known:
        return known
    whole = one.points.get(TRAIN_LOSS.id)
    return int(whole.step[0]) if whole is not None and whole.step.size and whole.step[0] > 0 else None


def x_values(one: RunCurves, step: np.ndarray, time_s: np.ndarray, x: str) -> np.ndarray:
    """Return x positions: steps, epochs, seconds ("relative") or milliseconds since the Unix epoch ("wall")."""
    if x == "epoch":
        return step / float(steps_per_epoch(one) or 1)
    if x == "relative":
        return time_s
    if x == "wall":
        return ((one.run.started_at or one.run.created_at) + time_s) * 1000.0
    return step.astype(np.float64)
