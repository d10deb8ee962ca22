"""The lowest objective measured so far, at any rung, over the computing time that the sweep has spent."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from lab.charts.style import layout, run_style
from lab.charts.sweeps.scores import objective_title, value_axis
from lab.formatting import format_duration
from lab.sweeps.records import Source, TrialRecord, TrialState, objective
from lab.sweeps.spec import SweepSpec


class Step(NamedTuple):
    """One measurement: the computing time the sweep had spent by then, the measured value, and the lowest so far."""

    seconds: float
    value: float
    best: float
    trial: int
    epoch: int


def progress_info(spec: SweepSpec, trials: Sequence[TrialRecord]) -> tuple[Step, ...]:
    """Return the finite measurements in the order in which they were made, without adopted runs and copies."""
    made = [
        (measured.spent_s, trial.number, measured)
        for trial in trials
        if trial.state is not TrialState.COPY and trial.source is not Source.ADOPTED
        for measured in trial.values
        if math.isfinite(measured.spent_s)
    ]
    steps: list[Step] = []
    best = math.inf
    for seconds, number, measured in sorted(made, key=lambda one: (one[0], one[1], one[2].epoch)):
        value = objective(spec, measured)
        if math.isfinite(value):
            best = min(best, value)
            steps.append(Step(seconds, value, best, number, measured.epoch))
    return tuple(steps)


def progress_figure(steps: Sequence[Step], spec: SweepSpec, *, dark: bool = False) -> go.Figure:
    """Draw each measurement as a point and the lowest so far as a step line."""
    style = run_style(0, dark=dark)
    figure = go.Figure()
    figure.add_scatter(
        x=[step.seconds for step in steps],
        y=[step.value for step in steps],
        mode="markers",
        marker={"size": 6, "color": style.shade(0.35)},
        text=[f"trial {s.trial}, epoch {s.epoch}: {s.value:.4g} after {format_duration(s.seconds)}" for s in steps],
        hovertemplate="%{text}<extra></extra>",
        name="measured at a rung",
    )
    figure.add_scatter(
        x=[step.seconds for step in steps],
        y=[step.best for step in steps],
        mode="lines",
        line={"color": style.colour, "width": 2.2, "shape": "hv"},
        hoverinfo="skip",
        name="lowest so far",
    )
    figure.update_layout(
        layout(
            height=360,
            dark=dark,
            hovermode="closest",
            xaxis={"title": {"text": "Computing time (s)"}, "rangemode": "tozero"},
            yaxis={"title": {"text": objective_title(spec)}, **value_axis(step.value for step in steps)},
        )
    )
    return figure


def progress_words(steps: Sequence[Step], spec: SweepSpec) -> str:
    """Return the alt text of the figure."""
    last = steps[-1]
    return (
        f"Lowest {objective_title(spec).lower()} measured so far over computing time: from {steps[0].best:.4g} to "
        f"{last.best:.4g} after {format_duration(last.seconds)}"
    )
