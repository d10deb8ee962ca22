"""Repeats of one setting: runs that differ in their seed, or in which fold is held out, and how such runs are counted in words."""

from collections.abc import Collection

from lab.config import RunConfig
from lab.formatting import plural
from lab.runs.encoding import REPEATED
from lab.runs.records import RunRecord

__all__ = ["REPEATED", "Repeat", "are_folds", "count_repeats", "repeat_of", "repeat_text"]

Repeat = tuple[int, int]  # seed, and fold from 1, 0 without folds


def repeat_of(config: RunConfig) -> Repeat:
    """Return what a run has for itself among the repeats of its setting."""
    return config.seed, config.fold if config.folds else 0


def repeat_text(config: RunConfig) -> str:
    """Return such as "seed 3", or "fold 2 of 5, seed 3"."""
    fold = f"fold {config.fold} of {config.folds}, " if config.folds else ""
    return f"{fold}seed {config.seed}"


def are_folds(runs: Collection[RunRecord]) -> bool:
    """Whether these runs are different folds of one and the same division of the images."""
    divided = {(run.config.folds, run.config.seed) for run in runs}
    return len(divided) == 1 and min(divided)[0] > 0 and len({run.config.fold for run in runs}) == len(runs)


def count_repeats(runs: Collection[RunRecord]) -> str:
    """Return such as "5 seeds", "5 folds", or "10 runs" of folds with several seeds."""
    if are_folds(runs):
        return plural(len(runs), "fold")
    return plural(len(runs), "run" if any(run.config.folds for run in runs) else "seed")
