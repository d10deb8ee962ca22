"""Mean and standard deviation of the results of several runs, and their text form."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from lab.formatting import format_percent, plural
from lab.metrics import is_share

MIN_VALUES = 3  # values from which on a standard deviation is shown: that of two values is off by half on average


class Spread(NamedTuple):
    """Mean of n values and their standard deviation (n - 1), None for one value. folds: whether n counts folds."""

    n: int
    mean: float
    sd: float | None
    folds: bool = False

    @property
    def shown_sd(self) -> float | None:
        """The standard deviation to show: None for fewer than `MIN_VALUES` values."""
        return self.sd if self.n >= MIN_VALUES else None


def spread_of(values: Iterable[Any], *, folds: bool = False) -> Spread | None:
    """Return mean and standard deviation of the finite numbers among the values, or None if there are none.

    folds: whether the values belong to folds of the same images (`lab.runs.repeated.are_folds`), which the text form
    states.
    """
    finite = [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
    if not finite:
        return None
    # Not `fmean`: its sum of very large floats overflows although their mean is finite.
    return Spread(len(finite), statistics.mean(finite), _deviation(finite), folds)


def _deviation(finite: Sequence[float]) -> float | None:
    try:
        return statistics.stdev(finite) if len(finite) > 1 else None
    except OverflowError:  # the squares of very large floats
        return math.inf


def format_spread(spread: Spread | None, *, scale: float = 1, digits: int = 1, unit: str = "", of: int = 1) -> str:
    """Return "98.42 ± 0.11 % (n = 5)" or "(5 folds)", "98.42 % (n = 2)", only the mean for one value, a dash for None.

    of: how many values there could have been; if more than one, a single value is written with its n too.
    """
    if spread is None:
        return "–"
    mean = f"{spread.mean * scale:,.{digits}f}"
    if unit == " %":
        mean = format_percent(spread.mean, digits=digits).removesuffix(unit)
    deviation = "" if spread.shown_sd is None else f" ± {spread.shown_sd * scale:,.{digits}f}"
    count = plural(spread.n, "fold") if spread.folds else f"n = {spread.n}"
    return f"{mean}{deviation}{unit}" + (f" ({count})" if max(spread.n, of) > 1 else "")


def format_result(key: str, spread: Spread | None, *, of: int = 1) -> str:
    """Return the spread of a result as text, with the unit and digits of its key, such as "test_accuracy"."""
    if is_share(key):
        return format_spread(spread, scale=100, digits=2, unit=" %", of=of)
    return format_spread(spread, digits=4 if key.endswith("loss") else 1, of=of)
