"""The smoothed line: a centred mean over neighbouring steps, the same on the live view and on the Runs page.

A running mean lags, which makes training look worse than validation while both improve; a centred mean does not. It
invents no value either: the first point is the measured one. Long series are smoothed over the means of their buckets
(`thinning`). `smoothing.js` does the same for a growing chart; `tests/cases/smoothing.json` tests both.
"""

import numpy as np

from lab.charts.thinning import Thinned

SPANS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # steps; 1 means no smoothing
USUAL_SPAN = 20


def centred_mean(value: np.ndarray, span: int, at: np.ndarray) -> np.ndarray:
    """Return the mean of about `span` values around each index in `at`, ignoring non-finite values.

    The window shrinks towards both ends; at the newest value it still reaches back a quarter of half the span. A
    non-finite value is returned unchanged. Each window is summed separately, because differences of running sums would
    lose small values after a huge one.
    """
    half = span // 2
    if half < 1 or not at.size:
        return np.asarray(value[at], dtype=np.float64)
    finite = np.isfinite(value)
    right = np.minimum.reduce([np.full(at.size, half), at, value.size - 1 - at])
    left = np.minimum(at, np.maximum(right, half // 4))
    edges = np.stack([at - left, at + right + 1], axis=1).ravel()
    filled = np.append(np.where(finite, value, 0.0), 0.0)  # reduceat needs an index for the end of the last window
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        sums = np.add.reduceat(filled, edges)[::2]
        means = sums / np.add.reduceat(np.append(finite, False).astype(np.int64), edges)[::2]
    smoothed: np.ndarray = np.where(finite[at], means, value[at])
    return smoothed


def smoothed_means(thinned: Thinned, span: int) -> np.ndarray:
    """Return the smoothed value of every bucket; a bucket of n steps counts for n steps of the span."""
    half = span // thinned.width // 2
    return centred_mean(thinned.mean, 2 * half, np.arange(thinned.mean.size))


def nearest_span(weight: float) -> int:
    """Return the span that smooths as much as an exponential mean with this weight, which older links contain."""
    equivalent = (1 + weight) / (1 - weight)
    return min(SPANS, key=lambda span: abs(np.log(span / equivalent)))
