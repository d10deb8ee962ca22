"""How many steps (updates) an epoch and a whole run have: the loop, the estimate, the run records and forks count by it."""

from lab.config.run_config import RunConfig


def epoch_steps(images: int, batch_size: int) -> int:
    """Return the steps of an epoch; its last batch may be smaller."""
    return -(-images // batch_size)


def run_steps(config: RunConfig, steps_per_epoch: int) -> int:
    """Return the steps of a whole run: those of its epochs, or the step limit where that is less."""
    planned = config.epochs * steps_per_epoch
    return min(planned, config.max_steps) if config.max_steps else planned
