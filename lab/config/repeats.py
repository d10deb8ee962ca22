"""Repeats of one setting: configurations that differ only in their seed, or in which fold is held out."""

from lab.config.run_config import RunConfig

REPEATED = ("seed", "fold")  # settings in which repeats of one setting differ
Repeat = tuple[int, int]  # seed, and fold from 1, 0 without folds


def setting_key(config: RunConfig) -> str:
    """Return what a run has in common with its repeats."""
    return config.digest(data_checksum="", without=REPEATED)


def repeat_of(config: RunConfig) -> Repeat:
    """Return what a run has for itself among the repeats of its setting."""
    return config.seed, config.fold if config.folds else 0


def repeat_text(config: RunConfig) -> str:
    """Return such as "seed 3", or "fold 2 of 5, seed 3"."""
    fold = f"fold {config.fold} of {config.folds}, " if config.folds else ""
    return f"{fold}seed {config.seed}"
