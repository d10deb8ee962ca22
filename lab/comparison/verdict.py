"""The verdict on two groups of values, and on two networks' predictions for the same images.

The difference is always b minus a. "yes" means that the two-sided p-value is at most 5 %; the sign of the difference
tells which side is better.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist, fmean
from typing import Any

import numpy as np

from lab.comparison.folds import corrected_t_test
from lab.comparison.randomization import confidence_interval, independent_groups, pairs

LEVEL = 0.95  # confidence level of the interval; the p-value is compared with 1 - LEVEL
MIN_RUNS = 5  # per group
MIN_FOLDS = 5  # that both sides have in common
MIN_PAIRS = 6  # for a test of pairs: 5 of them cannot reach a p below 0.06
PAIRS_FROM = 8  # fewest equal seeds that are treated as pairs by default: see `docs/decisions.md`

FOLD_TEST = "corrected resampled t-test"


class Answer(StrEnum):
    """The conclusion on a difference."""

    YES = "yes"
    NO = "no difference shown"
    FEW = "not enough runs"


class Design(StrEnum):
    """The units that a test compares."""

    GROUPS = "groups"
    PAIRS = "pairs"  # of runs with equal seeds
    FOLDS = "folds"  # the same folds on both sides
    IMAGES = "images"  # two networks on the same test images


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on b against a; values are shares in [0, 1].

    difference: mean of b minus mean of a, None if one has no value. low, high: its 95 % interval. p: two-sided p-value.
    test: display name of the test. If there are not enough runs, low, high and p are None, and chance is the least p
    that so few runs could reach, at most 1 (always None for folds). adjusted: p after Holm's correction, None for a
    single comparison.
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
        """Return the verdict as a JSON object; scripts rely on the first eight keys."""
        names = ("difference", "low", "high", "n_a", "n_b", "p", "test", "design", "chance", "adjusted")
        return {"verdict": self.verdict.value, **{name: getattr(self, name) for name in names}}


def compare_values(a: Sequence[float], b: Sequence[float], *, paired: bool = False) -> Verdict:
    """Return the verdict on two groups of finite values, one per run. paired: whether a[i] and b[i] are a pair.

    Raises `ValueError` for a non-finite value, and for pairs of unequal number.
    """
    return _compare(tuple(map(float, a)), tuple(map(float, b)), paired)


@lru_cache(maxsize=512)  # pages request the same verdicts at every rerun
def _compare(a: tuple[float, ...], b: tuple[float, ...], paired: bool) -> Verdict:
    x, y = np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a value is not finite")
    if paired and x.size != y.size:
        raise ValueError(f"pairs of {x.size} and {y.size} values")
    name, kind = ("sign-flip test of pairs", Design.PAIRS) if paired else ("permutation test", Design.GROUPS)
    difference = fmean(y) - fmean(x) if x.size and y.size else None
    if min(x.size, y.size) < (MIN_PAIRS if paired else MIN_RUNS):
        chance = least_p(x.size, y.size, paired=paired)
        return Verdict(Answer.FEW, difference, None, None, x.size, y.size, None, name, kind, chance)
    design = pairs(x, y) if paired else independent_groups(x, y)
    p = design.tails(0.0).p
    low, high = confidence_interval(design, scale=float(np.ptp(np.concatenate([x, y]))), level=LEVEL)
    name += "" if design.exact else " (sampled)"
    name += "" if paired or x.size == y.size else " and Welch's t test"
    return Verdict(_answer(p), difference, low, high, x.size, y.size, p, name, kind)


def compare_folds(a: Sequence[float], b: Sequence[float], *, folds: int) -> Verdict:
    """Return the verdict on two settings from k-fold cross-validation: a[i] and b[i] are of the same held-out fold.

    folds: k. The test is `lab.comparison.folds.corrected_t_test`. Raises `ValueError` for a non-finite value, and for
    sides of unequal number.
    """
    x, y = np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a value is not finite")
    if x.size != y.size:
        raise ValueError(f"folds of {x.size} and {y.size} values")
    difference = fmean(y) - fmean(x) if x.size else None
    if x.size < MIN_FOLDS:
        return Verdict(Answer.FEW, difference, None, None, x.size, y.size, None, FOLD_TEST, Design.FOLDS)
    found = corrected_t_test(y - x, folds=folds, level=LEVEL)
    answer = _answer(found.p)
    return Verdict(answer, difference, found.low, found.high, x.size, y.size, found.p, FOLD_TEST, Design.FOLDS)


def least_p(n_a: int, n_b: int, *, paired: bool = False) -> float:
    """Return the least two-sided p that these numbers of runs can reach, with all runs of one side better."""
    return min(1.0, 2 / (2**n_a if paired else math.comb(n_a + n_b, n_a)))


def compare_answers(right_a: np.ndarray, right_b: np.ndarray) -> Verdict:
    """Return the verdict of McNemar's exact test on two networks. right_a, right_b: correct predictions, bool (N,).

    Only images that exactly one network classifies correctly count. The interval is that of Bonett and Price (2012,
    doi:10.3102/1076998611411915), widened to include 0 if the test does not exclude it. Raises `ValueError` for no
    images or different numbers of them.
    """
    from scipy.special import bdtr  # here, so that the help of `compare` does not wait for SciPy

    if right_a.shape != right_b.shape or not right_a.size:
        raise ValueError(f"answers of shapes {right_a.shape} and {right_b.shape}")
    images = right_a.size
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))  # binomial: one coin toss per such image
    share_a, share_b = (only_a + 1) / (images + 2), (only_b + 1) / (images + 2)
    error = math.sqrt((share_a + share_b - (share_b - share_a) ** 2) / (images + 2))
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    low, high = max(-1.0, share_b - share_a - reach), min(1.0, share_b - share_a + reach)
    if p > 1 - LEVEL:
        low, high = min(low, 0.0), max(high, 0.0)
    difference = (only_b - only_a) / images
    return Verdict(_answer(p), difference, low, high, 1, 1, p, "McNemar's exact test", Design.IMAGES)


def correct(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Return the verdicts on several comparisons with Holm's step-down correction of their p-values.

    Intervals are not corrected. Verdicts without a p-value are not counted and stay unchanged.
    """
    judged = sorted((at for at, one in enumerate(verdicts) if one.p is not None), key=lambda at: verdicts[at].p or 0.0)
    corrected, highest = list(verdicts), 0.0
    for place, at in enumerate(judged):
        highest = max(highest, min(1.0, (len(judged) - place) * (verdicts[at].p or 0.0)))
        corrected[at] = replace(verdicts[at], verdict=_answer(highest), adjusted=highest)
    return tuple(corrected)


def sampling_error(share: float, images: int) -> float:
    """Return the standard error of an accuracy over test sets with this number of images."""
    return math.sqrt(max(0.0, share * (1 - share)) / images)


def _answer(p: float) -> Answer:
    return Answer.YES if p <= 1 - LEVEL + 1e-12 else Answer.NO
