"""Accuracy against cost: which runs no other run beats in both (the Pareto front)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from lab.charts.ranges import log_ticks
from lab.charts.style import GREY, RunStyle, assign_slots, layout, legend_name, plain_text, run_style
from lab.formatting import format_percent
from lab.runs.records import RunRecord
from lab.sharing.comparison import result_of, run_labels

COSTS = {"seconds": "Training time (s)", "params": "Parameters"}
_MIN_MARGIN = 0.15  # decades beyond the cheapest and the most expensive run
_MAX_IN_LEGEND = 12  # runs; the legend of more would leave no space for the figure


class ParetoPoint(NamedTuple):
    """One run: its cost, its test accuracy, and whether it is on the front (no other run is better and cheaper)."""

    run: RunRecord
    cost: float
    accuracy: float
    best: bool


def pareto_info(runs: Sequence[RunRecord], cost: str) -> tuple[ParetoPoint, ...]:
    """Return the ended runs that have both numbers, cheapest first.

    Only test accuracy counts, because validation accuracy is not comparable with it.
    """
    known = []
    for run in runs:
        accuracy = result_of(run, "test_accuracy")
        price = result_of(run, cost)
        if not run.state.live and _positive(price) and isinstance(accuracy, (int, float)) and accuracy == accuracy:
            known.append((float(price or 0.0), float(accuracy), run))
    points, highest = [], -1.0
    for price, accuracy, run in sorted(known, key=lambda item: (item[0], -item[1], item[2].number)):
        points.append(ParetoPoint(run, price, accuracy, best=accuracy > highest))
        highest = max(highest, accuracy)
    return tuple(points)


def _positive(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 < value < float("inf")


def pareto_figure(
    points: Sequence[ParetoPoint],
    cost: str,
    *,
    slots: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw every run as a point and the front as a line through the best ones; the cost axis is logarithmic.

    slots, labels: slot and name of each run by its id, if the points are part of a larger selection.
    """
    runs = [point.run for point in points]
    slots = slots or assign_slots(run.id for run in runs)
    labels = labels or dict(zip((run.id for run in runs), run_labels(runs), strict=True))
    figure = go.Figure()
    for point in points:
        name, style = labels[point.run.id], run_style(slots[point.run.id], dark=dark)
        figure.add_trace(_run_point(point, name, style, in_legend=len(points) <= _MAX_IN_LEGEND))
    front = [point for point in points if point.best]
    figure.add_scatter(
        x=[point.cost for point in front],
        y=[point.accuracy for point in front],
        mode="lines",
        line={"shape": "hv", "width": 1.5, "dash": "dot", "color": GREY},
        name="front",
        hoverinfo="skip",
    )
    figure.update_layout(
        layout(
            height=430,
            dark=dark,
            title={"text": "Accuracy against cost", "font": {"size": 15}, "x": 0, "xref": "paper"},
            xaxis={"title": {"text": COSTS[cost]}, **_cost_axis(points)},
            yaxis={"tickformat": "~%", "title": {"text": "Test accuracy"}},
            hovermode="closest",
        )
    )
    return figure


def _cost_axis(points: Sequence[ParetoPoint]) -> dict[str, Any]:
    """Return Plotly's settings of the cost axis, with full numbers at the ticks; its own labels are single digits."""
    logs = [math.log10(point.cost) for point in points] or [0.0]
    margin = max(_MIN_MARGIN, 0.06 * (max(logs) - min(logs)))
    low, high = min(logs) - margin, max(logs) + margin
    ticks = [tick for tick in log_ticks(low, high) if low <= math.log10(tick) <= high]
    return {"type": "log", "range": [low, high], "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}


def _run_point(point: ParetoPoint, name: str, style: RunStyle, *, in_legend: bool) -> go.Scatter:
    return go.Scatter(
        x=[point.cost],
        y=[point.accuracy],
        mode="markers",
        marker={
            "size": 11,
            "color": style.colour,
            "symbol": "circle" if point.best else "circle-open",
            "line": {"width": 2, "color": style.colour},
        },
        name=legend_name(name),
        text=[plain_text(f"{format_percent(point.accuracy)}, epoch {point.run.epoch_text or '–'}")],
        hovertemplate=f"%{{text}}, for %{{x:,.4g}}{' (on the front)' if point.best else ''}",
        showlegend=in_legend,
    )
