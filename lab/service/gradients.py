"""The gradients of a run's network with saved weights, for one batch of the images that it was trained on.

Nothing about gradients is stored by training: they are computed again from the saved weights, on the CPU in float32 and
without augmentation. The batch is the first one of the run's first epoch, so that every epoch is given the same images.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lab.config import RunConfig
from lab.data.load import Dataset
from lab.inspection.gradient_flow import EpochFlow
from lab.inspection.gradients import layer_flows
from lab.inspection.summary import NetworkCounts
from lab.loaded_network import LoadedNetwork
from lab.network_counts import FORWARD_BACKWARD
from lab.seeding import build_generator
from lab.service.training_batch import drawing_from, first_training_images
from lab.training.batches import normalise
from lab.training.data import to_device
from lab.training.losses import build_loss, compute_loss

_MOST = 128  # images
_BYTES, _FIT_LEAST = 400_000_000, 4  # of activations, which the backward pass needs; images, whatever they need
_MULT_ADDS, _QUICK_LEAST = 20e9, 16  # of all passes, about a second on one core; images, however long they take


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBatch:
    """Images uint8 (B, C, H, W) and labels int64 (B,)."""

    images: Tensor
    labels: Tensor


def count_images(config: RunConfig, counts: NetworkCounts) -> int:
    """Return the size of the batch: that of the run, and less if it is large or the network is. At least two.

    counts: of the run's network for one image.
    """
    fit = max(_FIT_LEAST, _BYTES // counts.activations.stored)
    quick = max(_QUICK_LEAST, int(_MULT_ADDS // (FORWARD_BACKWARD * counts.total_mult_adds)))
    return max(2, min(config.batch_size, _MOST, fit, quick))


def first_batch(config: RunConfig, dataset: Dataset, *, images: int, sample: bool = False) -> TrainingBatch:
    """Return the batch from the first images of `lab.service.training_batch.first_training_images`."""
    chosen = first_training_images(config, dataset.train_labels, images=images, sample=sample)
    cpu = torch.device("cpu")
    return TrainingBatch(to_device(dataset.train_images[chosen], cpu), to_device(dataset.train_labels[chosen], cpu))


def compute_flow(loaded: LoadedNetwork, batch: TrainingBatch) -> EpochFlow:
    """Return the layers' gradients of the run's own loss, in training mode; dropout is the same at every epoch.

    loaded: its parameters require gradients unless they are frozen. It is not changed.
    """
    config = loaded.run.config
    loss = build_loss(config)
    x_BCHW = normalise(batch.images, mean=loaded.mean, std=loaded.std)
    flows = layer_flows(
        loaded.network,
        x_BCHW,
        lambda output: compute_loss(loss, output, batch.labels)[0],
        forward=drawing_from(build_generator(config.seed, "gradients").get_state()),
    )
    return EpochFlow(loaded.epoch, flows)
