"""Error rate and power of verdicts: `python -m benchmarks.verdicts [--repeats 2000]`.

Every row draws `--repeats` comparisons from known distributions and counts the "yes" answers of `compare_values`,
called as by the page and the command line, and those of other tests on the same values. Values are in units of the
standard deviation of one setting over its seeds. Without a difference, the share of "yes" should be at most 5 %; with
one, it is the power.

`--trained 20` instead trains small networks with that many seeds, and prints how strongly the accuracies of equal seeds
are correlated between two settings: this decides from how many seeds on they are treated as pairs.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.markdown_tables import heading, row
from lab.architectures.build import build_network
from lab.comparison.verdict import LEVEL, Answer, compare_values
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.devices import resolve_device
from lab.seeding import seed_everything
from lab.training.engine import train
from lab.training.events import Ended

Draw = Callable[[np.random.Generator, int], np.ndarray]  # n standardised values: mean 0, standard deviation 1
_STEP = 0.5  # spacing of the lattice, in standard deviations: 359 test images and a deviation of 0.6 points


def _normal(random: np.random.Generator, n: int) -> np.ndarray:
    return random.normal(size=n)


def _skewed(random: np.random.Generator, n: int) -> np.ndarray:
    """Return values with a tail towards worse ones, like accuracies near 100 %."""
    return 1.0 - random.exponential(size=n)


def _lattice(random: np.random.Generator, n: int) -> np.ndarray:
    """Return values on a lattice: a small test set has few different accuracies."""
    return np.round(random.normal(size=n) / _STEP) * _STEP


def _failing(random: np.random.Generator, n: int) -> np.ndarray:
    """Return values of which one in ten is 30 deviations lower: a run that did not learn."""
    return random.normal(size=n) - 30.0 * (random.random(n) < 0.1)


@dataclass(frozen=True)
class Case:
    """One row of the table.

    shift: added to b, in deviations. sd_a: standard deviation of a; that of b is 1. correlation: between equal seeds.
    paired: whether equal seeds are compared as pairs.
    """

    name: str
    draw: Draw
    n_a: int
    n_b: int
    shift: float = 0.0
    sd_a: float = 1.0
    correlation: float = 0.0
    paired: bool = False

    def values(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return random values of both groups."""
        a, b = self.draw(random, self.n_a), self.draw(random, self.n_b)
        if self.correlation:
            shared = self.draw(random, self.n_a)
            own, common = (1 - self.correlation) ** 0.5, self.correlation**0.5
            a, b = own * a + common * shared, own * b + common * shared
        return self.sd_a * a, b + self.shift


NONE = (
    Case("normal", _normal, 5, 5),
    Case("skewed", _skewed, 5, 5),
    Case("few different values", _lattice, 5, 5),
    Case("one run in ten fails", _failing, 5, 5),
    Case("normal", _normal, 5, 10),
    Case("skewed", _skewed, 5, 10),
    Case("normal, sd of A 3 times B's", _normal, 5, 5, sd_a=3.0),
    Case("normal, sd of A 3 times B's", _normal, 5, 10, sd_a=3.0),
    Case("equal seeds correlated 0.5, as groups", _normal, 5, 5, correlation=0.5),
    Case("equal seeds correlated 0.5, as pairs", _normal, 8, 8, correlation=0.5, paired=True),
    Case("equal seeds, skewed, as pairs", _skewed, 8, 8, paired=True),
)
SHIFTED = (
    Case("normal", _normal, 5, 5, shift=2.0),
    Case("skewed", _skewed, 5, 5, shift=2.0),
    Case("few different values", _lattice, 5, 5, shift=2.0),
    Case("equal seeds correlated 0.5, as groups", _normal, 5, 5, shift=2.0, correlation=0.5),
    Case("normal", _normal, 6, 6, shift=2.0),
    Case("normal, as pairs", _normal, 6, 6, shift=2.0, paired=True),
    Case("equal seeds correlated 0.5, as groups", _normal, 6, 6, shift=1.0, correlation=0.5),
    Case("equal seeds correlated 0.5, as pairs", _normal, 6, 6, shift=1.0, correlation=0.5, paired=True),
    Case("normal", _normal, 8, 8, shift=1.5),
    Case("normal, as pairs", _normal, 8, 8, shift=1.5, paired=True),
    Case("equal seeds correlated 0.5, as groups", _normal, 8, 8, shift=1.0, correlation=0.5),
    Case("equal seeds correlated 0.5, as pairs", _normal, 8, 8, shift=1.0, correlation=0.5, paired=True),
    Case("normal", _normal, 5, 10, shift=2.0),
    Case("equal seeds correlated 0.2, as groups", _normal, 5, 5, shift=2.0, correlation=0.2),
)


def shares(case: Case, *, repeats: int, seed: int) -> dict[str, float]:
    """Return the share of "yes" from each test."""
    random = np.random.default_rng(seed)
    drawn = [case.values(random) for _ in range(repeats)]
    a, b = (np.array([pair[side] for pair in drawn]) for side in (0, 1))
    yes = [compare_values(x.tolist(), y.tolist(), paired=case.paired).verdict is Answer.YES for x, y in drawn]
    if case.paired:
        others = {"t test": stats.ttest_rel(a, b, axis=1).pvalue, "ranks": stats.wilcoxon(a, b, axis=1).pvalue}
    else:
        others = {
            "Welch": stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue,
            "t test": stats.ttest_ind(a, b, axis=1).pvalue,
            "ranks": stats.mannwhitneyu(a, b, axis=1, method="asymptotic" if case.draw is _lattice else "exact").pvalue,
        }
    return {"verdict": float(np.mean(yes))} | {name: float(np.mean(p <= 1 - LEVEL)) for name, p in others.items()}


TRAINED = RunConfig(dataset="digits", arch="lenet5", epochs=4, batch_size=32, train_limit=700, device="cpu")
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"lr": 2e-3},
    {"batch_size": 16},
    {"label_smoothing": 0.1},
    {"weight_decay": 1e-2},
    {"arch": "lenet-bn"},
)


def trained_accuracies(changes: dict[str, Any], *, seeds: int) -> np.ndarray:
    """Train one setting with several seeds and return the test accuracies in [0, 1], (seeds,)."""
    found = []
    for seed in range(seeds):
        config = TRAINED.replace(**changes, seed=seed)
        device = resolve_device("cpu")
        data = load_resident(config, root=Path(), device=device)  # the built-in digits need no folder
        seed_everything(seed)
        network = build_network(config.arch, classes=data.classes, options=config.arch_options)
        *_, end = train(config, network=network, data=data, device=device)
        assert isinstance(end, Ended)
        found.append(end.summary["test_accuracy"])
    return np.array(found)


def _trained(seeds: int) -> None:
    torch.set_num_threads(1)
    every = {str(changes or "as it is"): trained_accuracies(changes, seeds=seeds) for changes in CHANGES}
    print(heading("setting", "mean test accuracy", "standard deviation, points"))
    for name, values in every.items():
        print(row(name, f"{100 * values.mean():.2f} %", f"{100 * values.std(ddof=1):.2f}"))
    print("\n" + heading("two settings", "correlation of equal seeds"))
    found = []
    for (one, a), (other, b) in itertools.combinations(every.items(), 2):
        found.append(float(np.corrcoef(a, b)[0, 1]))
        print(row(f"{one}, {other}", f"{found[-1]:+.2f}"))
    print(f"\nmean {np.mean(found):+.2f}, from {min(found):+.2f} to {max(found):+.2f}; {seeds} seeds per setting")


def _table(title: str, cases: tuple[Case, ...], *, repeats: int) -> None:
    tests = ("verdict", "Welch", "t test", "ranks")
    print(f"\nShare of yes in {repeats:,} comparisons each\n")
    others = ("Welch's t", "Student's t (pairs: paired t)", "rank test")
    print(heading(title, "runs", "difference, standard deviations", "this lab", *others))
    for at, case in enumerate(cases):
        found = shares(case, repeats=repeats, seed=1_000 + at)
        n = f"{case.n_a} pairs" if case.paired else f"{case.n_a} + {case.n_b}"
        cells = [f"{100 * found[test]:.1f} %" if test in found else "–" for test in tests]
        print(row(case.name, n, f"{case.shift:g}", *cells), flush=True)


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=2_000, help="comparisons per row")
    parser.add_argument(
        "--trained", type=int, default=0, metavar="SEEDS", help="instead train this many seeds per setting"
    )
    options = parser.parse_args()
    if options.trained:
        _trained(options.trained)
        return
    began = time.perf_counter()
    _table("without a difference", NONE, repeats=options.repeats)
    _table("with a difference", SHIFTED, repeats=options.repeats)
    best = (
        1
        - stats.nct.cdf(stats.t.ppf(0.975, 8), 8, 2 * (5 / 2) ** 0.5)
        + stats.nct.cdf(stats.t.ppf(0.025, 8), 8, 2 * (5 / 2) ** 0.5)
    )
    print(
        "\nStudent's t test, the uniformly most powerful unbiased one for normal values, "
        f"5 + 5 at 2 sd: {100 * best:.2f} %"
    )
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
