"""The result against one setting, and against two: what was tried, and what came out."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

from lab.charts.parallel import LOG_FROM
from lab.charts.style import layout, plain_text
from lab.charts.sweeps.scores import Score, log_ticks, objective_title, shade, shade_numbers, value_axis
from lab.sharing.comparison import setting_text
from lab.sweeps.space import Parameter
from lab.sweeps.spec import SweepSpec

_GRID = 48  # places an axis at which a contour is interpolated
_LEAST = 4  # trials from which a surface is drawn
_PADDING = 0.04  # of an axis beyond its outermost values


class Scale(NamedTuple):
    """How the values of one parameter are placed on an axis: names in a row, else numbers or their logarithms."""

    parameter: Parameter
    names: tuple[str, ...]
    log: bool

    def place(self, value: Any) -> float:
        """Return where a value stands."""
        if self.names:
            return float(self.names.index(str(setting_text(value))))
        return math.log10(value) if self.log else float(value)

    def axis(self, places: Sequence[float]) -> dict[str, Any]:
        """Return Plotly's description of the axis, for values at these places."""
        title = {"text": self.parameter.spec.label}
        if self.names:
            places_of_names = list(range(len(self.names)))
            texts = [plain_text(name) for name in self.names]
            return {"title": title, "tickvals": places_of_names, "ticktext": texts, "range": [-0.5, len(texts) - 0.5]}
        low, high = min(places), max(places)
        room = (high - low) * _PADDING or 0.5
        described: dict[str, Any] = {"title": title, "range": [low - room, high + room]}
        if self.parameter.values:
            values = [value for value in self.parameter.values if not self.log or value > 0]
            described |= {"tickvals": [self.place(value) for value in values], "ticktext": [f"{v:g}" for v in values]}
        elif self.log:
            ticks = log_ticks(low, high)
            described |= {"tickvals": [self.place(tick) for tick in ticks], "ticktext": [f"{tick:g}" for tick in ticks]}
        return described


def scale_of(parameter: Parameter, scores: Sequence[Score]) -> Scale:
    """Return the scale that fits a parameter's values, also those of earlier spaces."""
    values = [score.trial.params[parameter.name] for score in scores if parameter.name in score.trial.params]
    if parameter.spec.kind in (int, float):
        positive = [value for value in values if value > 0]
        all_positive = bool(positive) and len(positive) == len(values)
        wide = all_positive and max(positive) / min(positive) >= (4 if parameter.values else LOG_FROM)
        return Scale(parameter, (), all_positive and (parameter.log or wide))
    order = {str(setting_text(value)): None for value in (*parameter.values, *values)}
    return Scale(parameter, tuple(order), False)


def slice_figure(
    scores: Sequence[Score], parameter: Parameter, spec: SweepSpec, *, dark: bool = False, height: int = 270
) -> go.Figure:
    """Draw the result of each trial against one setting, the best ones strongest."""
    scale = scale_of(parameter, scores)
    shown = [
        (score, number)
        for score, number in zip(scores, shade_numbers(scores), strict=True)
        if score.finite and parameter.name in score.trial.params
    ]
    figure = go.Figure()
    places = [scale.place(score.trial.params[parameter.name]) for score, _ in shown]
    figure.add_scatter(
        x=places,
        y=[score.value for score, _ in shown],
        mode="markers",
        marker={
            "size": 8,
            "color": [shade(number, dark=dark) for _, number in shown],
            "line": {"width": 1, "color": "#8792a0"},
        },
        text=[_hover(score, parameter.name) for score, _ in shown],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_layout(
        layout(
            height=height,
            dark=dark,
            showlegend=False,
            hovermode="closest",
            margin={"t": 12},
            xaxis=scale.axis(places) if places else {"title": {"text": parameter.spec.label}},
            yaxis={"title": {"text": objective_title(spec)}, **value_axis(score.value for score, _ in shown)},
        )
    )
    return figure


def _hover(score: Score, *names: str) -> str:
    parts = [f"{name} {setting_text(score.trial.params[name])}" for name in names]
    return plain_text(f"trial {score.trial.number}: {', '.join(parts)} → {score.value:.4g}")


class Surface(NamedTuple):
    """The result over two settings. x, y, z: places and values of the trials; grid: interpolated z (rows of y) or None."""

    scales: tuple[Scale, Scale]
    scores: tuple[Score, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    grid_x: np.ndarray
    grid_y: np.ndarray
    grid: np.ndarray | None


def surface_info(scores: Sequence[Score], parameters: tuple[Parameter, Parameter]) -> Surface:
    """Return the trials that have both settings, and the surface between them.

    Linear interpolation between the trials (scipy's `LinearNDInterpolator`), nothing outside of them; None for fewer than
    four trials or where all of them lie on one line.
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
    if len(shown) < _LEAST:
        return Surface((first, second), shown, x, y, empty, empty, None)
    grid_x, grid_y = np.linspace(min(x), max(x), _GRID), np.linspace(min(y), max(y), _GRID)
    return Surface((first, second), shown, x, y, grid_x, grid_y, _interpolated(shown, x, y, grid_x, grid_y))


def _interpolated(
    scores: Sequence[Score], x: Sequence[float], y: Sequence[float], grid_x: np.ndarray, grid_y: np.ndarray
) -> np.ndarray | None:
    """Return the values between the trials, in the logarithm where all are positive: a loss spans powers of ten."""
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


def surface_figure(surface: Surface, spec: SweepSpec, *, dark: bool = False, height: int = 420) -> go.Figure:
    """Draw the surface, pale where the result is worse, with every trial as a point on it."""
    figure = go.Figure()
    colours = [[at / 7, shade(7 - at, dark=dark)] for at in range(8)]  # low is good
    if surface.grid is not None:
        figure.add_contour(
            x=surface.grid_x,
            y=surface.grid_y,
            z=surface.grid,
            colorscale=colours,
            contours={"coloring": "fill"},
            line={"width": 0.5, "color": "#8792a0"},
            ncontours=14,
            colorbar={"title": {"text": objective_title(spec), "side": "right"}, "thickness": 12},
            hoverinfo="skip",
        )
    names = [scale.parameter.name for scale in surface.scales]
    shades = shade_numbers(surface.scores)
    figure.add_scatter(
        x=surface.x,
        y=surface.y,
        mode="markers",
        marker={
            "size": 9,
            "color": [shade(number, dark=dark) for number in shades],
            "line": {"width": 1.3, "color": "#e4eaf2" if dark else "#1a2330"},
        },
        text=[_hover(score, *names) for score in surface.scores],
        hovertemplate="%{text}<extra></extra>",
    )
    first, second = surface.scales
    figure.update_layout(
        layout(
            height=height,
            dark=dark,
            showlegend=False,
            hovermode="closest",
            margin={"t": 12},
            xaxis=first.axis(surface.x) if surface.x else {"title": {"text": first.parameter.spec.label}},
            yaxis=second.axis(surface.y) if surface.y else {"title": {"text": second.parameter.spec.label}},
        )
    )
    return figure
