"""The corrected resampled t-test: two settings on the same folds of k-fold cross-validation.

Folds share training images, so their accuracies are not independent: the variance of the differences between folds
underestimates the variance over other images, and a plain paired t-test finds differences that do not exist. There is
no unbiased estimate of that variance (Bengio and Grandvalet 2004); the correction assumes that the correlation between
two folds is the share of images held out.
"""

import math
from typing import NamedTuple

import numpy as np


class FoldTest(NamedTuple):
    """p: two-sided p-value. low, high: the confidence interval of the mean difference at the requested level."""

    p: float
    low: float
    high: float


def corrected_t_test(differences: np.ndarray, *, folds: int, level: float = 0.95) -> FoldTest:
    """Return the result of the corrected resampled t-test (Nadeau and Bengio 2003, Machine Learning 52, equation 9).

    differences: float (J,), b - a of each fold, at least 2; with several seeds, the folds of each (repeated k-fold,
    Bouckaert and Frank 2004). folds: k. The variance of the mean is estimated as (1/J + n2/n1) times that of the
    differences, where n2/n1 = 1/(k - 1) is the ratio of held-out to training images; t has J - 1 degrees of freedom.
    If all differences are equal, p is 0, or 1 if they are 0.
    """
    from scipy.special import stdtr, stdtrit  # here, so that the help of `compare` does not wait for SciPy

    count = len(differences)
    mean = float(differences.mean())
    error = math.sqrt((1 / count + 1 / (folds - 1)) * float(differences.var(ddof=1)))
    if error <= 1e-12 * abs(mean):  # equal except for rounding
        return FoldTest(1.0 if mean == 0 else 0.0, mean, mean)
    reach = float(stdtrit(count - 1, (1 + level) / 2)) * error
    p = 2 * float(stdtr(count - 1, -abs(mean) / error))
    return FoldTest(p, mean - reach, mean + reach)
