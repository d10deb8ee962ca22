"""Curves of several runs on one pair of axes: the picture of `overlay_info`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lab.charts.overlay import AXES, METRICS, Line, OverlayInfo
from lab.charts.style import RunStyle, layout, plain_text, run_style
from lab.formatting import plural

_WORDS = {"train": "training", "val": "validation", "test": "test", "plain": ""}
_SYMBOLS = {"val": "circle", "test": "diamond-open"}
RAW_OPACITY = 0.28
FAR = 30.0


def overlay_figure(
    info: OverlayInfo,
    *,
    dark: bool = False,
    log_x: bool = False,
    log_y: bool = False,
    clip: bool = False,
    height: int = 430,
) -> go.Figure:
    """Draw the lines; a click on a name in the legend hides all lines of that run, hovering shows all runs.

    log_y: not for accuracies, of which a logarithm shows the wrong end. clip: choose the y axis by the lines that are
    alike in size, so that one runaway does not flatten the rest.
    """
    figure = go.Figure()
    seen: set[tuple[str, ...]] = set()
    for line in info.lines:
        style = run_style(line.number, dark=dark)
        for trace in _traces(line, style, info, named=line.runs not in seen):
            figure.add_trace(trace)
        seen.add(line.runs)
    share = info.metric.endswith("accuracy")
    log_y = log_y and not share
    figure.update_layout(
        layout(
            height=height,
            dark=dark,
            title={"text": METRICS[info.metric].title, "font": {"size": 15}, "x": 0, "xref": "paper"},
            hovermode="x unified",
            xaxis={"title": {"text": AXES[info.x]}, "type": "date" if info.x == "wall" else _kind(log_x)},
            yaxis={
                "type": _kind(log_y),
                "tickformat": ".1%" if share else None,
                "range": usual_range(info, log=log_y) if clip else None,
            },
        )
    )
    return figure


def usual_range(info: OverlayInfo, *, log: bool) -> list[float] | None:
    """Return the y axis that shows 98 % of each line, without lines FAR times larger than the middle one."""
    spans = []
    for line in info.lines:
        finite = line.y[np.isfinite(line.y) & ((line.y > 0) | (not log))]
        if finite.size:
            spans.append(np.quantile(finite, [0.01, 0.99]))
    if not spans:
        return None
    sizes = np.array([np.abs(span).max() for span in spans])
    near = [span for span, size in zip(spans, sizes) if size <= FAR * np.median(sizes)]
    low, high = min(span[0] for span in near), max(span[1] for span in near)
    if log:
        low, high = np.log10(low), np.log10(high)
    room = 0.05 * (high - low) or 0.05
    return [float(low - room), float(high + room)]


def _kind(log: bool) -> str:
    return "log" if log else "linear"


def _traces(line: Line, style: RunStyle, info: OverlayInfo, *, named: bool) -> list[go.Scatter]:
    group = {"legendgroup": "+".join(line.runs), "x": dates(line.x, info.x)}
    traces = [*_band(line, style, group), *_raw(line, style, group, info)]
    word = _WORDS.get(line.kind, line.kind)
    share = info.metric.endswith("accuracy")
    traces.append(
        go.Scatter(
            **group,
            y=line.y,
            name=plain_text(line.label),
            showlegend=named,
            mode="lines+markers" if line.kind in _SYMBOLS or line.x.size == 1 else "lines",
            line={"color": style.colour, "dash": style.dash, "width": 1.2 if line.kind in _SYMBOLS else 2},
            marker={"symbol": _SYMBOLS.get(line.kind, "circle"), "size": 6, "color": style.colour},
            hovertemplate=f"%{{y:{'.2%' if share else '.4g'}}}" + (f" {word}" if word else ""),
        )
    )
    if line.odd:
        traces.append(_odd(line, style, group, info))
    return traces


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
            **{**group, "x": dates(line.raw_x, info.x)},
            y=line.raw_y,
            mode="lines",
            line={"color": style.shade(RAW_OPACITY), "width": 1},
            hoverinfo="skip",
            showlegend=False,
        )
    ]


def _odd(line: Line, style: RunStyle, group: dict[str, Any], info: OverlayInfo) -> go.Scatter:
    """Mark values that are no number where the line was last, each with its name."""
    finite = np.isfinite(line.y)
    x, y = line.x[finite], line.y[finite]
    where = np.array([odd.x for odd in line.odd])
    before = np.searchsorted(x, where, side="right") - 1
    heights = np.where(before >= 0, y[np.maximum(before, 0)], y[0]) if y.size else np.zeros(where.size)
    return go.Scatter(
        **{**group, "x": dates(where, info.x)},
        y=heights,
        mode="markers",
        marker={"symbol": "x", "size": 9, "color": style.colour},
        text=[odd.name for odd in line.odd],
        hovertemplate="%{text}",
        name=plain_text(line.label),
        showlegend=False,
    )


def dates(x: np.ndarray, axis: str) -> np.ndarray:
    """Return the x values as Plotly wants them: moments for the wall clock, numbers otherwise."""
    return x.astype("datetime64[ms]") if axis == "wall" else x


def overlay_words(info: OverlayInfo) -> str:
    """Say what the picture shows, for those who cannot see it."""
    ends = [f"{line.label} ends at {line.y[-1]:.4g}" for line in info.lines if line.kind != "test" and line.y.size]
    return (
        f"{METRICS[info.metric].title} of {plural(_count(info.lines), 'run')} by {AXES[info.x].lower()}: "
        + "; ".join(ends[:8])
    )


def _count(lines: Sequence[Line]) -> int:
    return len({run for line in lines for run in line.runs})
