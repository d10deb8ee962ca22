"""A network's answers to distorted images: the probabilities for one image, and the accuracy over many."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from lab.charts.style import DASHES, layout, legend_name, plain_text, run_style, text_colour
from lab.charts.tiles import plotly_scale
from lab.formatting import format_percent, plural
from lab.inspection.distortions import Distortion, Robustness

_MOST_CLASSES = 12  # rows; of more classes, those with the highest probabilities are shown
_ROW_PX = 22
_FRAME = "#f2a33a"  # of the chosen level, visible on dark cells in both themes


class LevelMap(NamedTuple):
    """The probabilities of an image at each level: (classes, levels) in [0, 1]. chosen: index of a level."""

    classes: tuple[str, ...]
    probabilities: np.ndarray
    chosen: int


def level_map(probabilities_LK: np.ndarray, classes: Sequence[str], *, chosen: int, truth: int | None) -> LevelMap:
    """Return the rows of the heat map: all classes, or the most probable ones and the true class.

    truth: index of the image's class, which is marked; None if it is not known.
    """
    highest = probabilities_LK.max(axis=0)
    order = np.argsort(-highest, kind="stable")[:_MOST_CLASSES]
    kept = sorted({*order.tolist(), *([] if truth is None else [truth])})
    names = tuple(f"{classes[k]} ✓" if k == truth else classes[k] for k in kept)
    return LevelMap(names, probabilities_LK.T[kept], chosen)


def level_map_figure(info: LevelMap, distortion: Distortion, *, dark: bool = False) -> go.Figure:
    """Draw the heat map, a column per level; the chosen level has a frame."""
    labels, rows = distortion.labels, len(info.classes)
    figure = go.Figure()
    figure.add_heatmap(
        x=list(range(len(labels))),
        y=list(range(rows)),
        z=info.probabilities,
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        colorscale=plotly_scale("viridis"),
        colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": ".0%"},
        hovertext=[
            [f"{plain_text(name)} at {label}: {format_percent(float(p), digits=1)}" for label, p in zip(labels, row)]
            for name, row in zip(info.classes, info.probabilities, strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    at = info.chosen
    frame = {"type": "rect", "x0": at - 0.5, "x1": at + 0.5, "y0": -0.5, "y1": rows - 0.5}
    figure.update_layout(
        layout(
            height=_ROW_PX * rows + 84,
            dark=dark,
            margin={"l": 10, "r": 10, "t": 12, "b": 10},
            xaxis={**_level_axis(distortion), "range": [-0.5, len(labels) - 0.5], "showgrid": False},
            yaxis={
                "range": [rows - 0.5, -0.5],
                "tickvals": list(range(rows)),
                "ticktext": [plain_text(name) for name in info.classes],
                "fixedrange": True,
                "showgrid": False,
            },
            shapes=[{**frame, "line": {"width": 3, "color": _FRAME}}],
        )
    )
    return figure


def level_map_words(info: LevelMap, distortion: Distortion) -> str:
    """Return the alt text of the heat map."""
    best = int(info.probabilities[:, info.chosen].argmax())
    share = format_percent(float(info.probabilities[best, info.chosen]), digits=1)
    return (
        f"Probabilities of {plural(len(info.classes), 'class', 'classes')} at "
        f"{plural(len(distortion.levels), 'level')} of the distortion; at {distortion.labels[info.chosen]}, "
        f"{info.classes[best]} has the highest, {share}"
    )


def accuracy_figure(
    measured: Sequence[tuple[str, Robustness]], distortion: Distortion, *, chosen: int, dark: bool = False
) -> go.Figure:
    """Return the accuracy at each level, a line per network with its name; the chosen level is marked."""
    labels = distortion.labels
    figure = go.Figure()
    for slot, (name, robustness) in enumerate(measured):
        shares = [format_percent(value, digits=1) for value in robustness.accuracies]
        figure.add_scatter(
            x=list(range(len(labels))),
            y=robustness.accuracies,
            name=legend_name(name),
            mode="lines+markers",
            cliponaxis=False,
            line={"color": run_style(slot, dark=dark).colour, "dash": DASHES[slot]},
            marker={"symbol": ("circle", "square")[slot % 2], "size": 7},
            text=[f"{plain_text(name)} at {label}: {share}" for label, share in zip(labels, shares, strict=True)],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.add_vline(x=chosen, line={"width": 1, "dash": "dot", "color": text_colour(dark=dark)})
    figure.update_layout(
        layout(
            height=320,
            dark=dark,
            margin={"l": 10, "r": 16, "t": 12, "b": 10},
            showlegend=len(measured) > 1,
            xaxis={**_level_axis(distortion), "range": [-0.3, len(labels) - 0.7]},
            yaxis={"title": {"text": "accuracy"}, "range": [-0.02, 1.02], "tickformat": ".0%", "dtick": 0.2},
        )
    )
    return figure


def _level_axis(distortion: Distortion) -> dict[str, Any]:
    """Return Plotly's settings of the axis of levels, which are equally spaced."""
    return {
        "title": {"text": distortion.title.lower()},
        "tickvals": list(range(len(distortion.labels))),
        "ticktext": list(distortion.labels),
        "fixedrange": True,
    }
