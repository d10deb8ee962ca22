"""The number of steps (updates) in an epoch and in a run, used by the loop, the estimate, the run records and forks."""

from lab.config.run_config import RunConfig


def epoch_steps(images: int, batch_size: int) -> int:
    """Return the number of steps in an epoch, whose last batch may be smaller."""
    return -(-images // batch_size)


def run_steps(config: RunConfig, steps_per_epoch: int) -> int:
    """Return the number of steps in a whole run: those of its epochs, or the step limit if it is lower."""
    planned = config.epochs * steps_per_epoch
    return min(planned, config.max_steps) if config.max_steps else planned
