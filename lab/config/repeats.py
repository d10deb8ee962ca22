"""Repeats: configurations that differ only in their seed or in the fold that is held out."""

from lab.config.run_config import RunConfig

REPEATED = ("seed", "fold")  # the settings in which repeats differ
Repeat = tuple[int, int]  # seed, and fold from 1 (0 without folds)


def setting_key(config: RunConfig) -> str:
    """Return a key that a run shares with its repeats."""
    return config.digest(data_checksum="", without=REPEATED)


def repeat_of(config: RunConfig) -> Repeat:
    """Return the seed and fold that distinguish a run from its repeats."""
    return config.seed, config.fold if config.folds else 0


def repeat_text(config: RunConfig) -> str:
    """Return seed and fold as text: "seed 3", or "fold 2 of 5, seed 3"."""
    fold = f"fold {config.fold} of {config.folds}, " if config.folds else ""
    return f"{fold}seed {config.seed}"
