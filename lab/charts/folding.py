"""Repeats of one setting (runs that differ in seed or fold) as one line: their mean, with a band from three runs on.

The band is one standard deviation wide on each side of the mean.
"""

from collections.abc import Sequence

import numpy as np

from lab.charts.lines import NONE, Line, Measured
from lab.spread import MIN_VALUES


def fold(group: Sequence[Sequence[Line]], *, label: str) -> list[Line]:
    """Return the lines of several runs folded into one set of lines with one label."""
    folded = []
    for first in group[0]:
        same = (first.kind, first.before_fork)
        members = [line for lines in group for line in lines if (line.kind, line.before_fork) == same and line.x.size]
        folded.append((_folded(members[0], members) if len(members) > 1 else first)._replace(label=label))
    return folded


def _folded(first: Line, members: Sequence[Line]) -> Line:
    x = _common_x(members)
    values = np.stack([_at(line, x) for line in members])
    values = np.where(np.isfinite(values), values, np.nan)  # the mean has a gap where any value is not finite
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
    # On a logarithmic axis the band must stay positive, so it does not go below the lowest positive value.
    low = np.where((mean - spread <= 0) & (values.min(axis=0) > 0), values.min(axis=0), mean - spread)
    return first._replace(
        runs=tuple(run for line in members for run in line.runs),
        x=x,
        y=mean,
        low=low if len(members) >= MIN_VALUES else NONE,
        high=mean + spread if len(members) >= MIN_VALUES else NONE,
        raw_x=NONE,
        raw_y=NONE,
        non_finite=tuple(mark for line in members for mark in line.non_finite),
        total=sum(line.total for line in members),
        measured=Measured(x, mean, NONE),
        dropped=_mean_dropped(members),
    )


def _mean_dropped(members: Sequence[Line]) -> tuple[tuple[int, float], ...]:
    """Return the dropped steps with the mean of their values, if all members dropped the same steps, else nothing."""
    steps = [[step for step, _ in line.dropped] for line in members]
    if not steps[0] or any(other != steps[0] for other in steps):
        return ()
    values = np.array([[value for _, value in line.dropped] for line in members])
    return tuple(zip(steps[0], values.mean(axis=0).tolist(), strict=True))


def _common_x(members: Sequence[Line]) -> np.ndarray:
    start = max(line.x[0] for line in members)
    end = min(line.x[-1] for line in members)
    x: np.ndarray = members[0].x
    inside: np.ndarray = x[(x >= start) & (x <= end)]
    return inside


def _at(line: Line, x: np.ndarray) -> np.ndarray:
    """Return a line's values at these x positions; next to a non-finite value the interpolation is NaN."""
    if line.x.size == x.size and np.array_equal(line.x, x):
        return line.y
    y = np.where(np.isfinite(line.y), line.y, np.nan)
    between: np.ndarray = np.interp(x, line.x, y)
    return between
