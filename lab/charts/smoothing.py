"""The smoothed line: a centred mean over neighbouring steps, the same on the live view and on Runs.

It does not lag behind as a running mean does, which makes training look worse than validation while both improve, and
it invents no value: the first point is what was measured. Long series are smoothed over the means of their buckets
(`thinning`); `smoothing.js` does the same for a chart that grows, and both are held to `tests/cases/smoothing.json`.
"""

import numpy as np

from lab.charts.thinning import Thinned

SPANS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # steps; 1 is no smoothing
USUAL_SPAN = 20


def centred_mean(value: np.ndarray, span: int, at: np.ndarray) -> np.ndarray:
    """Return the mean over about `span` values around each index of `at`; values that are not finite count for nothing.

    The window shrinks towards the start, and towards the newest value to a quarter. A value that is not finite stays
    what it is. Windows are summed one by one: differences of running sums would drown small values after a huge one.
    """
    half = span // 2
    if half < 1 or not at.size:
        return np.asarray(value[at], dtype=np.float64)
    finite = np.isfinite(value)
    right = np.minimum.reduce([np.full(at.size, half), at, value.size - 1 - at])
    left = np.minimum(at, np.maximum(right, half // 4))
    edges = np.stack([at - left, at + right + 1], axis=1).ravel()
    filled = np.append(np.where(finite, value, 0.0), 0.0)  # so that a window may end after the last value
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        sums = np.add.reduceat(filled, edges)[::2]
        means = sums / np.add.reduceat(np.append(finite, False).astype(np.int64), edges)[::2]
    smoothed: np.ndarray = np.where(finite[at], means, value[at])
    return smoothed


def smoothed_means(thinned: Thinned, span: int) -> np.ndarray:
    """Return the smoothed value of every bucket; a bucket of n steps counts as n steps of the span."""
    half = span // thinned.width // 2
    return centred_mean(thinned.mean, 2 * half, np.arange(thinned.mean.size))


def nearest_span(weight: float) -> int:
    """Return the span that smooths as much as an exponential mean of this weight: older links carry one."""
    equivalent = (1 + weight) / (1 - weight)
    return min(SPANS, key=lambda span: abs(np.log(span / equivalent)))
