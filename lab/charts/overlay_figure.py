"""Curves of several runs on one pair of axes: the Plotly figure of `overlay_info`."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lab.charts.lines import Line
from lab.charts.overlay import AXES, OverlayInfo
from lab.charts.ranges import Limits, axis_range, excursions
from lab.charts.style import GREY, RunStyle, layout, legend_name, plain_text, run_style
from lab.formatting import LAST_MOMENT, format_short, plural
from lab.metric_charts import list_charts
from lab.metrics import Quantity, Split

_WORDS = {split.value: split.label for split in Split}
_SYMBOLS = {"val": "diamond", "test": "square-open", "dots": "circle"}  # of splits as in the live view
_MODES = {"val": "lines+markers", "test": "lines+markers", "dots": "markers"}
RAW_OPACITY = 0.28
LEGEND_ROW_PX = 19
_NARROW_PX, _ENTRY_PX, _LETTER_PX = 380, 55, 6.2  # widths: narrowest chart, legend entry without its name, one letter
_BEYOND = "beyond"  # marks the traces that only a fitted axis needs
_NON_FINITE_AT = 0.94  # share of the plot's height
_EDGE = {True: 0.985, False: 0.015}  # share of the plot's height at which values above (True) or below it are marked


def overlay_figure(info: OverlayInfo, *, dark: bool = False, switch: bool = False) -> go.Figure:
    """Draw the lines. A click on a legend entry hides all lines of that run; hovering shows the values of all runs.

    switch: adds buttons that show the full range to the figure itself, for pages without widgets.
    """
    figure = go.Figure()
    seen: set[tuple[str, ...]] = set()
    for line in info.lines:  # drawn first, so that they lie below the run's own line
        if line.before_fork:
            figure.add_trace(_before_fork(line, info))
    for line in info.lines:
        if line.before_fork:
            continue
        style = run_style(line.slot, dark=dark)
        for trace in _traces(line, style, info, named=line.runs not in seen):
            figure.add_trace(trace)
        seen.add(line.runs)
    chart = list_charts()[info.metric]
    limits = _axis_range(info)
    figure.update_layout(
        layout(
            height=430 + LEGEND_ROW_PX * (_legend_rows(info.lines) - 1),
            dark=dark,
            title={"text": chart.title, "font": {"size": 15}, "x": 0, "xref": "paper"},
            hovermode="x unified",
            xaxis={"title": {"text": _axis_title(info)}, "type": "date" if info.x == "wall" else _kind(info.log_x)},
            yaxis={
                "type": _kind(info.log_y),
                "tickformat": "~%" if chart.quantity.is_share else None,
                "range": limits,
                "rangemode": "tozero" if chart.quantity.unbounded else "normal",
            },
            # Marks at the edge have a separate axis, so that they stay at the edge when the user zooms.
            yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        )
    )
    if switch and limits:
        figure.update_layout(updatemenus=[_range_switch(figure, limits)])
    return figure


def _legend_rows(lines: Sequence[Line]) -> int:
    """Return the estimated number of legend rows below the narrowest chart; the figure's height includes them."""
    width = sum(_ENTRY_PX + _LETTER_PX * len(label) for label in {line.runs: line.label for line in lines}.values())
    return max(1, math.ceil(width / _NARROW_PX))


def _axis_range(info: OverlayInfo) -> list[float] | None:
    if info.limits is None:
        return None
    values = np.concatenate([line.measured.value for line in info.lines])
    positive = values[np.isfinite(values) & (values > 0)]
    lowest = float(positive.min()) if positive.size else 1.0
    return list(axis_range(info.limits, lowest, log=info.log_y))


def _range_switch(figure: go.Figure, limits: Sequence[float]) -> dict[str, Any]:
    """Return two buttons: the axis fitted to sound values, with marks at its edge, and the full range."""
    everything = [True] * len(figure.data)
    unmarked = [trace.meta != _BEYOND for trace in figure.data]
    fitted = {"yaxis.range": list(limits), "yaxis.autorange": False}
    return {
        "type": "buttons",
        "direction": "right",
        "x": 0.3,
        "xanchor": "left",  # between the title and Plotly's own buttons
        "y": 1.02,
        "yanchor": "bottom",
        "buttons": [
            {"label": "Fitted range", "method": "update", "args": [{"visible": everything}, fitted]},
            {"label": "Full range", "method": "update", "args": [{"visible": unmarked}, {"yaxis.autorange": True}]},
        ],
    }


def _kind(log: bool) -> str:
    return "log" if log else "linear"


def _traces(line: Line, style: RunStyle, info: OverlayInfo, *, named: bool) -> list[go.Scatter]:
    group = {"legendgroup": "+".join(line.runs), "x": dates(line.x, info)}
    traces = [*_band(line, style, group), *_raw(line, style, group, info)]
    word = _WORDS.get(line.kind, "")
    hover = list_charts()[info.metric].quantity.hover
    alone = "lines+markers" if line.x.size == 1 else "lines"
    traces.append(
        go.Scatter(
            **group,
            y=_drawable(line.y, info),
            name=legend_name(line.label),
            showlegend=named,
            mode=_MODES.get(line.kind, alone),
            line={"color": style.colour, "dash": style.dash, "width": 1.2 if line.kind in _SYMBOLS else 2},
            marker={"symbol": _SYMBOLS.get(line.kind, "circle"), "size": 6, "color": style.colour},
            hovertemplate=f"%{{y:{hover}}}" + (f" {word}" if word else ""),
        )
    )
    if line.non_finite:
        traces.append(_non_finite(line, style, group, info))
    return [*traces, *_beyond(line, style, group, info)]


def _before_fork(line: Line, info: OverlayInfo) -> go.Scatter:
    """Return the part of a fork's curve that it has from its parent run: grey, and hidden together with its own."""
    return go.Scatter(
        x=dates(line.x, info),
        y=_drawable(line.y, info),
        legendgroup="+".join(line.runs),
        mode="lines",
        line={"color": GREY, "width": 1.2},
        name=plain_text(f"{line.label}, before the fork"),
        showlegend=False,
        hoverinfo="skip",
    )


def _drawable(y: np.ndarray, info: OverlayInfo) -> np.ndarray:
    """Return values as drawn: on a logarithmic axis, values of 0 or less are gaps rather than lines to the edge."""
    return np.where(y > 0, y, np.nan) if info.log_y else y


def _beyond(line: Line, style: RunStyle, group: dict[str, Any], info: OverlayInfo) -> list[go.Scatter]:
    """Return markers at the edge of the plot where values leave it, each with its true value."""
    limits: Limits | None = info.limits
    found = excursions(line.measured.value, limits, log=info.log_y)
    if not found:
        return []
    word = _WORDS.get(line.kind, "")
    return [
        go.Scatter(
            **{**group, "x": dates(line.measured.x[[one.at for one in found]], info)},
            y=[_EDGE[one.above] for one in found],
            yaxis="y2",
            mode="markers",
            marker={
                "symbol": ["triangle-up" if one.above else "triangle-down" for one in found],
                "size": 11,
                "color": style.colour,
                "line": {"width": 1, "color": GREY},
            },
            text=[f"{format_short(one.value)}, beyond the axis{f' ({word})' if word else ''}" for one in found],
            hovertemplate="%{text}",
            name=plain_text(line.label),
            showlegend=False,
            meta=_BEYOND,
        )
    ]


def _band(line: Line, style: RunStyle, group: dict[str, Any]) -> list[go.Scatter]:
    if not line.low.size:
        return []
    common = {**group, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    return [
        go.Scatter(**common, y=line.low),
        go.Scatter(**common, y=line.high, fill="tonexty", fillcolor=style.shade(0.18)),
    ]


def _raw(line: Line, style: RunStyle, group: dict[str, Any], info: OverlayInfo) -> list[go.Scatter]:
    if not line.raw_x.size:
        return []
    return [
        go.Scatter(
            **{**group, "x": dates(line.raw_x, info)},
            y=_drawable(line.raw_y, info),
            mode="lines",
            line={"color": style.shade(RAW_OPACITY), "width": 1},
            hoverinfo="skip",
            showlegend=False,
        )
    ]


def _non_finite(line: Line, style: RunStyle, group: dict[str, Any], info: OverlayInfo) -> go.Scatter:
    """Return named markers for non-finite values, below the upper edge because they have no y position."""
    return go.Scatter(
        **{**group, "x": dates(np.array([mark.x for mark in line.non_finite]), info)},
        y=[_NON_FINITE_AT] * len(line.non_finite),
        yaxis="y2",
        mode="markers",
        marker={"symbol": "x", "size": 9, "color": style.colour},
        text=[mark.name for mark in line.non_finite],
        hovertemplate="%{text}",
        name=plain_text(line.label),
        showlegend=False,
    )


def dates(x: np.ndarray, info: OverlayInfo) -> np.ndarray:
    """Return the x values for Plotly: on the time-of-day axis, dates and times in the zone of `info`; else numbers.

    Plotly knows no time zones and shows dates as they are.
    """
    if info.x != "wall":
        return x
    return (x + [1000.0 * _offset_s(stamp, info.zone) for stamp in x / 1000.0]).astype("datetime64[ms]")


def _offset_s(stamp: float, zone: tzinfo) -> float:
    """Return how far a zone was ahead of UTC at a time (seconds since the epoch), in seconds."""
    if not 0 <= stamp <= LAST_MOMENT:  # `datetime` cannot represent it
        return 0.0
    offset = datetime.fromtimestamp(stamp, zone).utcoffset()
    return offset.total_seconds() if offset else 0.0


def _axis_title(info: OverlayInfo) -> str:
    return AXES[info.x].replace("Time of day", "Time of day in UTC") if info.zone is UTC else AXES[info.x]


def line_key(info: OverlayInfo, *, smoothed: bool = True) -> str:
    """Return a key of line styles to splits; "" unless training lines are drawn together with others."""
    kinds = {line.kind for line in info.lines}
    if "train" not in kinds or len(kinds) == 1:
        return ""
    behind = any(line.raw_x.size for line in info.lines) and smoothed
    thick = [
        "Thick: training",
        *(["smoothed"] if smoothed else []),
        *(["with the raw values behind it"] if behind else []),
    ]
    words = {"val": "Diamonds: validation", "test": "Squares: test"}
    return ". ".join([", ".join(thick), *(word for kind, word in words.items() if kind in kinds)]) + "."


def overlay_alt_text(info: OverlayInfo) -> str:
    """Return the alt text of the figure: the last value of each run's lines, with the split of each line."""
    chart = list_charts()[info.metric]
    values: dict[str, list[str]] = {}
    for line in info.lines:
        if line.kind != "test" and not line.before_fork and line.y.size:
            values.setdefault(line.label, []).append(_end(line, chart.quantity))
    ends = [f"{label} ends at {' and '.join(words)}" for label, words in values.items()]
    runs = plural(_count(info.lines), "run")
    parts = [*ends[:8], *([f"and {len(ends) - 8} more"] if len(ends) > 8 else [])]
    return f"{chart.title} of {runs} by {AXES[info.x].lower()}: " + "; ".join(parts)


def _end(line: Line, quantity: Quantity) -> str:
    value, word = line.y[-1], _WORDS.get(line.kind, "")
    text = quantity.format(float(value)) if np.isfinite(value) else "a non-finite value"
    return f"{text} ({word})" if word else text


def _count(lines: Sequence[Line]) -> int:
    return len({run for line in lines for run in line.runs})
