"""Curves of several runs on one pair of axes: the numbers.

A step-level curve becomes a smoothed line and the raw points behind it, thinned so that each bucket keeps its lowest
and highest values; validation and test curves keep every point. Runs that differ only in their seed or fold become
their mean, from three runs on with a band of one standard deviation (`folding.py`). Values that an axis cannot show are
left out, marked and listed in the notes: step 0 and values of 0 or less on a logarithmic axis, and values far beyond
those of sound runs (`ranges.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import NamedTuple

from lab.charts.folding import fold
from lab.charts.lines import Curve, Line, RunCurves, fork_lines, steps_per_epoch
from lab.charts.notes import left_out_notes
from lab.charts.ranges import Limits, share_limits, sound_limits
from lab.charts.rates import rate_lines
from lab.charts.smoothing import USUAL_SPAN
from lab.charts.style import assign_slots
from lab.config.repeats import REPEATED, setting_key
from lab.metric_charts import ChartSpec, list_charts
from lab.metrics import LEARNING_RATE, LOSS, Split
from lab.runs.records import RunRecord
from lab.runs.repeated import count_repeats
from lab.sharing.comparison import run_labels

__all__ = ["RunCurves", "line_slots", "overlay_info"]


AXES = {
    "step": "Step",
    "epoch": "Epoch",
    "relative": "Training time (s)",
    "wall": "Time of day (start of the run plus training time)",
}


@dataclass(frozen=True, slots=True)
class OverlayOptions:
    """What to draw. metric: the id of a chart; x: a key of AXES; smoothing: steps of the centred mean (1 for none).

    fold: draw repeats of one setting as their mean with a band; test: include the test set; raw: draw the points
    behind the smoothed line; full: show every value on the y axis, however far from the others; zone: of the times of
    day.
    """

    metric: str = LOSS.id
    x: str = "step"
    smoothing: int = USUAL_SPAN
    fold: bool = True
    test: bool = False
    raw: bool = True
    log_x: bool = False
    log_y: bool = False
    full: bool = False
    zone: tzinfo = UTC


class OverlayInfo(NamedTuple):
    """What `overlay_figure` draws. limits: the ends of the y axis if some values lie far beyond them, else None.

    notes: sentences on what the figure leaves out. log_x, log_y: whether the axis is logarithmic. zone: of the times of
    day, which are milliseconds since the Unix epoch in the lines.
    """

    metric: str
    x: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    limits: Limits | None = None
    log_x: bool = False
    log_y: bool = False
    zone: tzinfo = UTC

    @property
    def total(self) -> int:
        """Number of recorded points that the figure represents."""
        return sum(line.total for line in self.lines)

    @property
    def shown(self) -> int:
        """Number of points drawn."""
        return sum(line.x.size + line.raw_x.size for line in self.lines)


def overlay_info(
    curves: Sequence[RunCurves], options: OverlayOptions, *, slots: Mapping[str, int] | None = None
) -> OverlayInfo:
    """Return the lines of the chosen runs, in their order, and notes on what could not be drawn.

    slots: the runs' slots by id, which determine the colours; by default the runs take slots in their order.
    """
    named = _named(curves, options, slots or {})
    notes: list[str] = []
    empty: list[str] = []
    groups = [_group(members, options, notes, empty) for members in _groups(named, options)]
    lines = [line for group in groups for line in group]
    if all(line.kind == "constant" for line in lines):
        lines = []  # the notes state the numbers
    chart = list_charts()[options.metric]
    if empty:
        notes.append(f"{', '.join(empty)} {'has' if len(empty) == 1 else 'have'} no {chart.title.lower()} values.")
    share = chart.quantity.is_share
    log_x, log_y = options.log_x and options.x != "wall", options.log_y and not share
    limits = None if options.full else _limits(chart, lines)
    remarks = left_out_notes(
        lines, limits, title=chart.title, x=options.x, quantity=chart.quantity, log_x=log_x, log_y=log_y
    )
    return OverlayInfo(options.metric, options.x, tuple(lines), (*notes, *remarks), limits, log_x, log_y, options.zone)


def _named(curves: Sequence[RunCurves], options: OverlayOptions, slots: Mapping[str, int]) -> list[Curve]:
    runs = [one.run for one in curves]
    labels, seedless = run_labels(runs), run_labels(runs, without=REPEATED)
    given = line_slots(runs, slots, fold=options.fold)
    log_x = options.log_x and options.x != "wall"
    return [
        Curve(one, label, short, given[one.run.id], options.x, log_x, options.smoothing, options.raw)
        for one, label, short in zip(curves, labels, seedless, strict=True)
    ]


def shows_test(runs: Sequence[RunRecord]) -> bool:
    """Return whether the test set is drawn by default: no run has a validation set, whose curves would suffice."""
    return not any(run.config.held_out for run in runs)


def line_slots(runs: Sequence[RunRecord], slots: Mapping[str, int], *, fold: bool) -> dict[str, int]:
    """Return the slot of each run's line; with `fold`, repeats of one setting share the lowest slot among them."""
    own = assign_slots((run.id for run in runs), slots)
    if not fold:
        return own
    lowest: dict[str, int] = {}
    for run in runs:
        key = setting_key(run.config)
        lowest[key] = min(lowest.get(key, own[run.id]), own[run.id])
    return {run.id: lowest[setting_key(run.config)] for run in runs}


def _groups(named: Sequence[Curve], options: OverlayOptions) -> list[list[Curve]]:
    """Return the groups of runs that become one line each: the repeats of one setting with `fold`, else single runs."""
    groups: dict[str, list[Curve]] = {}
    for one in named:
        groups.setdefault(setting_key(one.run.config) if options.fold else one.run.id, []).append(one)
    return list(groups.values())


def _group(members: Sequence[Curve], options: OverlayOptions, notes: list[str], empty: list[str]) -> list[Line]:
    """Return the lines of one group of runs. Appends notes on them to `notes` and labels without points to `empty`."""
    drawn = []
    for one in members:
        lines, remarks = _lines(one, options)
        notes += remarks
        if lines:
            drawn.append((one, lines))
        elif not remarks:
            empty.append(one.label)
    if len(drawn) < 2:
        return [line for _, lines in drawn for line in lines]
    return fold(
        [lines for _, lines in drawn], label=f"{drawn[0][0].seedless} ({count_repeats([one.run for one, _ in drawn])})"
    )


def _lines(one: Curve, options: OverlayOptions) -> tuple[list[Line], list[str]]:
    chart = list_charts()[options.metric]
    if options.x == "epoch" and steps_per_epoch(one.curves) is None:
        return [], [f"{one.label} has no epochs yet, so it is not shown."]
    if options.metric == LEARNING_RATE.chart_id:
        return rate_lines(one)
    known = [(one.points[name], kind) for name, kind in _kinds(chart, options) if name in one.points]
    lines = [line for series, kind in known for line in fork_lines(one, series, kind)]
    return lines, []


def _kinds(chart: ChartSpec, options: OverlayOptions) -> list[tuple[str, str]]:
    """Return the series to draw, each with its kind of line; the only series of a chart is "plain"."""
    if len(chart.metrics) == 1:
        return [(chart.metrics[0].id, "plain")]
    shown = [metric for metric in chart.metrics if metric.split is not Split.TEST or options.test]
    return [(m.id, "plain" if m.split is Split.TRAIN and m != chart.dense else m.split.value) for m in shown]


def _limits(chart: ChartSpec, lines: Sequence[Line]) -> Limits | None:
    values, raw = [line.y for line in lines], [line.raw_y for line in lines]
    if chart.quantity.is_share:
        return share_limits([*values, *raw])
    return sound_limits(values, raw) if chart.quantity.unbounded else None
