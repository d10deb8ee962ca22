"""The result over two settings: every trial, and a surface interpolated between them. Imports SciPy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

from lab.charts.style import GREY, layout, text_colour
from lab.charts.sweeps.scores import SHADES, Score, objective_title, shade, shade_numbers, shaded_markers
from lab.charts.sweeps.slices import Scale, hover_text, scale_of
from lab.sweeps.space import Parameter
from lab.sweeps.spec import SweepSpec

_GRID = 48  # points per axis at which the surface is interpolated
_MIN = 4  # fewest trials for which a surface is drawn


class Surface(NamedTuple):
    """The result over two settings. x, y: positions of the trials' `scores`; grid: interpolated values or None.

    The rows of `grid` belong to `grid_y`, its columns to `grid_x`.
    """

    scales: tuple[Scale, Scale]
    scores: tuple[Score, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    grid_x: np.ndarray
    grid_y: np.ndarray
    grid: np.ndarray | None


def surface_info(scores: Sequence[Score], parameters: tuple[Parameter, Parameter]) -> Surface:
    """Return the trials that have both settings, and the surface between them.

    The surface is interpolated linearly (scipy's `LinearNDInterpolator`), without extrapolation. It is None for fewer
    than four trials or if all of them lie on one line.
    """
    first, second = (scale_of(parameter, scores) for parameter in parameters)
    shown = tuple(
        score
        for score in scores
        if score.finite and all(parameter.name in score.trial.params for parameter in parameters)
    )
    x = tuple(first.place(score.trial.params[first.parameter.name]) for score in shown)
    y = tuple(second.place(score.trial.params[second.parameter.name]) for score in shown)
    empty = np.empty(0)
    if len(shown) < _MIN:
        return Surface((first, second), shown, x, y, empty, empty, None)
    grid_x, grid_y = np.linspace(min(x), max(x), _GRID), np.linspace(min(y), max(y), _GRID)
    return Surface((first, second), shown, x, y, grid_x, grid_y, _interpolated(shown, x, y, grid_x, grid_y))


def _interpolated(
    scores: Sequence[Score], x: Sequence[float], y: Sequence[float], grid_x: np.ndarray, grid_y: np.ndarray
) -> np.ndarray | None:
    """Return the interpolated values, interpolating the logarithm if all are positive: losses span powers of ten."""
    z = np.array([score.value for score in scores])
    logarithmic = bool((z > 0).all())
    places = np.stack([np.array(x), np.array(y)], axis=1)
    width = np.ptp(places, axis=0)
    if not width.all():
        return None
    try:
        surface = LinearNDInterpolator(places / width, np.log(z) if logarithmic else z)
    except QhullError:
        return None
    found = np.asarray(surface(*np.meshgrid(grid_x / width[0], grid_y / width[1])))
    return np.exp(found) if logarithmic else found


def surface_figure(surface: Surface, spec: SweepSpec, *, dark: bool = False) -> go.Figure:
    """Draw the surface, pale where the result is worse, with every trial as a point on it."""
    figure = go.Figure()
    colours = [[at / (SHADES - 1), shade(SHADES - 1 - at, dark=dark)] for at in range(SHADES)]  # low is good
    if surface.grid is not None:
        figure.add_contour(
            x=surface.grid_x,
            y=surface.grid_y,
            z=surface.grid,
            colorscale=colours,
            contours={"coloring": "fill"},
            line={"width": 0.5, "color": GREY},
            ncontours=14,
            colorbar={"title": {"text": objective_title(spec), "side": "right"}, "thickness": 12},
            hoverinfo="skip",
        )
    names = [scale.parameter.name for scale in surface.scales]
    shades = shade_numbers(surface.scores)
    figure.add_scatter(
        x=np.array(surface.x),
        y=np.array(surface.y),
        mode="markers",
        marker={
            "size": 9,
            **shaded_markers(shades, dark=dark),
            "line": {"width": 1.3, "color": text_colour(dark=dark)},
        },
        text=[hover_text(score, *names) for score in surface.scores],
        hovertemplate="%{text}<extra></extra>",
    )
    first, second = surface.scales
    figure.update_layout(
        layout(
            height=420,
            dark=dark,
            showlegend=False,
            hovermode="closest",
            margin={"t": 12},
            xaxis=first.axis(surface.x) if surface.x else {"title": {"text": first.parameter.spec.label}},
            yaxis=second.axis(surface.y) if surface.y else {"title": {"text": second.parameter.spec.label}},
        )
    )
    return figure
