"""Every trial's validation curve, with the rungs at which trials were paused or promoted as vertical lines."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from lab.charts.style import GREY, layout, run_style
from lab.charts.sweeps.polylines import Vertex, polylines
from lab.charts.sweeps.scores import Score, objective_title, shade, shade_numbers, value_axis
from lab.sweeps.records import TrialRecord, TrialState, objective
from lab.sweeps.spec import SweepSpec

Point = tuple[float, float]  # epoch, and the validation loss (or error) after it
_FEW = 20  # most epochs for which each has a tick
_LIVE = 1  # slot of the colour of trials in training


class Curve(NamedTuple):
    """One trial's curve. score: the value at its current end, by which it is compared."""

    trial: TrialRecord
    points: tuple[Point, ...]
    score: Score


def curve_info(
    spec: SweepSpec, trials: Sequence[TrialRecord], between: Mapping[str, Sequence[Point]] | None = None
) -> tuple[Curve, ...]:
    """Return the curves of the trials with at least one finite point.

    between: by run, points of further epochs, if known. Non-finite values are left out.
    """
    found = []
    for trial in trials:
        if trial.state is TrialState.COPY:
            continue
        known = dict((between or {}).get(trial.run, ()))
        known |= {float(one.epoch): objective(spec, one) for one in trial.values}
        points = tuple((epoch, value) for epoch, value in sorted(known.items()) if math.isfinite(value))
        if points:
            epoch, value = points[-1]
            found.append(Curve(trial, points, Score(trial, int(epoch), value)))
    return tuple(found)


def curves_figure(curves: Sequence[Curve], spec: SweepSpec, *, dark: bool = False) -> go.Figure:
    """Draw the curves, the best in the strongest colour, those in training in a separate one, and the rungs."""
    figure = go.Figure()
    live = [curve for curve in curves if curve.trial.state.live]
    rest = [curve for curve in curves if not curve.trial.state.live]
    shades = shade_numbers([curve.score for curve in rest])
    for number in sorted(set(shades)):
        group = [curve for curve, own in zip(rest, shades, strict=True) if own == number]
        figure.add_trace(_lines(group, shade(number, dark=dark), "trials"))
    if live:
        figure.add_trace(_lines(live, run_style(_LIVE, dark=dark).colour, "in training"))
    rungs = spec.rungs({})[:-1] if spec.halving else ()
    for epoch in rungs:
        figure.add_vline(x=epoch, line={"color": GREY, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=epoch, y=1, yref="paper", yanchor="bottom", text=f"rung {epoch}", showarrow=False, font={"size": 11}
        )
    longest = max((spec.base.epochs, *(curve.points[-1][0] for curve in curves)))
    figure.update_layout(
        layout(
            height=400,
            dark=dark,
            showlegend=False,
            hovermode="closest",
            xaxis={
                "title": {"text": "Epoch"},
                "range": [0, 1.03 * longest],
                **({"dtick": 1} if longest <= _FEW else {}),
            },
            yaxis={
                "title": {"text": objective_title(spec)},
                **value_axis(value for c in curves for _, value in c.points),
            },
        )
    )
    return figure


def _lines(curves: Sequence[Curve], colour: str, name: str) -> go.Scatter:
    lines = (
        [
            Vertex(epoch, value, f"trial {curve.trial.number}, epoch {epoch:g}: {value:.4g}")
            for epoch, value in curve.points
        ]
        for curve in curves
    )
    return polylines(lines, colour=colour, width=1.6, name=name)


def curves_words(curves: Sequence[Curve], spec: SweepSpec) -> str:
    """Return the alt text of the figure."""
    best = min((curve for curve in curves), key=lambda curve: curve.score.value)
    rungs = ", ".join(map(str, spec.rungs({})))
    return (
        f"{objective_title(spec)} of {len(curves)} trials by epoch, measured after the epochs {rungs}; the lowest so "
        f"far is {best.score.value:.4g} of trial {best.trial.number} after epoch {best.score.epoch}"
    )
