"""The numbers of images and steps (updates) in an epoch and in a run, used wherever either is needed."""

from lab.config.run_config import RunConfig

ONE_CYCLE_RISE = 0.3  # share of a run in which the one-cycle schedule raises the learning rate, as in PyTorch


def used_images(config: RunConfig, images: int) -> int:
    """Return how many images are trained on or held out. images: in the data set's training split; 0 if unknown."""
    return min(config.train_limit, images) or images


def epoch_images(config: RunConfig, images: int) -> int:
    """Return how many images an epoch trains on. images: in the data set's training split; 0 if unknown, as the result.

    The split of a run may round the other way, so that its number differs by one.
    """
    return round(used_images(config, images) * (1 - config.held_out))


def epoch_steps(images: int, batch_size: int) -> int:
    """Return the number of steps in an epoch, whose last batch may be smaller."""
    return -(-images // batch_size)


def run_steps(config: RunConfig, steps_per_epoch: int) -> int:
    """Return the number of steps in a whole run: those of its epochs, or the step limit if it is lower."""
    planned = config.epochs * steps_per_epoch
    return min(planned, config.max_steps) if config.max_steps else planned
