"""The verdict on two groups of values, and on two networks' answers to the same images: the tests and what they say.

The difference is always b minus a. "yes" means that the two-sided p-value is at most 5 % and says nothing about which
side is better; the sign of the difference does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
from scipy.special import bdtr

from lab.comparison.folds import corrected_t_test
from lab.comparison.randomization import confidence_interval, independent_groups, pairs

LEVEL = 0.95  # of the interval; the p-value is held against 1 - LEVEL
LEAST_RUNS = 5  # of each group
LEAST_FOLDS = 5  # of each side, each with the same fold of the other
LEAST_PAIRS = 6  # where the test is of pairs: 5 of them cannot go below p = 0.06
PAIRS_FROM = 8  # equal seeds are treated as pairs from here on: `docs/decisions.md` has the reason

FOLD_TEST = "corrected resampled t-test"


class Answer(StrEnum):
    """What can be said about a difference."""

    YES = "yes"
    NO = "no difference shown"
    FEW = "not enough runs"


class Design(StrEnum):
    """What is compared with what."""

    GROUPS = "groups"
    PAIRS = "pairs"  # of runs with equal seeds
    FOLDS = "folds"  # the same folds on both sides
    IMAGES = "images"  # two networks on the same test images


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on b against a; values are shares in [0, 1].

    difference: mean of b minus mean of a, None where one has no value. low, high: its 95 % interval. p: two-sided. test: its name, for people. low, high and p are None where there
    are not enough runs; chance is then the least p that so few could reach, 1 where there is none; of folds it is always None. adjusted: p after Holm's
    correction, None where nothing else was compared.
    """

    verdict: Answer
    difference: float | None
    low: float | None
    high: float | None
    n_a: int
    n_b: int
    p: float | None
    test: str
    design: Design = Design.GROUPS
    chance: float | None = None
    adjusted: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON answers show it; the first eight keys are fixed."""
        names = ("difference", "low", "high", "n_a", "n_b", "p", "test", "design", "chance", "adjusted")
        return {"verdict": self.verdict.value, **{name: getattr(self, name) for name in names}}


def compare_values(a: Sequence[float], b: Sequence[float], *, paired: bool = False) -> Verdict:
    """Return the verdict on two groups of finite values, one a run. paired: a[i] and b[i] belong together.

    Raises `ValueError` for a value that is not finite, and for pairs of unequal number.
    """
    return _compare(tuple(map(float, a)), tuple(map(float, b)), paired)


@lru_cache(maxsize=512)  # a page asks for the same verdicts at every rerun
def _compare(a: tuple[float, ...], b: tuple[float, ...], paired: bool) -> Verdict:
    x, y = np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a value is not finite")
    if paired and x.size != y.size:
        raise ValueError(f"pairs of {x.size} and {y.size} values")
    name, kind = ("sign-flip test of pairs", Design.PAIRS) if paired else ("permutation test", Design.GROUPS)
    difference = fmean(y) - fmean(x) if x.size and y.size else None
    if min(x.size, y.size) < (LEAST_PAIRS if paired else LEAST_RUNS):
        chance = least_p(x.size, y.size, paired=paired)
        return Verdict(Answer.FEW, difference, None, None, x.size, y.size, None, name, kind, chance)
    design = pairs(x, y) if paired else independent_groups(x, y)
    p = design.tails(0.0).p
    low, high = confidence_interval(design, scale=float(np.ptp(np.concatenate([x, y]))), level=LEVEL)
    name += "" if design.exact else " (sampled)"
    name += "" if paired or x.size == y.size else " and Welch's t test"
    return Verdict(_answer(p), difference, low, high, x.size, y.size, p, name, kind)


def compare_folds(a: Sequence[float], b: Sequence[float], *, folds: int) -> Verdict:
    """Return the verdict on two settings from k-fold cross-validation: a[i] and b[i] were measured on the same held-out fold.

    folds: k. The test is `lab.comparison.folds.corrected_t_test`. Raises `ValueError` for a value that is not finite, and for sides
    of unequal number.
    """
    x, y = np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a value is not finite")
    if x.size != y.size:
        raise ValueError(f"folds of {x.size} and {y.size} values")
    difference = fmean(y) - fmean(x) if x.size else None
    if x.size < LEAST_FOLDS:
        return Verdict(Answer.FEW, difference, None, None, x.size, y.size, None, FOLD_TEST, Design.FOLDS)
    found = corrected_t_test(y - x, folds=folds, level=LEVEL)
    answer = _answer(found.p)
    return Verdict(answer, difference, found.low, found.high, x.size, y.size, found.p, FOLD_TEST, Design.FOLDS)


def least_p(n_a: int, n_b: int, *, paired: bool = False) -> float:
    """Return the least two-sided p that so many runs can reach: every run of one better than every run of the other."""
    return min(1.0, 2 / (2**n_a if paired else math.comb(n_a + n_b, n_a)))


def compare_answers(right_a: np.ndarray, right_b: np.ndarray) -> Verdict:
    """Return McNemar's exact verdict on two networks from whether each answered the same images right, bool (N,).

    Only images on which one is right and the other wrong count. The interval is that of Bonett and Price (2012,
    doi:10.3102/1076998611411915), widened to 0 where the test does not exclude 0. Raises `ValueError` for no images or
    different numbers of them.
    """
    if right_a.shape != right_b.shape or not right_a.size:
        raise ValueError(f"answers of shapes {right_a.shape} and {right_b.shape}")
    images = right_a.size
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))  # binomial: a coin for every such image
    share_a, share_b = (only_a + 1) / (images + 2), (only_b + 1) / (images + 2)
    error = math.sqrt((share_a + share_b - (share_b - share_a) ** 2) / (images + 2))
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    low, high = max(-1.0, share_b - share_a - reach), min(1.0, share_b - share_a + reach)
    if p > 1 - LEVEL:
        low, high = min(low, 0.0), max(high, 0.0)
    difference = (only_b - only_a) / images
    return Verdict(_answer(p), difference, low, high, 1, 1, p, "McNemar's exact test", Design.IMAGES)


def correct(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Return the verdicts on several comparisons, made together: Holm's step-down correction of their p-values.

    An interval stays that of its comparison alone. Verdicts without a p-value are not counted and stay as they are.
    """
    judged = sorted((at for at, one in enumerate(verdicts) if one.p is not None), key=lambda at: verdicts[at].p or 0.0)
    corrected, highest = list(verdicts), 0.0
    for place, at in enumerate(judged):
        highest = max(highest, min(1.0, (len(judged) - place) * (verdicts[at].p or 0.0)))
        corrected[at] = replace(verdicts[at], verdict=_answer(highest), adjusted=highest)
    return tuple(corrected)


def sampling_error(share: float, images: int) -> float:
    """Return the standard error of an accuracy measured on so many images: what another test set would change."""
    return math.sqrt(max(0.0, share * (1 - share)) / images)


def _answer(p: float) -> Answer:
    return Answer.YES if p <= 1 - LEVEL + 1e-12 else Answer.NO
