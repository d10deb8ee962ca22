"""Error rate and power of the verdict on folds: `python -m benchmarks.folds [--repeats 2000]`.

Every repeat draws a data set of two classes, divides it with the lab's own `fold_split`, and trains two settings on
each fold: the same learner on two halves of the features, which are equally good except for `better`. The verdict is
about settings on such data, so every repeat draws new images. For comparison: the plain paired t test on the same
folds, which assumes that they are independent. Learners are 1-nearest-neighbour, which depends on every training image,
and nearest class mean, which hardly does.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.markdown_tables import heading, row
from lab.comparison.verdict import LEVEL, Answer, compare_folds
from lab.training.split import fold_split

Learner = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # x (N, D), y (N,), new x (M, D) -> answers (M,)
FEATURES = 6  # number of features of each setting
APART = 0.5  # distance of the class means in each feature, in standard deviations


def nearest_neighbour(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the label of the nearest training image for each new image."""
    found: np.ndarray = y[((x**2).sum(1)[None] - 2 * new @ x.T).argmin(axis=1)]
    return found


def nearest_mean(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the class with the nearest mean for each new image."""
    means = np.stack([x[y == label].mean(axis=0) for label in (0, 1)])
    found: np.ndarray = ((means**2).sum(1)[None] - 2 * new @ means.T).argmin(axis=1)
    return found


@dataclass(frozen=True)
class Case:
    """One row of the table. better: additional distance of the class means in each feature of B."""

    name: str
    learner: Learner
    images: int
    folds: int
    seeds: int = 1
    better: float = 0.0

    def accuracies(self, random: np.random.Generator) -> tuple[list[float], list[float]]:
        """Return the validation accuracy of A and of B on every fold of one new data set."""
        y = random.integers(0, 2, size=self.images)
        x = random.normal(size=(self.images, 2 * FEATURES))
        x[:, :FEATURES] += APART * y[:, None]
        x[:, FEATURES:] += (APART + self.better) * y[:, None]
        found: tuple[list[float], list[float]] = ([], [])
        for seed in range(self.seeds):
            for fold in range(1, self.folds + 1):
                train, val = fold_split(y, folds=self.folds, fold=fold, seed=seed)
                for side, columns in enumerate((slice(None, FEATURES), slice(FEATURES, None))):
                    answers = self.learner(x[train][:, columns], y[train], x[val][:, columns])
                    found[side].append(float((answers == y[val]).mean()))
        return found


CASES = (
    Case("1-nearest-neighbour", nearest_neighbour, 300, 5),
    Case("1-nearest-neighbour", nearest_neighbour, 300, 10),
    Case("1-nearest-neighbour, two seeds", nearest_neighbour, 300, 5, seeds=2),
    Case("nearest class mean", nearest_mean, 300, 5),
    Case("nearest class mean", nearest_mean, 300, 10),
    Case("1-nearest-neighbour", nearest_neighbour, 300, 5, better=0.25),
    Case("1-nearest-neighbour", nearest_neighbour, 300, 10, better=0.25),
    Case("1-nearest-neighbour, two seeds", nearest_neighbour, 300, 5, seeds=2, better=0.25),
)


def shares(case: Case, *, repeats: int, seed: int) -> tuple[float, float, float]:
    """Return the share of "yes" from the lab and from the plain paired t test, and the mean difference in points."""
    random = np.random.default_rng(seed)
    drawn = [case.accuracies(random) for _ in range(repeats)]
    yes = [compare_folds(a, b, folds=case.folds).verdict is Answer.YES for a, b in drawn]
    differences = np.array([np.subtract(b, a) for a, b in drawn])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / differences.shape[1] ** 0.5)
    p = 2 * stats.t.sf(np.abs(np.nan_to_num(t)), differences.shape[1] - 1)
    return float(np.mean(yes)), float(np.mean(p <= 1 - LEVEL)), 100 * float(differences.mean())


def main() -> None:
    """Print one row per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(heading("learner", "folds", "difference, points", "this lab", "plain paired t"))
    for case in CASES:
        begun = time.process_time()
        lab, plain, points = shares(case, repeats=options.repeats, seed=options.seed)
        took = time.process_time() - begun
        line = row(case.name, case.folds, f"{points:.1f}", f"{lab:.1%}", f"{plain:.1%}")
        print(f"{line}  <!-- {took:.0f} s -->", flush=True)


if __name__ == "__main__":
    main()
