"""How runs of one setting, which differ in their seed or fold (`lab.config.repeats`), are counted in text."""

from collections.abc import Collection

from lab.formatting import plural
from lab.runs.records import RunRecord


def are_folds(runs: Collection[RunRecord]) -> bool:
    """Return whether these runs are distinct folds of the same split of the images."""
    divided = {(run.config.folds, run.config.seed) for run in runs}
    return len(divided) == 1 and min(divided)[0] > 0 and len({run.config.fold for run in runs}) == len(runs)


def count_repeats(runs: Collection[RunRecord]) -> str:
    """Return a count such as "5 seeds", "5 folds", or "10 runs" for folds with several seeds."""
    if are_folds(runs):
        return plural(len(runs), "fold")
    return plural(len(runs), "run" if any(run.config.folds for run in runs) else "seed")
