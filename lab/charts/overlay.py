"""Curves of several runs on one pair of axes: the numbers.

A step-level curve becomes a smoothed line and the raw points behind it, thinned so that each bucket keeps its lowest
and highest value; validation and test keep every point. Runs that differ only in their seed fold into their mean with
a band of one standard deviation. Smoothing is the debiased exponential mean (as TensorBoard's, and Adam's, eq. 3 of
Kingma & Ba 2015) over the finite values, taken before thinning so that zoom and length do not change it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from lab.charts.thinning import MAX_BUCKETS, thin
from lab.runs.encoding import setting_key
from lab.runs.records import RunRecord, Series


class Metric(NamedTuple):
    """One thing to draw: the step-level series, if there is one, and the series with a point now and then."""

    title: str
    dense: str
    sparse: tuple[str, ...]


METRICS = {
    "loss": Metric("Loss", "batch/loss", ("val/loss", "test/loss")),
    "accuracy": Metric("Accuracy", "batch/accuracy", ("val/accuracy", "test/accuracy")),
    "epoch-loss": Metric("Training loss of whole epochs", "", ("train/loss",)),
    "epoch-accuracy": Metric("Training accuracy of whole epochs", "", ("train/accuracy",)),
    "lr": Metric("Learning rate", "", ("lr",)),
    "grad-norm": Metric("Gradient norm", "", ("grad_norm",)),
    "speed": Metric("Images per second", "", ("images_per_second",)),
    "memory": Metric("Memory (MB)", "", ("memory_mb",)),
}
AXES = {
    "step": "Step",
    "epoch": "Epoch",
    "relative": "Training time (s)",
    "wall": "Time of day (start of the run and training time)",
}
MAX_SMOOTHING = 0.999


@dataclass(frozen=True, slots=True)
class OverlayOptions:
    """What to draw. metric: a key of METRICS; x: a key of AXES; smoothing: 0 (none) to 0.999.

    fold: seeds become bands; test: also the test set; raw: the points behind the smoothed line.
    """

    metric: str = "loss"
    x: str = "step"
    smoothing: float = 0.6
    fold: bool = True
    test: bool = False
    raw: bool = True


@dataclass(frozen=True, slots=True)
class RunCurves:
    """One run with all its points."""

    run: RunRecord
    points: Mapping[str, Series]


class Odd(NamedTuple):
    """Values that are no finite number: where they begin, and what they are."""

    x: float
    name: str


class Line(NamedTuple):
    """One line of the chart. x and y have one length; low and high are a band around y, or empty.

    kind: "train" (smoothed), "val", "test" or "plain". raw_x, raw_y: thinned raw points, for "train" of a single run.
    total: points the line stands for. number: the first run's, which gives the colour.
    """

    label: str
    kind: str
    number: int
    runs: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    raw_x: np.ndarray
    raw_y: np.ndarray
    odd: tuple[Odd, ...]
    total: int


class OverlayInfo(NamedTuple):
    """What `overlay_figure` draws. notes: sentences on runs that are missing from the picture."""

    metric: str
    x: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """How many points the picture stands for."""
        return sum(line.total for line in self.lines)

    @property
    def shown(self) -> int:
        """How many points it has."""
        return sum(line.x.size + line.raw_x.size for line in self.lines)


_NONE = np.empty(0)


def overlay_info(curves: Sequence[RunCurves], options: OverlayOptions) -> OverlayInfo:
    """Return the lines of the chosen runs, in their order, and what could not be drawn."""
    notes = []
    drawn: list[tuple[RunCurves, list[Line]]] = []
    for one in curves:
        if options.x == "epoch" and steps_per_epoch(one) is None:
            notes.append(f"{label_of(one.run)} has no epochs yet, so it is missing.")
            continue
        lines = _lines(one, options)
        if lines:
            drawn.append((one, lines))
        else:
            notes.append(f"{label_of(one.run)} has no points of {METRICS[options.metric].title.lower()}.")
    groups = _by_setting(drawn) if options.fold else [[lines] for _, lines in drawn]
    folded = [line for group in groups for line in (fold(group) if len(group) > 1 else group[0])]
    return OverlayInfo(options.metric, options.x, tuple(folded), tuple(notes))


def label_of(run: RunRecord) -> str:
    """Return a run's name in a legend: its name, or network and data set, and the beginning of its id."""
    named = run.name if run.name and run.name != run.config.arch else f"{run.config.arch} on {run.config.dataset}"
    return f"{named} · {run.id[:4]}"


def _by_setting(drawn: Sequence[tuple[RunCurves, list[Line]]]) -> list[list[list[Line]]]:
    groups: dict[str, list[list[Line]]] = {}
    for one, lines in drawn:
        groups.setdefault(setting_key(one.run.config), []).append(lines)
    return list(groups.values())


def _lines(one: RunCurves, options: OverlayOptions) -> list[Line]:
    metric = METRICS[options.metric]
    lines = []
    if metric.dense and metric.dense in one.points:
        lines.append(_dense(one, one.points[metric.dense], options))
    for name in metric.sparse:
        kind = name.split("/")[0] if metric.dense else "plain"
        if name in one.points and (kind != "test" or options.test):
            lines.append(_sparse(one, one.points[name], kind, options))
    return lines


def _dense(one: RunCurves, series: Series, options: OverlayOptions) -> Line:
    at = _ends(series.step.size)
    line = _sparse(one, series, "train", options)
    line = line._replace(x=line.x[at], y=smooth(series.value, options.smoothing)[at])
    if not options.raw:
        return line
    thinned, _ = thin(series, complete=True)
    return line._replace(
        raw_x=x_values(one, thinned.step, thinned.time_s, options.x),
        raw_y=thinned.value,
    )


def _sparse(one: RunCurves, series: Series, kind: str, options: OverlayOptions) -> Line:
    x = x_values(one, series.step, series.time_s, options.x)
    odd = _stretches(series.value)
    return Line(
        label=label_of(one.run),
        kind=kind,
        number=one.run.number,
        runs=(one.run.id,),
        x=x,
        y=series.value,
        low=_NONE,
        high=_NONE,
        raw_x=_NONE,
        raw_y=_NONE,
        odd=tuple(Odd(x[i], "NaN" if np.isnan(series.value[i]) else f"{series.value[i]:+}") for i in odd),
        total=series.step.size,
    )


def _stretches(value: np.ndarray) -> np.ndarray:
    """Return where each stretch of one kind of value that is no finite number begins."""
    kind = np.where(np.isnan(value), 1, np.where(np.isposinf(value), 2, np.where(np.isneginf(value), 3, 0)))
    return np.flatnonzero((kind > 0) & (np.diff(kind, prepend=0) != 0))


def _ends(count: int) -> np.ndarray:
    """Return the indices of at most MAX_BUCKETS points, evenly spread, the last among them."""
    if count <= MAX_BUCKETS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, MAX_BUCKETS).round().astype(np.int64))


def smooth(value: np.ndarray, weight: float) -> np.ndarray:
    """Return the debiased exponential mean; values that are not finite stay what they are and count for nothing."""
    finite = np.isfinite(value)
    if weight <= 0 or not finite.any():
        return value
    shares = pd.Series(value[finite]).ewm(alpha=1 - min(weight, MAX_SMOOTHING), adjust=True).mean()
    smoothed = value.astype(np.float64, copy=True)
    smoothed[finite] = shares.to_numpy()
    return smoothed


def steps_per_epoch(one: RunCurves) -> int | None:
    """Return the steps of one epoch, from the run's progress or its first whole epoch; None before that."""
    known = one.run.progress.get("steps_per_epoch")
    if isinstance(known, int) and known > 0:
        return known
    whole = one.points.get("train/loss")
    return int(whole.step[0]) if whole is not None and whole.step.size and whole.step[0] > 0 else None


def x_values(one: RunCurves, step: np.ndarray, time_s: np.ndarray, x: str) -> np.ndarray:
    """Return where points stand on the axis: steps, epochs, seconds, or (wall) milliseconds since the epoch."""
    if x == "epoch":
        return step / float(steps_per_epoch(one) or 1)
    if x == "relative":
        return time_s
    if x == "wall":
        return ((one.run.started_at or one.run.created_at) + time_s) * 1000.0
    return step.astype(np.float64)


def fold(group: Sequence[Sequence[Line]]) -> list[Line]:
    """Return one run's lines that stand for several runs: mean, and a band of one standard deviation (n - 1)."""
    folded = []
    for first in group[0]:
        members = [line for lines in group for line in lines if line.kind == first.kind]
        folded.append(_folded(first, members) if len(members) > 1 else first)
    return folded


def _folded(first: Line, members: Sequence[Line]) -> Line:
    x = _common_x(members)
    values = np.stack([_at(line, x) for line in members])
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
    # A band that a logarithmic axis can show: never below the lowest value there was.
    low = np.where((mean - spread <= 0) & (values.min(axis=0) > 0), values.min(axis=0), mean - spread)
    return first._replace(
        label=f"{first.label.rpartition(' · ')[0]} ({len(members)} seeds)",
        runs=tuple(run for line in members for run in line.runs),
        x=x,
        y=mean,
        low=low,
        high=mean + spread,
        raw_x=_NONE,
        raw_y=_NONE,
        odd=tuple(odd for line in members for odd in line.odd),
        total=sum(line.total for line in members),
    )


def _common_x(members: Sequence[Line]) -> np.ndarray:
    start = max(line.x[0] for line in members if line.x.size)
    end = min(line.x[-1] for line in members if line.x.size)
    x: np.ndarray = members[0].x
    inside: np.ndarray = x[(x >= start) & (x <= end)]
    return inside


def _at(line: Line, x: np.ndarray) -> np.ndarray:
    if line.x.size == x.size and np.array_equal(line.x, x):
        return line.y
    between: np.ndarray = np.interp(x, line.x, line.y)
    return between
