"""The whitening layer whitens and stays frozen, and crops have the expected positions."""

import pytest
import torch

from lab.architectures.build import build_network
from lab.architectures.speedrun import Crop, whitening_filters
from lab.errors import ConfigError


def correlated_images() -> torch.Tensor:
    torch.manual_seed(0)
    # Neighbouring pixels share most of their noise.
    return torch.nn.functional.avg_pool2d(torch.randn(400, 1, 32, 32), 5, 1)


def test_whitening_filters_give_uncorrelated_channels_of_unit_variance() -> None:
    x = correlated_images()
    filters = whitening_filters(x, side=5, count=8)
    channels = torch.nn.functional.conv2d(x, filters).transpose(0, 1).flatten(1)
    covariance = torch.cov(channels)
    assert covariance.diagonal().numpy() == pytest.approx(1, abs=0.1)  # a little below 1: epsilon
    assert (covariance - covariance.diagonal().diag()).abs().max() < 1e-3


def test_initialising_from_data_sets_frozen_filters_and_their_negatives() -> None:
    network = build_network("speedrun-cnn")
    network.initialise_from_data(correlated_images())
    weight = network.get_parameter("features.conv1.weight")
    assert torch.equal(weight[:8], -weight[8:])
    assert not weight.requires_grad
    assert network.get_parameter("features.conv1.bias").requires_grad


def test_initialising_from_data_draws_no_random_numbers() -> None:
    network = build_network("speedrun-cnn")
    images = correlated_images()
    before = torch.get_rng_state()
    network.initialise_from_data(images)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_centre_crop_removes_two_pixels_on_each_side() -> None:
    x = torch.arange(28.0).expand(1, 1, 28, 28)
    assert Crop(24, random=True).eval()(x)[0, 0, 0].tolist() == list(range(2, 26))


def test_the_random_crop_has_a_different_position_for_each_image() -> None:
    torch.manual_seed(0)
    x = torch.arange(28.0).expand(200, 1, 28, 28)
    cropped = Crop(24, random=True).train()(x)
    assert cropped.shape == (200, 1, 24, 24)
    assert set(cropped[:, 0, 0, 0].tolist()) == {0, 1, 2, 3, 4}
    assert (cropped[:, 0, 0, -1] - cropped[:, 0, 0, 0] == 23).all()


def test_an_odd_first_width_is_refused() -> None:
    with pytest.raises(ConfigError, match="come in pairs"):
        build_network("speedrun-cnn", options={"widths": [15, 32]})
