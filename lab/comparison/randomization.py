"""Exact randomization tests of a shift between two groups, and the corresponding confidence intervals.

Nothing is assumed about the distribution of the values. The interval contains every shift that the test does not reject
(inversion), so it excludes 0 exactly if the test finds a difference; `scipy.stats.permutation_test` has no interval.
The test uses all reassignments if there are few, else a fixed random sample that includes the observed one.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

EXACT_UP_TO = 50_000  # reassignments, such as all C(18, 9) = 48,620
DRAWS = 10_000  # sample size otherwise: the standard error of a p of 0.05 is 0.002
_SEED = 20_261_128  # so that the same runs always get the same p
_TIE = 1e-9  # relative difference below which two statistics are equal except for rounding
_ROUNDING = 1e-12  # share of the sum of squares below which a variance is 0
_HALVINGS = 30  # the ends are exact to a billionth of the initial search interval


class Tails(NamedTuple):
    """Shares of all reassignments whose statistic is at least (upper) and at most (lower) the observed one."""

    lower: float
    upper: float

    @property
    def p(self) -> float:
        """The two-sided p-value: twice the smaller tail."""
        return min(1.0, 2 * min(self.lower, self.upper))


@dataclass(frozen=True, slots=True)
class IndependentGroups:
    """The design of two independent groups: any value could have been in either. estimate: mean of b minus mean of a.

    The statistic is Welch's t. With groups of equal size it ranks the reassignments like the difference of the means.
    With unequal sizes, the test would reject too often if the smaller group varies more (12 % at 5 + 10 runs and 3 : 1,
    `docs/benchmarks.md`). Welch's t test must then agree: the larger of the two tails counts.

    Every array has one entry per reassignment, the observed one first. They describe the values that a reassignment
    puts into b, each minus the mean of its original group. sums: their sum. squares: the sum of their squares. of_b:
    how many of them are originally from b. sums_of_b: the sum of those. With them, testing a shift takes a few
    operations. total: the sum of squares of all values.
    """

    n_a: int
    n_b: int
    estimate: float
    total: float
    sums: np.ndarray
    squares: np.ndarray
    of_b: np.ndarray
    sums_of_b: np.ndarray
    exact: bool

    def tails(self, shift: float) -> Tails:
        """Return the tails of Welch's t after subtracting `shift` from every value of b."""
        from scipy.special import stdtr  # here, so that the help of `compare` does not wait for SciPy

        apart = self.estimate - shift  # what to add to the centred values of b
        sums_b = self.sums + apart * self.of_b
        squares_b = self.squares + 2 * apart * self.sums_of_b + apart**2 * self.of_b
        mean_b, mean_a = sums_b / self.n_b, (apart * self.n_b - sums_b) / self.n_a
        total = self.total + apart**2 * self.n_b
        variance_b = (squares_b - self.n_b * mean_b**2) / (self.n_b - 1)
        variance_a = (total - squares_b - self.n_a * mean_a**2) / (self.n_a - 1)
        error = variance_a / self.n_a + variance_b / self.n_b
        difference = mean_b - mean_a
        constant = error <= _ROUNDING * total  # equal values within both groups
        t = difference / np.sqrt(np.where(constant, 1.0, error))
        t = np.where(constant & (difference != 0), np.copysign(np.inf, difference), t)
        tails = _tails(t, scale=1.0)
        if self.n_a == self.n_b or constant[0]:
            return tails
        of_a, of_b = variance_a[0] / self.n_a, variance_b[0] / self.n_b
        freedom = (of_a + of_b) ** 2 / (of_a**2 / (self.n_a - 1) + of_b**2 / (self.n_b - 1))
        lower, upper = float(stdtr(freedom, t[0])), float(stdtr(freedom, -t[0]))
        return Tails(lower=max(tails.lower, lower), upper=max(tails.upper, upper))


@dataclass(frozen=True, slots=True)
class Pairs:
    """The design of pairs: each difference b - a could have had the opposite sign. estimate: the mean difference.

    sums: the sum of the differences with the signs of each reassignment, the observed one first. signs: the sum of the
    signs.
    """

    estimate: float
    sums: np.ndarray
    signs: np.ndarray
    exact: bool

    def tails(self, shift: float) -> Tails:
        """Return the tails of the mean after subtracting `shift` from every difference."""
        statistic = self.sums - shift * self.signs
        return _tails(statistic, scale=float(np.abs(statistic).max()))


def _tails(statistic: np.ndarray, *, scale: float) -> Tails:
    observed = float(statistic[0])
    room = _TIE * (abs(observed) + scale) if math.isfinite(observed) else 0.0
    return Tails(lower=float(np.mean(statistic <= observed + room)), upper=float(np.mean(statistic >= observed - room)))


def independent_groups(a: np.ndarray, b: np.ndarray) -> IndependentGroups:
    """Return the design of two groups a (n_a,) and b (n_b,) of at least two values each."""
    chosen, exact = _choices(len(a), len(b))
    values = np.concatenate([a - a.mean(), b - b.mean()])[chosen]
    from_b = chosen >= len(a)
    return IndependentGroups(
        n_a=len(a),
        n_b=len(b),
        estimate=float(b.mean() - a.mean()),
        total=float(((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()),
        sums=values.sum(axis=1),
        squares=(values**2).sum(axis=1),
        of_b=from_b.sum(axis=1),
        sums_of_b=(values * from_b).sum(axis=1),
        exact=exact,
    )


@lru_cache(maxsize=8)
def _choices(n_a: int, n_b: int) -> tuple[np.ndarray, bool]:
    """Return the indices of the values in b, int (reassignments, n_b), observed ones first, and whether these are all.

    The values of a have the indices from 0, those of b the ones from n_a.
    """
    n = n_a + n_b
    if math.comb(n, n_b) <= EXACT_UP_TO:
        return np.array(list(itertools.combinations(range(n - 1, -1, -1), n_b))), True
    drawn = np.argpartition(np.random.default_rng(_SEED).random((DRAWS, n)), n_b, axis=1)[:, :n_b]
    drawn[0] = range(n_a, n)
    return drawn, False


def pairs(a: np.ndarray, b: np.ndarray) -> Pairs:
    """Return the design of the pairs (a[i], b[i])."""
    n = len(a)
    exact = 2**n <= EXACT_UP_TO
    if exact:
        signs = 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = np.random.default_rng(_SEED).choice([-1.0, 1.0], size=(DRAWS, n))
        signs[0] = 1.0
    differences = b - a
    return Pairs(float(differences.mean()), signs @ differences, signs.sum(axis=1), exact=exact)


def confidence_interval(design: IndependentGroups | Pairs, *, scale: float, level: float = 0.95) -> tuple[float, float]:
    """Return the lowest and highest shift that the two-sided test does not reject.

    scale: the range of the values, the first step of the search. Raises `ValueError` if no shift is rejected, because
    the least p that the design can reach is not below 1 - level.
    """
    half = (1 - level) / 2
    return (
        -_end(lambda shift: design.tails(-shift).upper <= half, -design.estimate, scale),
        _end(lambda shift: design.tails(shift).lower <= half, design.estimate, scale),
    )


def _end(rejects: Callable[[float], bool], estimate: float, scale: float) -> float:
    """Return the highest shift above the estimate that is not rejected; 0 is inside exactly if the test accepts it."""
    inside = estimate
    if estimate < 0:
        if rejects(0.0):
            return _bisect(rejects, inside, 0.0)
        inside = 0.0
    step = scale or 1e-6 * max(1.0, abs(estimate))
    for _ in range(60):
        if rejects(inside + step):
            return _bisect(rejects, inside, inside + step)
        inside, step = inside + step, 2 * step
    raise ValueError("this design rejects no shift at this level")


def _bisect(rejects: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if rejects(middle):
            outside = middle
        else:
            inside = middle
    return inside
