"""Finished curves of one run or of several side by side: the numbers first (`curve_info`), then the figure.

Every step is thinned as in the live view and smoothed over the same number of steps. A run has one colour, a split one
dash and marker, so that nothing is told by colour alone. For charts that do not change; live ones are `charts.live`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from lab.charts.thinning import thin
from lab.errors import InputError, near_miss
from lab.runs.records import Series

METRICS = ("loss", "accuracy")
ACROSS = {"step": "step", "epoch": "epoch", "time": "training time (s)"}
SPLITS = {"batch": "training", "val": "validation", "test": "test"}
# Okabe and Ito's colours, darkened to 3:1 on white; the same order as .streamlit/config.toml
COLORS = ("#0072b2", "#c75000", "#00805d", "#a8497f", "#8a6a00", "#5b6472")
_LOOK = {"batch": ("solid", None), "val": ("dot", "diamond"), "test": ("dash", "square")}


class Curve(NamedTuple):
    """One line: whose it is, which split it shows, and its points; y may be NaN where there was no number."""

    run: str
    split: str
    x: np.ndarray
    y: np.ndarray


class CurveInfo(NamedTuple):
    """What a chart shows. `odd` counts values that are not finite, `total` the recorded points, `shown` those drawn."""

    metric: str
    across: str
    curves: tuple[Curve, ...]
    odd: int
    total: int
    shown: int


def smooth(values: np.ndarray, *, steps: float, width: int = 1) -> np.ndarray:
    """Return the debiased exponential mean over about `steps` steps of values that each stand for `width` steps.

    Values that are not finite stay gaps and do not enter the mean.
    """
    keep = (1 - 1 / max(1.0, steps)) ** width
    total = weight = 0.0
    smoothed = np.full(len(values), np.nan)
    for index, value in enumerate(values):
        if np.isfinite(value):
            total = keep * total + (1 - keep) * value
            weight = keep * weight + (1 - keep)
            smoothed[index] = total / weight
    return smoothed


def curve_info(
    runs: Mapping[str, Mapping[str, Series]],
    *,
    metric: str,
    across: str = "step",
    smoothing_steps: float = 1,
    steps_per_epoch: Mapping[str, int] | None = None,
) -> CurveInfo:
    """Return the curves of a metric. `runs`: series by name, by the words each run is shown with.

    steps_per_epoch: needed by run for `across="epoch"`. Raises `InputError` for an unknown metric or axis.
    """
    for given, known in ((metric, METRICS), (across, ACROSS)):
        if given not in known:
            raise InputError(f"There is no {given!r} to draw. {near_miss(given, known)}")
    curves, odd, total = [], 0, 0
    for run, points in runs.items():
        for split in SPLITS:
            series = points.get(f"{split}/{metric}")
            if series is None or not len(series.step):
                continue
            odd += int((~np.isfinite(series.value)).sum())
            total += len(series.step)
            per_epoch = (steps_per_epoch or {}).get(run, 0)
            curves.append(_curve(run, split, series, across, smoothing_steps, per_epoch))
    return CurveInfo(metric, across, tuple(curves), odd, total, sum(len(curve.x) for curve in curves))


def _curve(run: str, split: str, series: Series, across: str, steps: float, per_epoch: int) -> Curve:
    part, _ = thin(series, complete=True)
    if across == "epoch" and per_epoch < 1:
        raise InputError(f"Run {run} does not say how many steps an epoch has: draw it across steps or time.")
    x = part.mean_time_s if across == "time" else part.mean_step / (per_epoch if across == "epoch" else 1)
    return Curve(run, split, x, smooth(part.mean, steps=steps, width=part.width) if split == "batch" else part.mean)


def curve_figure(info: CurveInfo, *, log_x: bool = False, log_y: bool = False) -> go.Figure:
    """Draw the curves; an empty chart says that nothing was recorded."""
    figure = go.Figure()
    runs = list(dict.fromkeys(curve.run for curve in info.curves))
    for curve in info.curves:
        dash, symbol = _LOOK[curve.split]
        color = COLORS[runs.index(curve.run) % len(COLORS)]
        words = SPLITS[curve.split] if len(runs) == 1 else f"{curve.run}, {SPLITS[curve.split]}"
        figure.add_trace(
            go.Scatter(
                x=curve.x, y=curve.y, name=words, legendgroup=curve.run, connectgaps=False,
                mode="lines" if symbol is None else "lines+markers",
                line={"color": color, "dash": dash, "width": 2}, marker={"symbol": symbol, "size": 7},
                hovertemplate="%{y:.2%}" if info.metric == "accuracy" else "%{y:.4f}",
            )
        )  # fmt: skip
    figure.update_layout(
        hovermode="x unified", legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
        margin={"l": 50, "r": 10, "t": 10, "b": 40},
        xaxis={"title": ACROSS[info.across], "type": "log" if log_x else "linear"},
        yaxis={
            "title": info.metric, "type": "log" if log_y else "linear",
            "tickformat": "~%" if info.metric == "accuracy" else "~g",
        },
    )  # fmt: skip
    if not info.curves:
        figure.add_annotation(
            text=f"No {info.metric} was recorded.", showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
        )
    return figure
