"""What a training step needs besides the network, to compute from saved weights what training does with them."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from lab.config import RunConfig
from lab.service.networks import GENERATOR_LOCK
from lab.training.batches import epoch_order
from lab.training.data import split_images


class TrainingOrder:
    """The run's training images, in batches in the order of its epochs, from its first one on."""

    def __init__(self, config: RunConfig, labels: np.ndarray, *, size: int, sample: bool = False) -> None:
        """Split off the validation images. labels: of the training images; size: of a batch.

        sample: whether the data set is only a sample, of which the run's own split is not known: all its training
        images are used. Raises `ConfigError` if the split leaves no images.
        """
        limited = labels[: config.train_limit or None]
        self._config, self._size = config, size
        self._index = np.arange(len(limited)) if sample else split_images(limited, config)[0]
        # A rest of one image is left out if it is not the run's: batch norm cannot be trained on it.
        least = 1 if size == config.batch_size else min(2, size)
        self.per_epoch = max(1, (len(self._index) + size - least) // size)
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def batch(self, number: int) -> np.ndarray:
        """Return the indices of a batch, counted from 0; the last one of an epoch may be smaller."""
        epoch, part = divmod(number, self.per_epoch)
        if epoch != self._epoch:
            config = self._config
            order = epoch_order(
                len(self._index), seed=config.seed, epoch=config.fork_epoch + 1 + epoch, shuffle=config.shuffle
            )
            self._epoch, self._order = epoch, order.numpy()
        chosen: np.ndarray = self._index[self._order[part * self._size : (part + 1) * self._size]]
        return chosen


def first_training_images(config: RunConfig, labels: np.ndarray, *, images: int, sample: bool = False) -> np.ndarray:
    """Return the indices of the first training images in the order of the run's first epoch, at most `images`."""
    return TrainingOrder(config, labels, size=images, sample=sample).batch(0)


@contextmanager
def drawing_from(state: torch.Tensor) -> Iterator[None]:
    """Use this state of torch's CPU generator within the context, and restore the generator afterwards.

    Meanwhile, no network is built. state: of a CPU generator; a copy of it is used.
    """
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]):
        torch.set_rng_state(state)
        yield
