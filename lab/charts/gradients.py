"""A quantity of every layer, such as its gradient, at several epochs: a heat map."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from lab.charts.style import layout, plain_text, text_colour
from lab.charts.tiles import plotly_scale
from lab.formatting import format_percent, format_wide_percent, plural
from lab.inspection.gradient_flow import QUANTITIES, EpochFlow, FlowQuantity

_MAX_NUMBERS = 10  # columns; in narrower cells a number does not fit
_MAX_NUMBERS_NARROW = 4
_INK, _PAPER = "#10151c", "#ffffff"  # of numbers in light and in dark cells
_LIGHT = 0.5  # of the colour scale; above it, black is more legible than white
_CELL_TEXT = 11  # px; smaller text is hard to read
_FEW_LAYERS, MANY_LAYERS = 12, 30  # up to the first, rows are higher; beyond the second, lower


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
    def limits(self) -> tuple[float, float]:
        """The ends of the colour scale: whole powers of ten as their logarithms, or 0 and 1 for shares."""
        if not self.quantity.log:
            return 0.0, 1.0
        places = [
            place for row in self.values for value in row if (place := place_of(self.quantity, value)) is not None
        ]
        low, high = math.floor(min(places, default=0.0)), math.ceil(max(places, default=0.0))
        return float(low), float(max(high, low + 1))


def flow_map(flows: Sequence[EpochFlow], quantity: str, *, chosen: int) -> FlowMap:
    """Return the numbers of the heat map. quantity: a key of `QUANTITIES`. chosen: an epoch of one of the flows."""
    read = QUANTITIES[quantity].read
    layers = flows[0].layers
    by_layer = [{layer.name: read(layer) for layer in flow.layers} for flow in flows]
    values = tuple(tuple(column.get(layer.name) for column in by_layer) for layer in layers)
    epochs = tuple(flow.epoch for flow in flows)
    return FlowMap(QUANTITIES[quantity], tuple(layer.label for layer in layers), epochs, values, epochs.index(chosen))


def place_of(quantity: FlowQuantity, value: float | None) -> float | None:
    """Return a value's place on the colour scale; None if it has none, such as NaN or the logarithm of 0."""
    if value is None or not math.isfinite(value) or (quantity.log and value <= 0):
        return None
    return math.log10(value) if quantity.log else value


def format_flow(quantity: FlowQuantity, value: float | None) -> str:
    """Return a value in two or three digits, a dash if it is undefined."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞"
    if not quantity.share:
        return f"{value:.2g}" if value == 0 or 1e-3 <= value < 1e4 else f"{value:.1e}"
    return format_wide_percent(value) if quantity.log else format_percent(value, digits=0)


def _moment(epoch: int) -> str:
    return f"after epoch {epoch}" if epoch else "before training"


def flow_map_figure(info: FlowMap, *, dark: bool = False, narrow: bool = False) -> go.Figure:
    """Draw the heat map; the chosen epoch's column has a frame. narrow: for a phone."""
    rows, columns = len(info.layers), len(info.epochs)
    hover = [[_cell_text(info, row, column) for column in range(columns)] for row in range(rows)]
    figure = go.Figure()
    figure.add_heatmap(
        x=list(range(columns)),
        y=list(range(rows)),
        z=[[place_of(info.quantity, value) for value in row] for row in info.values],
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        hoverongaps=False,
        xgap=1,
        ygap=1,
        **_scale(info, ticks=4 if narrow else 6, width=1.0 if narrow else 0.5),
    )
    labels = _labels(info, dark=dark, numbers=columns <= (_MAX_NUMBERS_NARROW if narrow else _MAX_NUMBERS))
    figure.add_scatter(
        x=[label.column for label in labels],
        y=[label.row for label in labels],
        text=[label.text for label in labels],
        mode="text",
        textfont={"size": _CELL_TEXT, "color": [label.colour for label in labels]},
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
    low, high = info.limits
    labels = []
    for row, values in enumerate(info.values):
        for column, value in enumerate(values):
            place = place_of(info.quantity, value)
            text = format_flow(info.quantity, value)
            if place is None:
                labels.append(_Label(row, column, text, text_colour(dark=dark)))
            elif numbers:
                ink = _INK if (place - low) / (high - low) > _LIGHT else _PAPER
                labels.append(_Label(row, column, text, ink))
    return labels


def _cell_text(info: FlowMap, row: int, column: int) -> str:
    name, epoch = plain_text(info.layers[row]), _moment(info.epochs[column])
    return f"{name}, {epoch}<br>{info.quantity.title}: {format_flow(info.quantity, info.values[row][column])}"


def _scale(info: FlowMap, *, ticks: int, width: float) -> dict[str, Any]:
    """Return Plotly's settings of the colours and of their legend, which is labelled with the quantity's own numbers.

    ticks: their largest number. width: of the legend, as a share of the heat map's.
    """
    low, high = info.limits
    places = _decades(low, high, most=ticks) if info.quantity.log else [0.0, 0.25, 0.5, 0.75, 1.0]
    return {
        "colorscale": plotly_scale("viridis"),
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
            "ticktext": [_tick_text(info.quantity, at) for at in places],
            "tickangle": 0,
            "ticklabelposition": "outside bottom",
        },
    }


def _decades(low: float, high: float, *, most: int) -> list[float]:
    """Return the logarithms of at most `most` powers of ten."""
    step = max(1, math.ceil((high - low) / (most - 1)))
    return [float(each) for each in range(int(low), int(high) + 1, step)]


def _tick_text(quantity: FlowQuantity, place: float) -> str:
    if quantity.share:
        return format_flow(quantity, 10.0**place if quantity.log else place)
    return power_text(place)


def power_text(exponent: float) -> str:
    """Return a power of ten as the label of a tick, such as "0.001" or "1e-05"; raised digits would be too small."""
    return f"{10.0**exponent:g}"


def _map_layout(info: FlowMap, *, dark: bool, narrow: bool) -> dict[str, Any]:
    at, count = info.chosen, len(info.layers)
    frame = {"type": "rect", "x0": at - 0.5, "x1": at + 0.5, "y0": -0.5, "y1": count - 0.5}
    return layout(
        height=row_height(count) * count + 118,
        dark=dark,
        margin={"l": 10, "r": 10, "t": 24, "b": 92},
        showlegend=False,
        hovermode="closest",
        xaxis=_epoch_axis(info, most=6 if narrow else 16),
        yaxis=layer_axis(info.layers) | {"showgrid": False},
        shapes=[{**frame, "line": {"width": 2, "color": text_colour(dark=dark)}}],
        annotations=[{"x": at, "y": -0.5, "yshift": 9, "text": "▼", "showarrow": False, "font": {"size": 12}}],
    )


def _epoch_axis(info: FlowMap, *, most: int) -> dict[str, Any]:
    """Return Plotly's settings of the columns' axis, with about `most` labels; that of the chosen epoch is bold."""
    columns, chosen = len(info.epochs), info.chosen
    step = math.ceil(columns / most)
    apart = (at for at in range(0, columns, step) if 2 * abs(at - chosen) >= step)
    ticks = sorted([*apart, chosen]) if step > 1 else list(range(columns))
    return {
        "title": {"text": "epoch"},
        "range": [-0.5, columns - 0.5],
        "tickvals": ticks,
        "ticktext": [f"<b>{info.epochs[at]}</b>" if at == chosen else str(info.epochs[at]) for at in ticks],
        "tickangle": 0,
        "showgrid": False,
        "fixedrange": True,
    }


def layer_axis(layers: Sequence[str]) -> dict[str, Any]:
    """Return Plotly's settings of an axis with a row per layer, the first one on top."""
    return {
        "range": [len(layers) - 0.5, -0.5],
        "tickvals": list(range(len(layers))),
        "ticktext": [plain_text(name) for name in layers],
        "tickfont": {"size": label_size(len(layers))},
        "fixedrange": True,
    }


def row_height(layers: int) -> int:
    """Return the height of a layer's row in pixels."""
    return 28 if layers <= _FEW_LAYERS else 20 if layers <= MANY_LAYERS else 15


def label_size(layers: int) -> int:
    """Return the size of the layers' names in pixels."""
    return 12 if layers <= MANY_LAYERS else _CELL_TEXT


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
