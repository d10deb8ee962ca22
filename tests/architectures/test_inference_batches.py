"""Batch sizes for inference, from known sizes of the activations."""

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.inference_batches import gradient_batch_size, inference_batch_size
from lab.architectures.shapes import meta_copy


def test_the_batch_size_is_limited_by_the_memory_of_the_largest_layer() -> None:
    network = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    # The input and output of the ReLU are 64 maps of 224×224 each: 25.7 MB per image. Activations for gradients are
    # 64·(224² + 224² + 112²) numbers.
    assert inference_batch_size(network, images=10_000, image_shape=(1, 224, 224)) == 400_000_000 // (
        4 * 128 * 224 * 224
    )
    stored = 4 * 64 * (2 * 224 * 224 + 112 * 112)
    assert gradient_batch_size(network, images=64, image_shape=(1, 224, 224)) == 400_000_000 // stored


def test_small_networks_get_full_batches_and_a_huge_one_gets_single_images() -> None:
    lenet = build_network("lenet5")
    assert inference_batch_size(lenet, images=10_000, image_shape=(1, 28, 28)) == 250
    assert inference_batch_size(lenet, images=3, image_shape=(1, 28, 28)) == 3
    assert gradient_batch_size(lenet, images=64, image_shape=(1, 28, 28)) == 64
    with torch.device("meta"):
        wide = nn.Conv2d(1, 10_000, 1)
    assert inference_batch_size(wide, images=50, image_shape=(1, 200, 200)) == 1
    assert gradient_batch_size(wide, images=50, image_shape=(1, 200, 200)) == 1


def test_a_meta_copy_has_no_hooks() -> None:
    network = build_network("lenet5")
    calls = []
    for layer in network.modules():
        layer.register_forward_hook(lambda *arguments: calls.append(arguments))
        layer.register_forward_pre_hook(lambda *arguments: calls.append(arguments))
    meta_copy(network)(torch.empty((1, 1, 28, 28), device="meta"))
    assert calls == []
    network(torch.zeros(1, 1, 28, 28))
    assert calls


@pytest.mark.parametrize("arch", ["lenet5", "resnet18-tv"])
def test_computing_the_batch_size_does_not_change_the_network(arch: str) -> None:
    network = build_network(arch).train()
    inference_batch_size(network, images=100, image_shape=(1, 28, 28))
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())


def test_up_to_eight_images_are_one_batch_without_counting() -> None:
    with torch.device("meta"):
        wide = nn.Conv2d(1, 10_000, 1)
    sizes = [inference_batch_size(wide, images=images, image_shape=(1, 200, 200)) for images in (0, 1, 8, 9)]
    assert sizes == [1, 1, 8, 1]
