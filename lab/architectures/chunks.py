"""How many images go through a network at once, so that what its layers write fits into memory.

Counted on torch's meta device for one image: a VGG at 224 pixels writes 13 MB a layer, so 250 images at once would take
gigabytes, where LeNet-5 takes 10 MB.
"""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from lab.architectures.shapes import meta_copy

MOST = 250  # images; larger chunks are slower on a CPU for wide networks
BUDGET_BYTES = 400_000_000
_FEW = 8  # images that are not worth counting for


def chunk_size(network: nn.Module, *, images: int, image_shape: tuple[int, ...]) -> int:
    """Return how many of `images` pictures of (C, H, W) to run at once without gradients; at least one."""
    if images <= _FEW:
        return max(1, images)
    largest, _ = _bytes_an_image(network, image_shape)
    return max(1, min(images, MOST, BUDGET_BYTES // largest))


def chunk_size_with_gradients(network: nn.Module, *, images: int, image_shape: tuple[int, ...]) -> int:
    """Return how many to run at once where every layer's output is kept for the way back; at least one."""
    _, kept = _bytes_an_image(network, image_shape)
    return max(1, min(images, BUDGET_BYTES // kept))


def _bytes_an_image(network: nn.Module, image_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the float32 bytes of the largest layer's input and output together, and those of all outputs."""
    probe = meta_copy(network).eval()
    largest, kept = 1, 1

    def count(_layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal largest, kept
        largest = max(largest, 4 * (prod(inputs[0].shape) + prod(output.shape)))
        kept += 4 * prod(output.shape)

    for layer in probe.modules():
        if not any(layer.children()):
            layer.register_forward_hook(count)
    with torch.no_grad():
        probe(torch.empty((1, *image_shape), device="meta"))
    return largest, kept
