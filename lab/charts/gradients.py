"""Gradients by layer and epoch as a heat map, and the magnitudes of weights and gradients of one epoch."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from lab.charts.style import GREY, layout, plain_text, run_style, text_colour
from lab.charts.tiles import colour_table
from lab.formatting import format_percent, format_short, plural
from lab.inspection.gradient_flow import QUANTITIES, EpochFlow, FlowQuantity, LayerFlow, Magnitudes

_MAX_NUMBERS = 10  # columns; in narrower cells a number does not fit
_MAX_NUMBERS_NARROW = 4
_SYMBOL = {"none": "–", "zero": "0", "nan": "NaN", "infinite": "∞"}  # in cells without a place on the scale
_INK, _PAPER = "#10151c", "#ffffff"  # of numbers in light and in dark cells
_LIGHT = 0.5  # of the colour scale; above it, black is more legible than white
_FEW_LAYERS, _MANY_LAYERS = 12, 30  # below and above, rows are higher and lower
_OFFSET = 0.17  # of the two ranges of a layer, in rows
_MARGIN = 0.2  # beyond the ranges, in powers of ten


class FlowMap(NamedTuple):
    """What the heat map shows: a row per layer, the first one first, and a column per epoch (0: before training).

    values: None where the quantity is undefined, such as the gradient of a frozen layer. chosen: index of a column.
    """

    quantity: FlowQuantity
    layers: tuple[str, ...]
    epochs: tuple[int, ...]
    values: tuple[tuple[float | None, ...], ...]
    chosen: int

    @property
    def known(self) -> list[float]:
        """The values that have a place on the scale, in ascending order."""
        return sorted(v for row in self.values for v in row if v is not None and _symbol(self.quantity, v) == "")


def flow_map(flows: Sequence[EpochFlow], quantity: str, *, chosen: int) -> FlowMap:
    """Return the numbers of the heat map. quantity: a key of `QUANTITIES`. chosen: an epoch among those of the flows."""
    read = QUANTITIES[quantity].read
    layers = flows[0].layers
    by_layer = [{layer.name: read(layer) for layer in flow.layers} for flow in flows]
    values = tuple(tuple(column.get(layer.name) for column in by_layer) for layer in layers)
    epochs = tuple(flow.epoch for flow in flows)
    return FlowMap(QUANTITIES[quantity], tuple(layer.label for layer in layers), epochs, values, epochs.index(chosen))


def format_flow(quantity: FlowQuantity, value: float | None) -> str:
    """Return a value as text; a dash if it is undefined."""
    if value is None:
        return _SYMBOL["none"]
    symbol = _symbol(quantity, value)
    if symbol:
        return symbol
    return format_short(value) if quantity.log else format_percent(value, digits=1)


def _symbol(quantity: FlowQuantity, value: float | None) -> str:
    """Return what a cell says if its value has no place on the scale, else ""."""
    if value is None:
        return _SYMBOL["none"]
    if math.isnan(value):
        return _SYMBOL["nan"]
    if math.isinf(value):
        return _SYMBOL["infinite"]
    return _SYMBOL["zero"] if quantity.log and value == 0 else ""


def _moment(epoch: int) -> str:
    return f"after epoch {epoch}" if epoch else "before training"


def flow_map_figure(info: FlowMap, *, dark: bool = False, narrow: bool = False) -> go.Figure:
    """Draw the heat map; the chosen epoch's column has a frame. narrow: for a phone."""
    rows, columns = range(len(info.layers)), range(len(info.epochs))
    hover = [[_cell_text(info, row, column) for column in columns] for row in rows]
    figure = go.Figure()
    figure.add_heatmap(
        x=list(columns),
        y=list(rows),
        z=[[_place(info.quantity, value) for value in row] for row in info.values],
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        hoverongaps=False,
        xgap=1,
        ygap=1,
        **_scale(info, ticks=4 if narrow else 6, width=1.0 if narrow else 0.5),
    )
    labels = _labels(info, dark=dark, numbers=columns.stop <= (_MAX_NUMBERS_NARROW if narrow else _MAX_NUMBERS))
    figure.add_scatter(
        x=[label.column for label in labels],
        y=[label.row for label in labels],
        text=[label.text for label in labels],
        mode="text",
        textfont={"size": _label_size(len(info.layers)) - 1, "color": [label.colour for label in labels]},
        hovertext=[hover[label.row][label.column] for label in labels],
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(_map_layout(info, dark=dark, narrow=narrow))
    return figure


class _Label(NamedTuple):
    """The text of a cell."""

    row: int
    column: int
    text: str
    colour: str


def _labels(info: FlowMap, *, dark: bool, numbers: bool) -> list[_Label]:
    """Return the texts of the cells: symbols where there is no colour, and numbers elsewhere if they fit."""
    low, high = _limits(info)
    labels = []
    for row, values in enumerate(info.values):
        for column, value in enumerate(values):
            place = _place(info.quantity, value)
            if value is None or place is None:
                labels.append(_Label(row, column, _symbol(info.quantity, value), text_colour(dark=dark)))
            elif numbers:
                ink = _INK if (place - low) / (high - low) > _LIGHT else _PAPER
                labels.append(_Label(row, column, _short(info.quantity, value), ink))
    return labels


def _cell_text(info: FlowMap, row: int, column: int) -> str:
    name, epoch = plain_text(info.layers[row]), _moment(info.epochs[column])
    return f"{name}, {epoch}<br>{info.quantity.title}: {format_flow(info.quantity, info.values[row][column])}"


def _place(quantity: FlowQuantity, value: float | None) -> float | None:
    """Return a value's place on the colour scale, None if it has none."""
    if value is None or _symbol(quantity, value):
        return None
    return math.log10(value) if quantity.log else value


def _short(quantity: FlowQuantity, value: float) -> str:
    """Return a value in two digits."""
    if not quantity.log:
        return format_percent(value, digits=0)
    return f"{value:.2g}" if 1e-3 <= value < 1e4 else f"{value:.1e}"


def _scale(info: FlowMap, *, ticks: int, width: float) -> dict[str, Any]:
    """Return Plotly's settings of the colours and of their legend, which is labelled with the quantity's own numbers.

    ticks: their largest number. width: of the legend, as a share of the heat map's.
    """
    low, high = _limits(info)
    places = _decades(low, high, most=ticks) if info.quantity.log else [0.0, 0.25, 0.5, 0.75, 1.0]
    colours = colour_table("viridis")[::15]
    return {
        "colorscale": [[at / (len(colours) - 1), f"rgb({r},{g},{b})"] for at, (r, g, b) in enumerate(colours)],
        "zmin": low,
        "zmax": high,
        "colorbar": {
            "orientation": "h",
            "thickness": 10,
            "len": width,
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "outlinewidth": 0,
            "tickvals": places,
            "ticktext": [_power(at) if info.quantity.log else f"{100 * at:.0f} %" for at in places],
            "tickangle": 0,
            "ticklabelposition": "outside bottom",
        },
    }


def _limits(info: FlowMap) -> tuple[float, float]:
    """Return the ends of the colour scale: whole powers of ten, or all shares."""
    if not info.quantity.log:
        return 0.0, 1.0
    known = info.known or [1.0]
    low, high = math.floor(math.log10(known[0])), math.ceil(math.log10(known[-1]))
    return float(low), float(max(high, low + 1))


def _decades(low: float, high: float, *, most: int) -> list[float]:
    """Return the logarithms of at most `most` powers of ten."""
    step = max(1, math.ceil((high - low) / (most - 1)))
    return [float(each) for each in range(int(low), int(high) + 1, step)]


def _power(log: float) -> str:
    return f"{10**log:g}" if -3 <= log <= 3 else f"10<sup>{log:.0f}</sup>"


def _map_layout(info: FlowMap, *, dark: bool, narrow: bool) -> dict[str, Any]:
    count, columns = len(info.layers), len(info.epochs)
    step = math.ceil(columns / (6 if narrow else 16))
    ticks = [*(at for at in range(0, columns, step) if 2 * abs(at - info.chosen) >= step), info.chosen]
    at = info.chosen
    frame = {"type": "rect", "x0": at - 0.5, "x1": at + 0.5, "y0": -0.5, "y1": count - 0.5}
    return layout(
        height=_row_height(count) * count + 118,
        dark=dark,
        margin={"l": 10, "r": 10, "t": 24, "b": 92},
        showlegend=False,
        hovermode="closest",
        xaxis={
            "title": {"text": "epoch"},
            "range": [-0.5, columns - 0.5],
            "tickvals": ticks,
            "ticktext": [f"<b>{info.epochs[t]}</b>" if t == at else str(info.epochs[t]) for t in ticks],
            "tickangle": 0,
            "showgrid": False,
            "fixedrange": True,
        },
        yaxis={
            "range": [count - 0.5, -0.5],
            "tickvals": list(range(count)),
            "ticktext": [plain_text(name) for name in info.layers],
            "tickfont": {"size": _label_size(count)},
            "showgrid": False,
            "fixedrange": True,
        },
        shapes=[{**frame, "line": {"width": 2, "color": text_colour(dark=dark)}}],
        annotations=[
            {"x": at, "y": -0.5, "yshift": 9, "text": "▼", "showarrow": False, "font": {"size": 12}},
        ],
    )


def _row_height(layers: int) -> int:
    """Return the height of a layer's row in pixels."""
    return 28 if layers <= _FEW_LAYERS else 20 if layers <= _MANY_LAYERS else 15


def _label_size(layers: int) -> int:
    """Return the size of the layers' names in pixels."""
    return 12 if layers <= _MANY_LAYERS else 10


def flow_map_words(info: FlowMap) -> str:
    """Return the alt text of the heat map, with the range of the chosen epoch."""
    column = [(row[info.chosen], name) for row, name in zip(info.values, info.layers, strict=True)]
    known = sorted((value, name) for value, name in column if value is not None and math.isfinite(value))
    words = f"{info.quantity.title} of {plural(len(info.layers), 'layer')} at {plural(len(info.epochs), 'epoch')}"
    if not known:
        return f"{words}; no layer has a finite value {_moment(info.epochs[info.chosen])}"
    (low, least), (high, most) = known[0], known[-1]
    return (
        f"{words}; {_moment(info.epochs[info.chosen])} from {format_flow(info.quantity, low)} ({least}) to "
        f"{format_flow(info.quantity, high)} ({most})"
    )


def magnitudes_figure(flow: EpochFlow, *, dark: bool = False) -> go.Figure | None:
    """Draw for each layer the range of its weights' and of its gradient's absolute values, on a logarithmic axis.

    None if no layer has such a range, because the training has diverged.
    """
    axis = _decades_axis(flow)
    if axis is None:
        return None
    figure = go.Figure()
    blue = run_style(0, dark=dark).colour
    _add_ranges(figure, [(at, layer, layer.weights) for at, layer in enumerate(flow.layers)], "weights", GREY, -_OFFSET)
    known = [(at, layer, layer.gradient) for at, layer in enumerate(flow.layers) if layer.gradient is not None]
    _add_ranges(figure, known, "gradient", blue, _OFFSET)
    count = len(flow.layers)
    figure.update_layout(
        layout(
            height=_row_height(count) * count + 100,
            dark=dark,
            margin={"l": 10, "r": 20, "t": 34, "b": 10},
            hovermode="closest",
            legend={"y": 1.0, "yanchor": "bottom"},
            xaxis={
                "type": "log",
                "title": {"text": "absolute value"},
                "tickfont": {"size": 12},
                "exponentformat": "power",
                **axis,
            },
            yaxis={
                "range": [count - 0.5, -0.5],
                "tickvals": list(range(count)),
                "ticktext": [plain_text(layer.label) for layer in flow.layers],
                "tickfont": {"size": _label_size(count)},
                "fixedrange": True,
            },
        )
    )
    return figure


def _decades_axis(flow: EpochFlow) -> dict[str, Any] | None:
    """Return the range of the axis and the distance of its ticks, in powers of ten; None if there is no range."""
    all_ = [each for layer in flow.layers for each in (layer.weights, layer.gradient) if each is not None]
    finite = [each for each in all_ if _has_range(each)]
    if not finite:
        return None
    low, high = math.log10(min(each.low for each in finite)), math.log10(max(each.high for each in finite))
    return {"range": [low - _MARGIN, high + _MARGIN], "dtick": max(1, math.ceil((high - low) / 6))}


def _has_range(each: Magnitudes) -> bool:
    return math.isfinite(each.low) and math.isfinite(each.high)


def _add_ranges(
    figure: go.Figure, rows: Sequence[tuple[int, LayerFlow, Magnitudes]], name: str, colour: str, offset: float
) -> None:
    shown = [row for row in rows if _has_range(row[2])]
    width = 4 if len(rows) > _MANY_LAYERS else 6
    figure.add_scatter(
        x=[value for _, _, each in shown for value in (each.low, each.high, None)],
        y=[place for at, _, _ in shown for place in (at + offset, at + offset, None)],
        mode="lines",
        line={"color": colour, "width": width},
        opacity=0.45,
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=[each.middle for _, _, each in shown],
        y=[at + offset for at, _, _ in shown],
        mode="markers",
        marker={"color": colour, "size": width + 3},
        name=name,
        text=[_range_text(layer, each, name) for _, layer, each in shown],
        hovertemplate="%{text}<extra></extra>",
    )


def _range_text(layer: LayerFlow, each: Magnitudes, name: str) -> str:
    zeros = f"<br>{format_percent(each.zeros, digits=1)} exactly 0" if each.zeros else ""
    return (
        f"{plain_text(layer.label)}, {name}: median {format_short(each.middle)}<br>"
        f"90 % between {format_short(each.low)} and {format_short(each.high)}{zeros}"
    )
