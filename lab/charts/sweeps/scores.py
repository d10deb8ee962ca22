"""The scores by which trials are compared at a rung, and their colours: strong for the best, pale for the rest."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lab.charts.ranges import log_ticks
from lab.sweeps.halving import measured_at
from lab.sweeps.records import TrialRecord, TrialState, objective
from lab.sweeps.spec import SweepSpec

SHADES = 8  # colours from the worst to the best: one trace each, whatever the number of trials
_BEST = {False: (0, 90, 160), True: (112, 200, 255)}
_WORST = {False: (205, 214, 224), True: (58, 70, 84)}
_LOG_FROM = 1.3  # ratio of the highest loss to the lowest below which a linear axis has better ticks
_FAILED = {False: "#c0392b", True: "#ff8a80"}


class Score(NamedTuple):
    """One trial at one rung. value: its validation loss or 1 - accuracy (see `objective`); infinite if it diverged."""

    trial: TrialRecord
    epoch: int
    value: float

    @property
    def finite(self) -> bool:
        """Whether the value can be drawn on an axis."""
        return math.isfinite(self.value)


def scores_at(spec: SweepSpec, trials: Sequence[TrialRecord], rung: int) -> tuple[Score, ...]:
    """Return the scores of the trials measured at a rung (index from 0), in the order of the trials, without copies."""
    found = []
    for trial in trials:
        measured = None if trial.state is TrialState.COPY else measured_at(spec, trial, rung)
        if measured is not None:
            found.append(Score(trial, measured.epoch, objective(spec, measured)))
    return tuple(found)


def shade_numbers(scores: Sequence[Score]) -> tuple[int, ...]:
    """Return each score's shade by rank: 0 for the worst eighth, `SHADES` - 1 for the best, -1 if it diverged."""
    finite = sorted((score.value, at) for at, score in enumerate(scores) if score.finite)
    shades = [-1] * len(scores)
    for place, (_, at) in enumerate(finite):
        shades[at] = SHADES - 1 - place * SHADES // len(finite)
    return tuple(shades)


def shade(number: int, *, dark: bool) -> str:
    """Return the colour of a shade; -1 is the shade of diverged trials."""
    if number < 0:
        return _FAILED[dark]
    share = number / (SHADES - 1)
    mixed = (round(a + (b - a) * share) for a, b in zip(_WORST[dark], _BEST[dark], strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def shaded_markers(numbers: Sequence[int], *, dark: bool) -> dict[str, Any]:
    """Return Plotly's colour settings for markers with these shades, none of which is -1.

    The colours are numbers on a scale, because Plotly validates every colour string, which dominated the drawing time.
    """
    ends = [[0.0, shade(0, dark=dark)], [1.0, shade(SHADES - 1, dark=dark)]]  # `shade` interpolates between these two
    return {"color": np.array(numbers, dtype=np.uint8), "colorscale": ends, "cmin": 0, "cmax": SHADES - 1}


def objective_title(spec: SweepSpec) -> str:
    """Return the title of the y axis."""
    return "Validation error" if spec.by_accuracy else "Validation loss"


def value_axis(values: Iterable[float]) -> dict[str, Any]:
    """Return Plotly's settings of an axis for losses: logarithmic if all are positive, unless they are nearly equal.

    Around a single value, Plotly's default axis would extend to 1 below it, and so below 0.
    """
    known = list(values)
    if not known or min(known) <= 0 or max(known) < _LOG_FROM * min(known):
        return {"type": "linear", "rangemode": "nonnegative" if len(set(known)) > 1 else "tozero"}
    ticks = log_ticks(math.log10(min(known)), math.log10(max(known)))
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
