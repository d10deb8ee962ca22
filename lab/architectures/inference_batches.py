"""Batch sizes for inference, chosen so that a network's activations fit into memory.

The activations are counted for one image: a layer of a VGG at 224 pixels writes 13 MB, so a batch of 250 would take
gigabytes, while LeNet-5 takes 10 MB.
"""

from torch import nn

from lab.architectures.shapes import activation_bytes, make_probe

MAX_BATCH = 250  # images; larger batches are slower on a CPU for wide networks
BUDGET_BYTES = 400_000_000
_NOT_COUNTED = 8  # images that always fit


def inference_batch_size(network: nn.Module, *, images: int, image_shape: tuple[int, ...]) -> int:
    """Return how many of `images` images of shape (C, H, W) to run at once without gradients; at least one."""
    if images <= _NOT_COUNTED:
        return max(1, images)
    one = activation_bytes(*make_probe(network, input_shape=(1, *image_shape)))
    return max(1, min(images, MAX_BATCH, BUDGET_BYTES // one.most))


def gradient_batch_size(network: nn.Module, *, images: int, image_shape: tuple[int, ...]) -> int:
    """Return how many images to run at once if all layer outputs are stored for the backward pass; at least one."""
    one = activation_bytes(*make_probe(network, input_shape=(1, *image_shape)))
    return max(1, min(images, BUDGET_BYTES // one.stored))
