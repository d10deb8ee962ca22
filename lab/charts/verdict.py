"""The two sides of a comparison as a figure: one dot per run, the means, and the difference with its interval."""

from typing import Any, NamedTuple

import plotly.graph_objects as go

from lab.charts.style import GREY, layout, plain_text, run_style, text_colour, tick_lines
from lab.comparison.runs import Comparison
from lab.comparison.sides import Side
from lab.config.repeats import repeat_text
from lab.metrics import ACCURACY, MetricSpec
from lab.spread import Spread, format_result

_WIDTH = 0.16  # half the width of a side's strip of dots, in units of the axis
_MIN_ROOM = 0.001  # above and below the runs: a share, as accuracies are
_BAR = 0.22  # half the length of the line at a mean


class Dots(NamedTuple):
    """One side: its name, the dots' x offsets around 0, their accuracies (shares), and the spread of these."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    hover: tuple[str, ...]
    spread: Spread | None


class VerdictInfo(NamedTuple):
    """What `verdict_figure` draws. measure: the metric that the dots show.

    difference (b - a), low and high (its interval) are in percentage points, None if unknown.
    """

    a: Dots
    b: Dots
    measure: MetricSpec
    difference: float | None
    low: float | None
    high: float | None


def verdict_info(comparison: Comparison, *, a: str, b: str) -> VerdictInfo:
    """Return the numbers of the figure. a, b: the names of the sides."""
    verdict = comparison.verdict
    points = [None if value is None else 100 * value for value in (verdict.difference, verdict.low, verdict.high)]
    return VerdictInfo(_dots(comparison.a, a), _dots(comparison.b, b), comparison.a.measure, *points)


def _dots(side: Side, name: str) -> Dots:
    count = len(side.runs)
    x = tuple(_WIDTH * (2 * at / (count - 1) - 1) if count > 1 else 0.0 for at in range(count))
    hover = tuple(repeat_text(run.config) for run in side.runs)
    return Dots(name, x, side.values, hover, side.spread)


def verdict_figure(info: VerdictInfo, *, dark: bool) -> go.Figure:
    """Draw both sides, and the difference on a separate axis with a line at 0."""
    figure = go.Figure()
    for place, dots in enumerate((info.a, info.b)):
        _add_side(figure, dots, place, measure=info.measure, dark=dark)
    if info.difference is not None:
        _add_difference(figure, info, info.difference, dark=dark)
    figure.update_layout(
        layout(
            height=360,
            dark=dark,
            title={
                "text": f"{info.measure.title.capitalize()} of every run, and B − A",
                "font": {"size": 15},
                "x": 0,
                "xref": "paper",
            },
            showlegend=False,
            hovermode="closest",
            xaxis={
                "domain": [0.0, 0.62],
                "range": [-0.5, 1.5],
                "tickvals": [0, 1],
                "ticktext": [tick_lines(dots.name) for dots in (info.a, info.b)],
                "tickangle": 0,
                "showgrid": False,
                "fixedrange": True,
            },
            yaxis={"tickformat": "~%", "range": _accuracies(info)},
        )
    )
    figure.update_layout(**_difference_axes(info, grid=figure.layout.yaxis.gridcolor))
    return figure


def _add_side(figure: go.Figure, dots: Dots, place: int, *, measure: MetricSpec, dark: bool) -> None:
    colour = run_style(place, dark=dark).colour
    figure.add_scatter(
        x=[place + x for x in dots.x],
        y=dots.y,
        mode="markers",
        marker={"color": colour, "size": 9, "symbol": "circle-open", "line": {"width": 2}},
        customdata=dots.hover,
        hovertemplate=f"%{{y:{ACCURACY.hover}}}, %{{customdata}}<extra></extra>",
        name=plain_text(dots.name),
    )
    if dots.spread is not None:
        figure.add_scatter(
            x=[place - _BAR, place + _BAR],
            y=[dots.spread.mean] * 2,
            mode="lines",
            line={"color": colour, "width": 3},
            hovertemplate=f"mean {format_result(measure.result_key, dots.spread)}<extra></extra>",
            name="mean",
        )


def _difference_axes(info: VerdictInfo, *, grid: str) -> dict[str, dict[str, Any]]:
    """Return the axes of the difference, in percentage points, to the right of those of the runs."""
    across = {
        "domain": [0.8, 1.0],
        "anchor": "y2",
        "range": [-1, 1],
        "tickvals": [0],
        "ticktext": ["B − A"],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }
    up = {
        "anchor": "x2",
        "gridcolor": grid,
        "zeroline": False,
        "automargin": True,
        "ticksuffix": " pt",
        "range": _range(info),
    }
    return {"xaxis2": across, "yaxis2": up}


def _add_difference(figure: go.Figure, info: VerdictInfo, difference: float, *, dark: bool) -> None:
    interval = None
    if info.low is not None and info.high is not None:
        reach = {"array": [info.high - difference], "arrayminus": [difference - info.low]}
        interval = {"type": "data", "symmetric": False, "thickness": 2, "width": 8, **reach}
    figure.add_scatter(
        x=[0],
        y=[difference],
        xaxis="x2",
        yaxis="y2",
        mode="markers",
        marker={"color": text_colour(dark=dark), "size": 10, "symbol": "diamond"},
        error_y=interval,
        hovertemplate=f"{_difference_text(info)}<extra></extra>",
        name="difference",
    )
    zero = {"color": GREY, "dash": "dot"}
    figure.add_shape(type="line", xref="x2 domain", yref="y2", x0=0, x1=1, y0=0, y1=0, line=zero)


def _accuracies(info: VerdictInfo) -> list[float]:
    """Return an axis range that shows every run, wide enough for ticks that differ in their second digit."""
    low, high = min((*info.a.y, *info.b.y)), max((*info.a.y, *info.b.y))
    room = max(0.12 * (high - low), _MIN_ROOM)
    return [low - room, high + room]


def _range(info: VerdictInfo) -> list[float] | None:
    """Return an axis range that shows the difference, its interval and 0."""
    shown = [0.0, *(value for value in (info.difference, info.low, info.high) if value is not None)]
    room = 0.15 * (max(shown) - min(shown)) or 1.0
    return [min(shown) - room, max(shown) + room]


def _difference_text(info: VerdictInfo) -> str:
    if info.difference is None:
        return "no difference"
    if info.low is None or info.high is None:
        return f"{info.difference:+z.2f} points"
    return f"{info.difference:+z.2f} points, 95 % interval {info.low:+z.2f} to {info.high:+z.2f}"


def verdict_alt_text(info: VerdictInfo) -> str:
    """Return the alt text of the figure."""
    means = (f"{dots.name}: {format_result(info.measure.result_key, dots.spread)}" for dots in (info.a, info.b))
    return f"{info.measure.title.capitalize()} of every run. {'; '.join(means)}. B minus A: {_difference_text(info)}"
