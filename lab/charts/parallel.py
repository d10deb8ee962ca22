"""Parallel coordinates: one vertical axis for each differing setting and each result, one line per run.

They are drawn with plain lines, because Plotly's own parallel coordinates compile shaders with `eval`, which the lab's
Content-Security-Policy forbids, and distinguish runs by colour alone. A line has the colour of its run or of its run's
result; the latter shows which settings lead to good results.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import plotly.graph_objects as go

from lab.charts.style import GREY, PAGE_DARK, PAGE_LIGHT, assign_slots, layout, line_colour, plain_text, run_style
from lab.config import FIELDS
from lab.metrics import ACCURACY, Better, format_metric, list_results
from lab.runs.records import RunRecord
from lab.sharing.comparison import differing_settings, result_of, run_labels, setting_cells
from lab.sharing.comparison import list_results as list_result_titles

TICK_GAP = 0.07  # share of an axis: the height of a line of text
_LINE = 12  # letters per line of a title
_TEXT = 24  # letters of a tick's text
_UPRIGHT_TEXT = 14  # the same between two vertical axes
_AXIS_PX = 90  # the least width of a vertical axis with its labels
_ROW_PX = 58  # the height of a horizontal axis with its title and labels
LOG_FROM = 20.0  # ratio of an axis' largest value to its smallest from which it is logarithmic


# cividis (Nuñez et al. 2018), which looks the same with colour blindness, without the end too close to the background.
_SCALE_LIGHT = ("#00224e", "#35456c", "#666970", "#948e77", "#b9a64f")
_SCALE_DARK = ("#4c6aa8", "#7a7f92", "#a59c74", "#d2c060", "#fee838")
_NO_RESULT = GREY  # for runs without the result


class Axis(NamedTuple):
    """One vertical axis. positions: each run's position in [0, 1], NaN if it has no value; ticks: position and text."""

    title: str
    positions: tuple[float, ...]
    texts: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]
    log: bool


class Shade(NamedTuple):
    """Colours by one result. order: the runs' indices, first those without the result, then from worst to best.

    scale: colours from the lowest value to the highest. ends: these two values with their texts, None without values.
    """

    title: str
    colours: tuple[str, ...]
    order: tuple[int, ...]
    scale: tuple[str, ...]
    ends: tuple[tuple[float, str], tuple[float, str]] | None


def parallel_info(runs: Sequence[RunRecord]) -> tuple[Axis, ...]:
    """Return the axes: the settings that differ, in the order of the form, then the known results."""
    axes = [axis_of(FIELDS[name].label, setting_cells(runs, name), name) for name in differing_settings(runs)]
    results = {m.result_key: m.title.capitalize() for m in list_results() if m.quantity == ACCURACY}
    for key, title in {"seconds": "Seconds", **results}.items():
        values = [result_of(run, key) for run in runs]
        if any(value is not None for value in values):
            axes.append(axis_of(title, values, key))
    return tuple(axes)


def axis_of(title: str, values: Sequence[Any], key: str) -> Axis:
    """Return the axis of one setting or result. values: one per run, None if it has none; key: the axis' name."""
    texts = tuple("–" if value is None else _text(value, key) for value in values)
    if any(isinstance(value, str) for value in values):
        return _text_axis(title, texts)
    if key in FIELDS and FIELDS[key].unlimited and 0 in values:
        return _limit_axis(title, values, texts)
    known = [float(v) for v in values if v is not None and math.isfinite(v)]
    if not known:
        return Axis(title, tuple(math.nan for _ in values), texts, (), False)
    low, high = min(known), max(known)
    log = low > 0 and high / low >= LOG_FROM
    places = [_place(v, low, high, log=log) for v in values]
    ticks = tuple((_place(v, low, high, log=log), _text(v, key)) for v in sorted({low, high, *known}))
    return Axis(title, tuple(places), texts, _apart(ticks), log)


def _apart(ticks: tuple[tuple[float, str], ...]) -> tuple[tuple[float, str], ...]:
    """Return the ticks whose labels do not overlap, including the lowest and the highest."""
    shown = list(ticks[:1])
    for tick in ticks[1:-1]:
        if tick[0] - shown[-1][0] >= TICK_GAP and ticks[-1][0] - tick[0] >= TICK_GAP:
            shown.append(tick)
    return (*shown, *ticks[1:][-1:])


def _limit_axis(title: str, values: Sequence[float | None], texts: tuple[str, ...]) -> Axis:
    """Return the axis of a setting for which 0 means "no limit": 0 goes above the limits, at equal spacing."""
    limits = dict(zip(texts, values, strict=True))
    return _text_axis(title, texts, key=lambda text: limits[text] or (math.inf if limits[text] == 0 else -math.inf))


def _text_axis(title: str, texts: tuple[str, ...], *, key: Callable[[str], Any] | None = None) -> Axis:
    names = sorted(set(texts), key=key)
    place = {name: 0.5 if len(names) == 1 else index / (len(names) - 1) for index, name in enumerate(names)}
    return Axis(title, tuple(place[t] for t in texts), texts, _apart(tuple((place[n], n) for n in names)), False)


def _place(value: float | None, low: float, high: float, *, log: bool) -> float:
    if value is None or not math.isfinite(value):
        return math.nan
    if low == high:
        return 0.5
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)


def _text(value: Any, key: str) -> str:
    if isinstance(value, str):
        return FIELDS[key].choice_title(value) if key in FIELDS else value
    if key in FIELDS and FIELDS[key].kind is int:
        return FIELDS[key].choice_title(str(int(value)))
    word = FIELDS[key].choice_titles.get(f"{value:g}") if key in FIELDS else None
    return word or format_metric(key, value)


def shade_info(runs: Sequence[RunRecord], key: str, *, dark: bool = False) -> Shade:
    """Return each run's colour by its result `key`, one of `list_results()`."""
    scale = _SCALE_DARK if dark else _SCALE_LIGHT
    values = [result_of(run, key) for run in runs]
    axis = axis_of(list_result_titles()[key].capitalize(), values, key)
    colours = tuple(_NO_RESULT if math.isnan(place) else _blend(scale, place) for place in axis.positions)
    known = [float(value) for value in values if isinstance(value, (int, float)) and math.isfinite(value)]
    ends = (
        ((min(known), format_metric(key, min(known))), (max(known), format_metric(key, max(known)))) if known else None
    )
    better = {metric.result_key: metric.quantity.better for metric in list_results()}
    sign = -1.0 if better.get(key) is Better.DOWN else 1.0
    order = sorted(range(len(runs)), key=lambda i: -math.inf if colours[i] == _NO_RESULT else sign * axis.positions[i])
    return Shade(axis.title, colours, tuple(order), scale, ends)


def _blend(scale: Sequence[str], place: float) -> str:
    """Return the colour at a position of a scale, from 0 to 1."""
    at = place * (len(scale) - 1)
    low = min(int(at), len(scale) - 2)
    pair = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in scale[low : low + 2]]
    return "#" + "".join(f"{round(a + (at - low) * (b - a)):02x}" for a, b in zip(*pair, strict=True))


def parallel_figure(
    runs: Sequence[RunRecord],
    axes: Sequence[Axis],
    *,
    slots: Mapping[str, int] | None = None,
    shade: Shade | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw the axes and one line per run, with a gap at each missing value.

    A line has its run's dash, and its run's colour or that of `shade`. With `shade`, the best results lie on top.
    """
    slots = slots or assign_slots(run.id for run in runs)
    figure = go.Figure()
    labels = run_labels(runs)
    for index in range(len(runs)) if shade is None else shade.order:
        run, label = runs[index], labels[index]
        style = run_style(slots[run.id], dark=dark)
        if shade is not None:
            style = style._replace(colour=shade.colours[index])
        figure.add_scatter(
            x=list(range(len(axes))),
            y=[axis.positions[index] for axis in axes],
            mode="lines+markers",
            line={"color": style.colour, "dash": style.dash, "width": 1.8},
            marker={"size": 6, "color": style.colour},
            text=[plain_text(f"{axis.title}: {axis.texts[index]}") for axis in axes],
            hovertemplate="%{text}",
            name=plain_text(label),
            showlegend=len(runs) <= 20,
            connectgaps=False,
        )
    if shade is not None and shade.ends is not None:
        figure.add_trace(_scale_bar(shade))
    figure.update_layout(layout(height=460, dark=dark, **axes_layout(axes, dark=dark)))
    return figure


def axes_layout(axes: Sequence[Axis], *, dark: bool) -> dict[str, Any]:
    """Return Plotly's settings of the axes, as arguments of `layout`."""
    titles = [_lines(f"{axis.title} (log)" if axis.log else axis.title) for axis in axes]
    return {
        "xaxis": {
            "tickvals": list(range(len(axes))),
            "ticktext": titles,
            "showgrid": True,
            "side": "top",
            "range": [-0.35, len(axes) - 0.45],
        },
        "yaxis": {"visible": False, "range": [-0.08, 1.08]},
        "hovermode": "closest",
        "annotations": [_tick(at, *tick, dark=dark) for at, axis in enumerate(axes) for tick in axis.ticks],
        "margin": {"t": 60, "l": 60, "r": 44},
    }


def least_width(axes: Sequence[Axis]) -> int:
    """Return the width in pixels below which the labels of vertical axes overlap, so that `stacked` is better."""
    return _AXIS_PX * len(axes)


def stacked(figure: go.Figure, axes: Sequence[Axis], *, dark: bool = False) -> go.Figure:
    """Return the figure with horizontal axes below each other, for narrow screens such as phones.

    The first axis is at the top, and each runs from left to right. There is no space for a legend.
    """
    lying, words = go.Figure(figure), []
    for trace in lying.data:
        down = [None if at is None else -at for at in trace.x]
        trace.update(x=trace.y, y=down, showlegend=False)
        if trace.marker.showscale:
            bar = trace.marker.colorbar
            words = _bar_words(bar.title.text, bar.ticktext)
            bar.update(_LYING_BAR)
    lying.layout = {}
    lying.update_layout(layout(height=_ROW_PX * len(axes) + 62, dark=dark, **_stacked_layout(axes, words, dark=dark)))
    return lying


_LYING_BAR = {
    "orientation": "h",
    "x": 0.5,
    "xanchor": "center",
    "y": 1,
    "yanchor": "bottom",
    "ypad": 0,
    "len": 1,
    "thickness": 8,
    "showticklabels": False,
    "ticks": "",
    "title": {"text": ""},
}


def _bar_words(title: str, ends: Sequence[str]) -> list[dict[str, Any]]:
    """Return the texts above the horizontal colour bar; Plotly's own would be cut off at its ends."""
    places = [(0.0, "left", ends[0]), (0.5, "center", title), *([(1.0, "right", ends[1])] if len(ends) > 1 else [])]
    same = {"xref": "paper", "yref": "paper", "y": 1, "yanchor": "bottom", "yshift": 11, "showarrow": False}
    return [{**same, "x": x, "xanchor": anchor, "text": text, "font": {"size": 12}} for x, anchor, text in places]


def _stacked_layout(axes: Sequence[Axis], words: Sequence[dict[str, Any]], *, dark: bool) -> dict[str, Any]:
    rows = range(len(axes))
    titles = [f"{axis.title} (log)" if axis.log else axis.title for axis in axes]
    line = {"color": line_colour(dark=dark), "width": 1}
    return {
        "xaxis": {"visible": False, "range": [-0.03, 1.03], "fixedrange": True},
        "yaxis": {"visible": False, "range": [-len(axes) + 0.4, 0.6], "fixedrange": True},
        "hovermode": "closest",
        "showlegend": False,
        "shapes": [
            {"type": "line", "x0": 0, "x1": 1, "y0": -at, "y1": -at, "line": line, "layer": "below"} for at in rows
        ],
        "annotations": [
            *words,
            *(_title_above(-at, title, dark=dark) for at, title in enumerate(titles)),
            *(_tick_below(-at, *tick, dark=dark) for at, axis in enumerate(axes) for tick in _outer(axis)),
        ],
        "margin": {"t": 44, "l": 6, "r": 6, "b": 16},
    }


def _outer(axis: Axis) -> tuple[tuple[float, str], ...]:
    """Return an axis' lowest and highest tick; the texts of more would overlap."""
    return axis.ticks if len(axis.ticks) < 2 else (axis.ticks[0], axis.ticks[-1])


def _title_above(row: int, title: str, *, dark: bool) -> dict[str, Any]:
    return {"x": 0, "y": row, "xanchor": "left", "yshift": 17, **_words(f"<b>{plain_text(title)}</b>", 12, dark=dark)}


def _tick_below(row: int, place: float, text: str, *, dark: bool) -> dict[str, Any]:
    side = "left" if place < 0.25 else "right" if place > 0.75 else "center"
    return {"x": place, "y": row, "xanchor": side, "yshift": -12, **_words(plain_text(_short(text)), 11, dark=dark)}


def _words(text: str, size: int, *, dark: bool) -> dict[str, Any]:
    """Return an annotation on the page's background colour, so that it is legible where lines cross it."""
    paper = PAGE_DARK if dark else PAGE_LIGHT
    return {"text": text, "font": {"size": size}, "showarrow": False, "bgcolor": paper, "borderpad": 0}


def _lines(title: str) -> str:
    """Return a title in short lines; Plotly would rotate a long one, and the first axis' would leave the figure."""
    return "<br>".join(wrap(title, _LINE, break_long_words=False))


def _scale_bar(shade: Shade) -> go.Scatter:
    """Return an empty trace whose colour bar is the legend of the colours."""
    assert shade.ends is not None
    (low, low_text), (high, high_text) = shade.ends
    same = low == high
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        showlegend=False,
        hoverinfo="skip",
        marker={
            "color": [low],
            "colorscale": [[i / (len(shade.scale) - 1), colour] for i, colour in enumerate(shade.scale)],
            "cmin": low,
            "cmax": low + 1 if same else high,
            "showscale": True,
            "colorbar": {
                "title": {"text": plain_text(shade.title), "side": "right"},
                "thickness": 12,
                "len": 0.8,
                "outlinewidth": 0,
                "tickvals": [low] if same else [low, high],
                "ticktext": [low_text] if same else [low_text, high_text],
            },
        },
    )


def _short(text: str, most: int = _TEXT) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _tick(at: int, place: float, text: str, *, dark: bool) -> dict[str, Any]:
    words = _words(plain_text(_short(text, _UPRIGHT_TEXT)), 11, dark=dark)
    return {"x": at, "y": place, "xanchor": "left", "xshift": 6, "yshift": 9, **words}
