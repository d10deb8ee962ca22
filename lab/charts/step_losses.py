"""The losses over steps of gradient descent: of the steps' batch or batches, and of images that are in none of them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lab.charts.style import layout, run_style
from lab.formatting import format_loss

_TENS = 10  # the axis grows by as many steps at a time, so that a step does not move the points before it
_DIVERGES = 20.0  # times the first loss: from here on, a linear axis would only show the last points
# The axis ends at one of these multiples of the first loss, so that most steps do not move the points before them.
_LOWEST, _HIGHEST = (0.9, 0.75, 0.5, 0.0), (1.05, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, _DIVERGES)


def step_losses_figure(
    batch: Sequence[float],
    others: Sequence[float],
    *,
    names: tuple[str, str],
    dark: bool,
    before: Sequence[float] | None = None,
) -> go.Figure:
    """Return both losses over the steps, from before the first one on; values that are not finite are left out.

    names: of the batch and of the other images. before: if each step takes another batch, its loss before the step;
    then each step is a line of its own, from its batch's loss before it to the one after it.
    """
    figure = go.Figure()
    own = _line(names[0], batch) if before is None else _lines(names[0], before, batch)
    for slot, line in enumerate((own, _line(names[1], others))):
        figure.add_scatter(
            **line,
            mode="lines+markers",
            cliponaxis=False,
            line={"color": run_style(slot, dark=dark).colour, "dash": "solid" if slot == 0 else "dash"},
            marker={"symbol": ("circle", "square")[slot], "size": 7},
        )
    most = _TENS * max(1, math.ceil((len(batch) - 1) / _TENS))
    figure.update_layout(
        layout(
            height=300,
            dark=dark,
            margin={"l": 10, "r": 16, "t": 12, "b": 10},
            xaxis={"title": {"text": "steps"}, "range": [-0.02 * most, 1.02 * most], "dtick": max(1, most // _TENS)},
            yaxis={"title": {"text": "loss"}, **_scale([*batch, *(before or ()), *others])},
        )
    )
    return figure


def _line(name: str, values: Sequence[float]) -> dict[str, Any]:
    return {
        "name": name,
        "x": np.arange(len(values)),
        "y": _finite(values),
        "text": [f"{name}: {format_loss(value)}" for value in values],
        "hovertemplate": "%{text} after step %{x}<extra></extra>",
    }


def _lines(name: str, before: Sequence[float], after: Sequence[float]) -> dict[str, Any]:
    """Return a trace with a line for each step, with gaps between them; before the first step, a single point."""
    steps = range(1, len(after))
    if not steps:
        return _line(name, after)
    pairs = [(before[step], after[step]) for step in steps]
    return {
        "name": name,
        "x": np.array([x for step in steps for x in (step - 1, step, np.nan)], dtype=float),
        "y": _finite([value for pair in pairs for value in (*pair, math.nan)]),
        "text": [
            f"batch {step}: {format_loss(value)} {when} step {step}" if when else ""
            for step, pair in zip(steps, pairs, strict=True)
            for value, when in zip((*pair, math.nan), ("before", "after", ""), strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _finite(values: Sequence[float]) -> np.ndarray:
    return np.array([value if math.isfinite(value) else math.nan for value in values])


def _scale(values: Sequence[float]) -> dict[str, object]:
    """Return a logarithmic axis for a loss that multiplied, else a linear one. The loss can be negative (NLL)."""
    finite, first = [value for value in values if math.isfinite(value)], values[0]
    least, most = min(finite), max(finite)
    if least <= 0:
        return {}
    if most > _DIVERGES * first:
        return {"type": "log", "exponentformat": "power", "dtick": 1}
    low = next(share for share in _LOWEST if share * first <= least)
    high = next(share for share in _HIGHEST if share * first >= most)
    return {"range": [low * first, high * first]}
