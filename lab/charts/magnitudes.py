"""The magnitudes of weights and gradients of every layer at one epoch, as ranges on a logarithmic axis."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from lab.charts.gradients import MANY_LAYERS, layer_axis, power_text, row_height
from lab.charts.style import GREY, layout, plain_text, run_style
from lab.formatting import format_percent, format_short
from lab.inspection.gradient_flow import EpochFlow, LayerFlow, Magnitudes

_OFFSET = 0.17  # of the two ranges of a layer, in rows
_MARGIN = 0.2  # beyond the ranges, in powers of ten
_TICKS = 5  # about


def magnitudes_figure(flow: EpochFlow, *, dark: bool = False) -> go.Figure | None:
    """Draw for each layer the range of its weights' and of its gradient's absolute values, on a logarithmic axis.

    None if no layer has such a range, because the training has diverged.
    """
    axis = _decades_axis(flow)
    if axis is None:
        return None
    figure, count = go.Figure(), len(flow.layers)
    rows = list(enumerate(flow.layers))
    _add_ranges(figure, [(at, layer, layer.weights) for at, layer in rows], "weights", GREY, -_OFFSET)
    known = [(at, layer, layer.gradient) for at, layer in rows if layer.gradient is not None]
    _add_ranges(figure, known, "gradient", run_style(0, dark=dark).colour, _OFFSET)
    figure.update_layout(
        layout(
            height=row_height(count) * count + 100,
            dark=dark,
            margin={"l": 10, "r": 20, "t": 34, "b": 10},
            hovermode="closest",
            legend={"y": 1.0, "yanchor": "bottom"},
            xaxis={
                "type": "log",
                "title": {"text": "absolute value"},
                "tickfont": {"size": 12},
                **axis,
            },
            yaxis=layer_axis([layer.label for layer in flow.layers]),
        )
    )
    return figure


def _decades_axis(flow: EpochFlow) -> dict[str, Any] | None:
    """Return the range of the axis as logarithms and its ticks at powers of ten; None if there is no range."""
    all_ = [each for layer in flow.layers for each in (layer.weights, layer.gradient) if each is not None]
    finite = [each for each in all_ if _has_range(each)]
    if not finite:
        return None
    low, high = math.log10(min(each.low for each in finite)), math.log10(max(each.high for each in finite))
    powers = range(math.ceil(low), math.floor(high) + 1, max(1, math.ceil((high - low) / _TICKS)))
    return {
        "range": [low - _MARGIN, high + _MARGIN],
        "tickvals": [10.0**power for power in powers],
        "ticktext": [power_text(power) for power in powers],
    }


def _has_range(each: Magnitudes) -> bool:
    return math.isfinite(each.low) and math.isfinite(each.high)


def _add_ranges(
    figure: go.Figure, rows: Sequence[tuple[int, LayerFlow, Magnitudes]], name: str, colour: str, offset: float
) -> None:
    shown = [row for row in rows if _has_range(row[2])]
    width = 4 if len(rows) > MANY_LAYERS else 6
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
