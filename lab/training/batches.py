"""Normalised batches of resident uint8 images, in an order that is a pure function of seed and epoch.

The order of an epoch does not depend on earlier ones, so a run can be resumed anywhere. Several batches are gathered
and normalised at once, which reduces the fixed cost of tensor operations. Augmentation runs batch by batch with its own
generator, whose state is part of every checkpoint.
"""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from lab.config.steps import epoch_steps
from lab.seeding import build_generator
from lab.training.augment import Augment
from lab.training.kernels import to_channels_last

_GATHER_BYTES = 1 * 2**20  # float bytes gathered at once: several batches that still fit into the L2 cache


def epoch_order(images: int, *, seed: int, epoch: int, shuffle: bool = True) -> Tensor:
    """Return the int64 order (images,) of one epoch, the same on every device."""
    if not shuffle:
        return torch.arange(images)
    return torch.randperm(images, generator=build_generator(seed, "order", epoch))


def normalise(x_u8: Tensor, *, mean: float, std: float) -> Tensor:
    """Return (x / 255 - mean) / std as float32: the input of a network for uint8 images."""
    scale = 1.0 / (255.0 * std)
    if x_u8.is_cuda:  # one kernel instead of three; it rounds differently, and a CPU gives the numbers of earlier runs
        return torch.rsub(x_u8, -mean / std, alpha=-scale)
    return x_u8.to(torch.float32).sub_(255.0 * mean).mul_(scale)


def fitting_batch_size(images: int, most: int) -> int:
    """Return the largest batch size up to `most` whose last batch has two or more images, else the smallest above it.

    Batch norm cannot be trained on a single image. If `most` is 1, it is returned unchanged, because only networks
    without batch norm are trained with that batch size.
    """
    sizes = itertools.chain(range(most, 1, -1), range(most + 1, images + 1))
    return most if most == 1 else next((size for size in sizes if images % size != 1), most)


class Batches:
    """Normalised batches (x_BCHW float32, y_B int64) of one epoch, from any position in it."""

    def __init__(
        self,
        x_u8: Tensor,
        y: Tensor,
        *,
        mean: float,
        std: float,
        batch_size: int,
        augment: Augment | None = None,
        channels_last: bool = False,
    ):
        self._x, self._y = x_u8, y
        self._mean, self._std = mean, std
        self.batch_size = batch_size
        self._augment = augment
        self._channels_last = channels_last
        image_bytes = 4 * x_u8[:1].numel()
        self._ahead = max(1, _GATHER_BYTES // (image_bytes * batch_size))  # batches gathered at once

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch; the last one may be smaller."""
        return epoch_steps(self.images, self.batch_size)

    @property
    def images(self) -> int:
        """Number of images in an epoch."""
        return len(self._y)

    @property
    def image_shape(self) -> torch.Size:
        """Channels, height and width of an image."""
        return self._x.shape[1:]

    @property
    def device(self) -> torch.device:
        """The device of the images and labels."""
        return self._y.device

    def size_of(self, batch: int) -> int:
        """Return the number of images in batch `batch` of an epoch, counted from 0."""
        return min(self.batch_size, self.images - batch * self.batch_size)

    def labels(self, part: Tensor) -> Tensor:
        """Return the labels y_B at these indices (int64, on the device)."""
        return self._y.index_select(0, part)

    def images_at(self, part: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images x_BCHW at these indices (int64, on the device), augmented and normalised."""
        x_u8 = self._x.index_select(0, part)
        if self._augment:
            x = self._augment(x_u8.to(torch.float32).mul_(1.0 / 255.0), generator)
            x = (x - self._mean) / self._std
        else:
            x = normalise(x_u8, mean=self._mean, std=self._std)
        return to_channels_last(x) if self._channels_last else x

    def iterate(self, order: Tensor, start: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches in this order, from number `start` on."""
        order = order[start * self.batch_size :].to(self.device)
        if not len(order):
            return  # `torch.split` returns one empty part for an empty tensor
        gather = 1 if self._augment else self._ahead
        for part in torch.split(order, self.batch_size * gather):
            x, y = self.images_at(part, generator), self.labels(part)
            yield from zip(torch.split(x, self.batch_size), torch.split(y, self.batch_size))
