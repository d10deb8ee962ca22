"""Learning rates as lines: the schedule if it was recorded at every change, else the known points with a note.

A constant rate is a number rather than a curve: it is drawn only next to a rate that changes. Earlier releases recorded
the rate once per epoch; those points are not joined, because the values between them were not recorded.
"""

import numpy as np

from lab.charts.lines import NONE, Curve, Line, Measured, line_of, x_values
from lab.config import RunConfig
from lab.metrics import LEARNING_RATE
from lab.runs.records import Series
from lab.training.schedules import is_constant


def rate_lines(one: Curve) -> tuple[list[Line], list[str]]:
    """Return a run's learning rate as lines, and the notes on it."""
    series = one.points.get(LEARNING_RATE.id)
    if is_constant(one.run.config) and not _had_another(one.run.config, series):
        return _constant(one), [f"{one.label} has a constant learning rate of {one.run.config.lr:g}."]
    if series is None or not series.step.size:
        return [], [f"{one.label} has no learning-rate values."]
    if recorded_by_epoch(series):
        line = line_of(one, series, "dots")
        return [line], [
            f"{one.label} recorded its learning rate once per epoch, so the {one.run.config.schedule} schedule between "
            "these points is not shown."
        ]
    return [line_of(one, series, "plain")], []


def _had_another(config: RunConfig, series: Series | None) -> bool:
    """Whether the run that a fork continues had another learning rate."""
    return bool(config.fork_epoch and series is not None and (series.value != config.lr).any())


def recorded_by_epoch(series: Series) -> bool:
    """Whether a schedule has points at the ends of epochs only.

    A full recording of the schedule starts at step 1; in a fork of a run without one, it has points within epochs.
    """
    first = series.step[0]
    return bool(first > 1 and (series.step[:-1] % first == 0).all())  # the last epoch may have been cut short


def _constant(one: Curve) -> list[Line]:
    """Return a horizontal line over the steps that the run has recorded."""
    taken = [part for part in one.points.values() if part.step.size]
    if not taken:
        return []
    longest = max(taken, key=lambda part: int(part.step[-1]))
    step, time_s = np.array([1, longest.step[-1]]), np.array([longest.time_s[0], longest.time_s[-1]])
    x, y = x_values(one.curves, step, time_s, one.x), np.full(2, one.run.config.lr)
    return [
        Line(
            label=one.label,
            kind="constant",
            slot=one.slot,
            runs=(one.run.id,),
            x=x,
            y=y,
            low=NONE,
            high=NONE,
            raw_x=NONE,
            raw_y=NONE,
            non_finite=(),
            total=2,
            measured=Measured(x, y, step),
        )
    ]
