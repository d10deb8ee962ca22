"""Batch sizes for inference: how many images go through a network at once, so that its activations fit into memory.

Counted for one image: a layer of a VGG at 224 pixels writes 13 MB, so a batch of 250 would take gigabytes, where LeNet-5
takes 10 MB.
"""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from lab.architectures.shapes import make_probe

MAX_BATCH = 250  # images; larger batches are slower on a CPU for wide networks
BUDGET_BYTES = 400_000_000
_NOT_COUNTED = 8  # images that always fit


def inference_batch_size(network: nn.Module, *, images: int, image_shape: tuple[int, ...]) -> int:
    """Return how many of `images` pictures of (C, H, W) to run at once without gradients; at least one."""
    if images <= _NOT_COUNTED:
        return max(1, images)
    largest, _ = _bytes_an_image(network, image_shape)
    return max(1, min(images, MAX_BATCH, BUDGET_BYTES // largest))


def gradient_batch_size(network: nn.Module, *, images: int, image_shape: tuple[int, ...]) -> int:
    """Return how many to run at once where every layer's output is stored for the backward pass; at least one."""
    _, stored = _bytes_an_image(network, image_shape)
    return max(1, min(images, BUDGET_BYTES // stored))


def _bytes_an_image(network: nn.Module, image_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the float32 bytes of the largest layer's input and output together, and those of all outputs."""
    probe, x_BCHW = make_probe(network, input_shape=(1, *image_shape))
    largest, stored = 1, 1

    def count(_layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal largest, stored
        largest = max(largest, 4 * (prod(inputs[0].shape) + prod(output.shape)))
        stored += 4 * prod(output.shape)

    for layer in probe.modules():
        if not any(layer.children()):
            layer.register_forward_hook(count)
    with torch.no_grad():
        probe(x_BCHW)
    return largest, stored
