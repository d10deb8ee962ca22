"""Images with and without channels, and which of them are dark on light."""

import io

import numpy as np
import pytest
from PIL import Image

from lab.data.channels import as_grey, normalise_images, with_channels
from lab.data.digits import read_digits
from lab.data.imports import _is_dark_on_light
from lab.data.pictures import read_channels
from lab.errors import InputError


def test_colours_become_the_mean_of_their_channels_and_grey_stays_unchanged() -> None:
    colours = np.array([[[[0, 10]], [[30, 11]], [[61, 13]]], [[[1, 1]], [[1, 1]], [[2, 255]]]], np.uint8)
    assert as_grey(colours).tolist() == [[[30, 11]], [[1, 86]]]
    assert as_grey(colours).dtype == np.uint8
    grey = np.zeros((2, 3, 4), np.uint8)
    assert as_grey(grey) is grey
    assert with_channels(grey).shape == (2, 1, 3, 4)
    assert np.shares_memory(with_channels(grey), grey)
    assert with_channels(colours) is colours


def test_the_input_of_a_network_is_normalised_in_single_precision() -> None:
    found = normalise_images(np.array([[[0, 51, 255]]], np.uint8), mean=0.2, std=0.4)
    assert (found.shape, found.dtype) == ((1, 1, 1, 3), np.float32)
    assert found.ravel().tolist() == pytest.approx([-0.5, 0.0, 2.0], abs=1e-6)


@pytest.mark.parametrize("turns", range(4))
def test_two_light_sides_are_most_of_the_border(turns: int) -> None:
    """Of 8 × 8 pixels, 18 of 32 border pixels are light, counting each corner twice; with one light side, 10 are."""
    image = np.zeros((8, 8), np.uint8)
    image[0], image[:, -1] = 255, 255
    assert _is_dark_on_light(np.rot90(image, turns)[None])
    one = np.zeros((8, 8), np.uint8)
    one[0] = 255
    assert not _is_dark_on_light(np.rot90(one, turns)[None])
    assert not _is_dark_on_light(np.full((2, 8, 8), 127, np.uint8))
    assert _is_dark_on_light(np.full((2, 8, 8), 128, np.uint8))


def test_a_picture_is_read_with_the_networks_number_of_channels() -> None:
    target = io.BytesIO()
    Image.new("RGB", (3, 2), (10, 20, 30)).save(target, "PNG")
    assert read_channels(target.getvalue(), channels=3)[:, 0, 0].tolist() == [10, 20, 30]
    assert read_channels(target.getvalue(), channels=3).shape == (3, 2, 3)
    assert read_channels(target.getvalue(), channels=1).tolist() == [[18] * 3] * 2  # 0.299, 0.587 and 0.114 of each
    with pytest.raises(InputError, match="it is a colour or grey picture, but the network's images have 2 channels"):
        read_channels(target.getvalue(), channels=2, name="it")


def test_the_built_in_digits_use_the_full_range_of_values() -> None:
    train_x, train_y, test_x, test_y = read_digits()
    assert (train_x.shape, test_x.shape) == ((1438, 28, 28), (359, 28, 28))
    assert (train_x.min(), train_x.max()) == (0, 255)
    assert (train_x[:, 0, 0] == 0).mean() > 0.99  # paper is black
    assert sorted(set(train_y.tolist())) == sorted(set(test_y.tolist())) == list(range(10))
