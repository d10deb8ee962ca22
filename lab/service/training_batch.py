"""What a training step needs besides the network, to compute from saved weights what training does with them."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from lab.config import RunConfig
from lab.service.networks import GENERATOR_LOCK
from lab.training.batches import epoch_order
from lab.training.data import split_images


def first_training_images(config: RunConfig, labels: np.ndarray, *, images: int, sample: bool = False) -> np.ndarray:
    """Return the indices of the first training images in the order of the run's first epoch, at most `images`.

    labels: of the training images. sample: whether the data set is only a sample, of which the run's own split is not
    known: all its training images are used. Raises `ConfigError` if the split leaves no images.
    """
    limited = labels[: config.train_limit or None]
    index = np.arange(len(limited)) if sample else split_images(limited, config)[0]
    order = epoch_order(len(index), seed=config.seed, epoch=config.fork_epoch + 1, shuffle=config.shuffle)
    chosen: np.ndarray = index[order[:images].numpy()]
    return chosen


@contextmanager
def drawing_from(state: torch.Tensor) -> Iterator[None]:
    """Use this state of torch's CPU generator within the context, and restore the generator afterwards.

    Meanwhile, no network is built. state: of a CPU generator; a copy of it is used.
    """
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]):
        torch.set_rng_state(state)
        yield
