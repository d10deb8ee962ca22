"""Chunks of images by what the layers write, counted by hand."""

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.chunks import chunk_size, chunk_size_with_gradients
from lab.architectures.shapes import meta_copy


def test_a_chunk_holds_as_many_images_as_the_largest_layer_leaves_room_for() -> None:
    network = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    # The ReLU takes and gives 64 maps of 224×224: 25.7 MB an image; kept are 64·(224² + 224² + 112²) numbers.
    assert chunk_size(network, images=10_000, image_shape=(1, 224, 224)) == 400_000_000 // (4 * 128 * 224 * 224)
    kept = 4 * 64 * (2 * 224 * 224 + 112 * 112)
    assert chunk_size_with_gradients(network, images=64, image_shape=(1, 224, 224)) == 400_000_000 // kept


def test_small_networks_take_their_usual_chunk_and_a_huge_one_an_image() -> None:
    lenet = build_network("lenet5")
    assert chunk_size(lenet, images=10_000, image_shape=(1, 28, 28)) == 250
    assert chunk_size(lenet, images=3, image_shape=(1, 28, 28)) == 3
    assert chunk_size_with_gradients(lenet, images=64, image_shape=(1, 28, 28)) == 64
    with torch.device("meta"):
        wide = nn.Conv2d(1, 10_000, 1)
    assert chunk_size(wide, images=50, image_shape=(1, 200, 200)) == 1
    assert chunk_size_with_gradients(wide, images=50, image_shape=(1, 200, 200)) == 1


def test_a_copy_without_memory_has_none_of_the_hooks() -> None:
    network = build_network("lenet5")
    heard = []
    for layer in network.modules():
        layer.register_forward_hook(lambda *told: heard.append(told))
        layer.register_forward_pre_hook(lambda *told: heard.append(told))
    meta_copy(network)(torch.empty((1, 1, 28, 28), device="meta"))
    assert heard == []
    network(torch.zeros(1, 1, 28, 28))
    assert heard


@pytest.mark.parametrize("arch", ["lenet5", "resnet18-tv"])
def test_counting_leaves_the_network_as_it_was(arch: str) -> None:
    network = build_network(arch).train()
    chunk_size(network, images=100, image_shape=(1, 28, 28))
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())
