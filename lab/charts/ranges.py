"""The ends of an axis, chosen so that a diverged run does not flatten the others.

Losses start near the level of guessing. Values up to FAR times that level are sound, and the axis shows all of them.
Only if some lie beyond it, the axis is fitted to the curves that stay within, and the others leave the chart: each
stretch beyond the edge is an `Excursion`, which is marked and described in a note. Like all linear axes of losses, such
an axis includes 0: magnified to 2.29 to 2.31, a run that only guesses would look like one that learns.
"""

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lab.formatting import format_short

FAR = 20.0  # times the starting level: farther than any sound loss rises above its start
ALONE = 3.0  # times the starting level: the end of the axis if there is no sound curve
TYPICAL = 1.5  # times the median of the values: the end of the axis if most of them lie beyond ALONE
LARGEST = 1e300  # largest value considered, so that the ends of an axis stay finite
BESIDE = 1.5  # times the starting level: the end of the axis if there are sound curves, which are shown completely
MIN_LEVEL = 1.0  # lowest starting level: a loss that starts lower is not judged by its start
MARGIN = 0.05  # share of the axis, above and below the curves
MAX_MARKS = 40  # per curve
_TICKS: tuple[tuple[float, tuple[float, ...]], ...] = (  # multiples of the powers of ten, by the number of decades
    (3.0, (1,)),
    (1.0, (1, 2, 5)),
    (0.5, (1, 1.5, 2, 3, 5, 7)),
    (-math.inf, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)),
)


class Limits(NamedTuple):
    """The lowest and highest values that an axis shows; values beyond them are marked at the edge."""

    low: float
    high: float


class Excursion(NamedTuple):
    """A stretch of values beyond the axis: its first index in the series, its most extreme value, and the edge."""

    at: int
    value: float
    above: bool


def sound_limits(curves: Sequence[np.ndarray], raw: Sequence[np.ndarray] = ()) -> Limits | None:
    """Return the limits, which include 0, for curves and the raw values behind them; None if all are sound."""
    finite = [part[np.isfinite(part)] for part in (*curves, *raw)]
    starts = sorted(float(np.abs(part[0])) for part in finite if part.size)
    if not starts:
        return None
    level = max(MIN_LEVEL, starts[(len(starts) - 1) // 2])
    is_sound = [_within(part, _reach(part, level)).all() for part in finite]
    if all(is_sound):
        return None
    beside = any(well and part.size for part, well in zip(finite[: len(curves)], is_sound))
    sound = [part for part, well in zip(finite, is_sound) if well and part.size]
    reach = max([(BESIDE if beside else ALONE) * level, *(float(np.abs(part).max()) for part in sound)])
    if not beside:
        reach = max(reach, _typical(np.abs(np.concatenate(finite)), reach))
    shown = np.concatenate([part[_within(part, reach)] for part in finite])
    return Limits(min(0.0, float(shown.min())), max(0.0, float(shown.max()))) if shown.size else None


def share_limits(curves: Sequence[np.ndarray]) -> Limits | None:
    """Return [0, 1] as the limits of accuracies if some value is outside, else None."""
    outside = any(((part < 0) | (part > 1))[np.isfinite(part)].any() for part in curves)
    return Limits(0.0, 1.0) if outside else None


def excursions(value: np.ndarray, limits: Limits | None, *, log: bool = False) -> tuple[Excursion, ...]:
    """Return the stretches of finite values that the axis does not show, at most the MAX_MARKS largest.

    log: whether the axis is logarithmic, in which case values of 0 or less are below its lower edge.
    """
    low, high = limits or (-np.inf, np.inf)
    finite = np.isfinite(value)
    above = finite & (value > high)
    below = finite & ((value < low) | (log & (value <= 0)))
    found = [*_stretches(value, above, above=True), *_stretches(value, below, above=False)]
    if len(found) > MAX_MARKS:
        found = sorted(found, key=lambda one: -abs(one.value))[:MAX_MARKS]
    return tuple(sorted(found))


def leaving_words(found: Sequence[Excursion], where: str) -> str:
    """Return where a curve leaves the chart and how far it goes: "leaves the chart at step 120 and reaches 2.5T".

    found: all excursions of the curve, at least one.
    """
    return f"leaves the chart at {where} and reaches {format_short(max((one.value for one in found), key=abs))}"


def axis_range(limits: Limits, lowest_positive: float, *, log: bool) -> tuple[float, float]:
    """Return the ends of the axis with a margin, as powers of ten if it is logarithmic."""
    low, high = limits
    if log:
        low, high = float(np.log10(max(low, lowest_positive))), float(np.log10(max(high, lowest_positive)))
    padding = MARGIN * (high - low) or MARGIN
    return low - padding, high + padding


def _reach(part: np.ndarray, level: float) -> float:
    """Return the highest sound value of a curve. A high start (images not normalised) raises it, up to a point."""
    own = float(np.abs(part[0])) if part.size else 0.0
    return FAR * (max(level, own) if own <= FAR * FAR * level else level)


def _typical(sizes: np.ndarray, reach: float) -> float:
    """Return the end of an axis that shows typical values if most of them lie beyond `reach`, else 0."""
    return TYPICAL * float(np.median(np.minimum(sizes, LARGEST))) if np.mean(sizes > reach) > 0.5 else 0.0


def _within(part: np.ndarray, reach: float) -> np.ndarray:
    inside: np.ndarray = np.abs(part) <= reach
    return inside


def _stretches(value: np.ndarray, beyond: np.ndarray, *, above: bool) -> list[Excursion]:
    starts = np.flatnonzero(beyond & ~np.append(False, beyond[:-1]))
    if not starts.size:
        return []
    extreme = np.maximum if above else np.minimum
    # reduceat also covers the shown values after a stretch, so they are filled with values that never win.
    filled = np.where(beyond, value, -np.inf if above else np.inf)
    return [Excursion(int(i), float(v), above) for i, v in zip(starts, extreme.reduceat(filled, starts), strict=True)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values for a range in decimal logarithms: powers of ten, with more in between if there are few."""
    factors = next(factors for decades, factors in _TICKS if high - low > decades)
    first = max(
        math.floor(low), sys.float_info.min_10_exp
    )  # smaller powers lose digits down to 0, larger ones overflow
    last = min(math.ceil(high), sys.float_info.max_10_exp)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    return [tick for tick in ticks if tick < math.inf]
