"""The verdict on runs: which side is better in headline test accuracy over seeds, or in validation accuracy over folds.

Several settings are compared in all pairs.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from lab.comparison.sides import Side, check_comparable, make_side
from lab.comparison.verdict import PAIRS_FROM, Verdict, compare_folds, compare_values, correct, sampling_error
from lab.config.repeats import setting_key
from lab.errors import InputError
from lab.runs.records import RunRecord

_NAMED = 3  # most folds named in a sentence
_STOPPED_BY_FOLD = (
    "Early stopping chose the last epoch by the images it is measured on, so its accuracies are slightly too high."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides with the verdict on b against a.

    sampling_error: that of the better mean on this test set, None if unknown and for folds.
    """

    a: Side
    b: Side
    verdict: Verdict
    sampling_error: float | None
    test_images: int | None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on runs that do not count, and on limitations of the verdict."""
        same = {setting_key(run.config) for run in self.a.runs} == {setting_key(run.config) for run in self.b.runs}
        return (*self.a.notes, *self.b.notes, *(("Both sides have the same settings.",) if same else ()))


def compare_runs(a: Sequence[RunRecord], b: Sequence[RunRecord], *, paired: bool | None = None) -> Comparison:
    """Return the verdict on two groups of runs.

    paired: whether runs with equal seeds are pairs; by default they are if each side has a single setting and both have
    the same seeds, at least `PAIRS_FROM` of them. Folds are always pairs. Raises `InputError` if the runs cannot be
    compared, or not as requested.
    """
    check_comparable(a, b)
    sides = make_side("A", a), make_side("B", b)
    folds = a[0].config.folds
    if folds and paired is False:
        raise InputError("Folds are compared in pairs, each on the images that both held out: omit --independent.")
    return _on_folds(*sides, folds=folds) if folds else _on_seeds(*sides, paired=paired)


def _on_folds(a: Side, b: Side, *, folds: int) -> Comparison:
    """Return the verdict on the folds that both sides have in common."""
    for name, side in (("A", a), ("B", b)):
        if side.settings > 1:
            raise InputError(f"The folds of {name} have {side.settings} settings: compare one with one.")
    both = set(a.repeats) & set(b.repeats)
    alone = sorted(set(a.repeats) ^ set(b.repeats))
    left, right = a.only(both), b.only(both)
    if alone:
        words = ", ".join(f"fold {fold} of seed {seed}" for seed, fold in alone[:_NAMED])
        more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
        left = replace(left, notes=(*left.notes, f"Left out, as only one side has it: {words}{more}."))
    if any(run.config.patience or run.config.restore_best for run in (*left.runs, *right.runs)):
        left = replace(left, notes=(*left.notes, _STOPPED_BY_FOLD))
    return Comparison(left, right, compare_folds(left.values, right.values, folds=folds), None, None)


def _on_seeds(left: Side, right: Side, *, paired: bool | None) -> Comparison:
    can_pair = left.repeats == right.repeats and len(set(left.repeats)) == len(left.repeats)
    if paired and not can_pair:
        raise InputError("Pairs need one run per seed on both sides: add the missing seeds, or omit --paired.")
    if paired is None:
        paired = can_pair and left.settings == right.settings == 1 and len(left.runs) >= PAIRS_FROM
    verdict = compare_values(left.values, right.values, paired=paired)
    images = next(
        (run.environment.test_images for run in (*left.runs, *right.runs) if run.environment.test_images), None
    )
    means = [fmean(side.values) for side in (left, right) if side.values]
    return Comparison(left, right, verdict, sampling_error(max(means), images) if images and means else None, images)


def compare_settings(runs: Sequence[RunRecord], *, paired: bool | None = None) -> tuple[Comparison, ...]:
    """Return the verdicts on all pairs of settings, with Holm's correction if there are several.

    Runs that differ only in their seed or fold have one setting; settings are in the order of their first runs. Raises
    `InputError` for fewer than two settings, or if the runs cannot be compared.
    """
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(setting_key(run.config), []).append(run)
    if len(groups) < 2:
        raise InputError(
            "All these runs have the same settings except for seeds and folds: name runs of at least two settings."
        )
    found = [compare_runs(a, b, paired=paired) for a, b in itertools.combinations(groups.values(), 2)]
    if len(found) == 1:
        return tuple(found)
    corrected = correct([one.verdict for one in found])
    return tuple(
        Comparison(one.a, one.b, verdict, one.sampling_error, one.test_images)
        for one, verdict in zip(found, corrected, strict=True)
    )
