"""Parallel coordinates on a page: vertical axes, or stacked horizontal ones if the vertical ones would overlap."""

from collections.abc import Sequence

import plotly.graph_objects as go

from lab.charts.parallel import Axis, least_width, stacked
from pages.components.plot import plot
from pages.widgets.theme import dark


def parallel_plot(key: str, figure: go.Figure, axes: Sequence[Axis], *, words: str, name: str) -> None:
    """Show a figure of these axes. name: file name for saving it. words: description for screen readers."""
    plot(
        key,
        figure,
        words=words,
        name=name,
        revision=str(len(axes)),
        narrow=stacked(figure, axes, dark=dark()),
        narrow_below=least_width(axes),
    )
