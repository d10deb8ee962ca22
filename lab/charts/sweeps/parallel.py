"""Parallel coordinates of a sweep: one line per trial over all settings to the result, strong for the best trials."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from lab.charts.parallel import Axis, axes_layout, axis_of
from lab.charts.style import layout, plain_text
from lab.charts.sweeps.polylines import Vertex, polylines
from lab.charts.sweeps.scores import SHADES, Score, objective_title, shade, shade_numbers
from lab.config import FIELDS
from lab.sharing.comparison import setting_text
from lab.sweeps.spec import SweepSpec


def parallel_axes(scores: Sequence[Score], spec: SweepSpec) -> tuple[Axis, ...]:
    """Return an axis for each setting of the trials, in the order of the space, and one for the result."""
    names = [parameter.name for parameter in spec.space]
    names += sorted({name for score in scores for name in score.trial.params} - set(names))  # of earlier spaces
    axes = [
        axis_of(
            FIELDS[name].label,
            [setting_text(score.trial.params[name]) if name in score.trial.params else None for score in scores],
            name,
        )
        for name in names
    ]
    return (*axes, axis_of(objective_title(spec), [score.value for score in scores], "val_loss"))


def trials_figure(scores: Sequence[Score], axes: Sequence[Axis], *, dark: bool = False) -> go.Figure:
    """Draw one line per trial in the shade of its rank; one trace per shade, so that a thousand trials stay fast."""
    figure = go.Figure()
    shades = shade_numbers(scores)
    for number in range(-1, SHADES):  # the best on top
        members = [at for at, own in enumerate(shades) if own == number]
        if members:
            figure.add_trace(_lines(scores, axes, members, shade(number, dark=dark), width=1 + number / SHADES))
    figure.update_layout(layout(height=460, dark=dark, showlegend=False, **axes_layout(axes, dark=dark)))
    return figure


def _lines(
    scores: Sequence[Score], axes: Sequence[Axis], members: Sequence[int], colour: str, *, width: float
) -> go.Scatter:
    """Return the lines of some trials; a line skips the axis of a setting that its trial does not have."""
    lines = (
        [
            Vertex(
                place,
                axis.positions[at],
                plain_text(f"trial {scores[at].trial.number} · {axis.title}: {axis.texts[at]}"),
            )
            for place, axis in enumerate(axes)
            if math.isfinite(axis.positions[at])
        ]
        for at in members
    )
    return polylines(lines, colour=colour, width=max(1.0, width))
