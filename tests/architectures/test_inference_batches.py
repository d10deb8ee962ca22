"""Batch sizes for inference, from known sizes of the activations."""

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.inference_batches import gradient_batch_size, inference_batch_size
from lab.architectures.shapes import ActivationBytes, activation_bytes, make_probe, meta_copy


def test_the_batch_size_is_limited_by_the_memory_of_the_largest_layer() -> None:
    network = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    # The input and output of the ReLU are 64 maps of 224×224 each, 25.7 MB per image, beside the image. Activations for
    # gradients are 64·(224² + 224² + 112²) numbers.
    assert inference_batch_size(network, images=10_000, image_shape=(1, 224, 224)) == 400_000_000 // (
        4 * 129 * 224 * 224
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


def test_tensors_are_counted_as_long_as_a_layer_or_a_block_around_it_needs_them() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()))
    one = activation_bytes(*make_probe(network, input_shape=(1, 1, 4, 4)))
    image, maps, pooled = 4 * 16, 4 * 2 * 16, 4 * 2 * 4
    block = (image, maps)  # the image is the argument of the network, the first maps are that of the inner block
    assert one.alive == (block, (*block, maps), (*block, maps, pooled), (*block, pooled))  # flattening copies nothing
    assert (one.map, one.most, one.stored) == (maps, image + 2 * maps + pooled, 2 * maps + 2 * pooled)


@pytest.mark.parametrize(
    ("images", "retained_below", "expected"),
    [
        (1, 0, 40),  # every block is freed: the most at the same time
        (1, 11, 20 + 40),  # the two blocks of 10 stay beside those of 20
        (1, 10, 40),
        (1, 21, 40),  # all blocks stay and are used again
        (3, 31, 3 * (20 + 40)),
    ],
)
def test_freed_small_blocks_stay_beside_large_ones(images: int, retained_below: int, expected: int) -> None:
    """As in `conv3-bn`, whose maps of the second block are twice as large as those of the first."""
    one = ActivationBytes(20, ((10,), (10, 10), (10, 20), (20, 20), (20, 10)), 70)
    assert one.resident(images, retained_below=retained_below) == expected


def test_a_network_without_layers_occupies_nothing() -> None:
    assert (ActivationBytes(1, (), 1).most, ActivationBytes(1, (), 1).resident(250, retained_below=1)) == (1, 0)


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
