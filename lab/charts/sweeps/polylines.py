"""Many lines as one trace, which keeps a figure of a thousand trials fast."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import plotly.graph_objects as go


class Vertex(NamedTuple):
    """A point of a line, and its hover text."""

    x: float
    y: float
    text: str


def polylines(lines: Iterable[Sequence[Vertex]], *, colour: str, width: float, name: str = "") -> go.Scatter:
    """Return one trace with all lines, which are not connected to each other."""
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for line in lines:
        x += [*(vertex.x for vertex in line), None]
        y += [*(vertex.y for vertex in line), None]
        text += [*(vertex.text for vertex in line), ""]
    return go.Scatter(
        x=x,
        y=y,
        text=text,
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": width},
        marker={"size": 5, "color": colour},
        hovertemplate="%{text}<extra></extra>",
    )
