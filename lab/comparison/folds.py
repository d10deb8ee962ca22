"""The corrected resampled t-test: two settings on the same folds of k-fold cross-validation.

Folds share training images, so their accuracies are not independent: the variance of the differences between folds alone
says too little about what other images would give, and a plain paired t-test finds differences that are not there. No unbiased
estimate of that variance exists (Bengio and Grandvalet 2004); the correction takes the correlation of two folds for the
share of the images that is held out.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit


class FoldTest(NamedTuple):
    """p: two-sided. low, high: the interval of the mean difference at the level asked for."""

    p: float
    low: float
    high: float


def corrected_t_test(differences: np.ndarray, *, folds: int, level: float = 0.95) -> FoldTest:
    """Return the corrected resampled t-test of Nadeau and Bengio (2003, Machine Learning 52, equation 9).

    differences: float (J,), b - a of each fold, at least 2; with several seeds, folds of each (repeated k-fold, Bouckaert and
    Frank 2004). folds: k. The variance of their mean is taken for (1/J + n2/n1) times their own, where n2/n1 =
    1/(k - 1) is held-out images to training images, and t has J - 1 degrees of freedom. Equal differences leave no doubt: p is 0,
    or 1 where all of them are 0.
    """
    count = len(differences)
    mean = float(differences.mean())
    error = math.sqrt((1 / count + 1 / (folds - 1)) * float(differences.var(ddof=1)))
    if error <= 1e-12 * abs(mean):  # equal but for rounding
        return FoldTest(1.0 if mean == 0 else 0.0, mean, mean)
    reach = float(stdtrit(count - 1, (1 + level) / 2)) * error
    p = 2 * float(stdtr(count - 1, -abs(mean) / error))
    return FoldTest(p, mean - reach, mean + reach)
