"""Distortions of images against known answers, and what a network's accuracy is under them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lab.errors import InputError
from lab.inspection.distort import distort, measure_robustness
from lab.inspection.distortions import DISTORTIONS, Robustness, read_robustness
from lab.inspection.metrics import sample_indices

_SHAPES = ((3, 28, 28), (2, 8, 8), (2, 3, 32, 32), (1, 1, 28, 28))


def _images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _black(side: int) -> np.ndarray:
    return np.zeros((1, side, side), np.uint8)


@pytest.mark.parametrize("name", DISTORTIONS)
@pytest.mark.parametrize("shape", _SHAPES)
def test_every_level_keeps_shape_and_dtype_and_only_the_neutral_one_keeps_the_image(
    name: str, shape: tuple[int, ...]
) -> None:
    distortion, images = DISTORTIONS[name], _images(*shape)
    assert distortion.start in distortion.levels
    before = images.copy()
    for level in distortion.levels:
        distorted = distort(images, name, level)
        assert (distorted.shape, distorted.dtype) == (images.shape, np.uint8)
        assert (distorted == images).all() == (level == distortion.neutral), level
    assert (images == before).all(), "the images themselves are not changed"


def test_a_right_angle_rotates_counterclockwise() -> None:
    images = _images(4, 28, 28)
    assert (distort(images, "rotation", 90) == np.rot90(images, axes=(1, 2))).all()
    assert (distort(images, "rotation", -90) == np.rot90(images, -1, axes=(1, 2))).all()


def test_a_shift_moves_to_the_right_and_leaves_black() -> None:
    images = _images(4, 20, 20)
    right, left = distort(images, "shift", 20), distort(images, "shift", -10)
    assert (right[:, :, 4:] == images[:, :, :16]).all()
    assert not right[:, :, :4].any()
    assert (left[:, :, :18] == images[:, :, 2:]).all()
    assert not left[:, :, 18:].any()


def test_a_smaller_image_is_centred_on_black_and_a_larger_one_is_cropped() -> None:
    white = np.full((1, 10, 10), 255, np.uint8)
    expected = _black(10)
    expected[:, 3:7, 3:7] = 255
    assert (distort(white, "size", 40) == expected).all()
    block = _black(20)
    block[:, 8:12, 8:12] = 255
    larger = distort(block, "size", 160)[0]
    # 4 pixels become 6.4, which bilinear interpolation spreads over 8; the sum grows by 1.6².
    assert np.argwhere(larger).min() == 6
    assert np.argwhere(larger).max() == 13
    assert larger.astype(float).sum() == pytest.approx(16 * 255 * 1.6**2, rel=0.05)


def test_a_positive_slant_leans_to_the_right_by_its_angle() -> None:
    line = _black(21)
    line[:, :, 10] = 255
    slanted = distort(line, "slant", 45)[0]
    places = [int(row.argmax()) for row in slanted]
    assert places == [20 - row for row in range(21)], "the top moves to the right, one pixel per row"
    assert (slanted.max(axis=1) > 200).all()


def test_strokes_grow_and_shrink_by_whole_pixels() -> None:
    dot = _black(9)
    dot[:, 4, 4] = 200
    for pixels in (1, 2, 3):
        wide = distort(dot, "stroke", pixels)[0]
        rows, columns = np.nonzero(wide)
        assert (len(rows), np.ptp(rows), np.ptp(columns)) == ((pixels + 1) ** 2, pixels, pixels)
        assert set(wide[wide > 0]) == {200}
    block = _black(9)
    block[:, 0:4, 3:7] = 200  # at the border, which does not thin it
    for pixels, rows_left in ((-1, 4), (-2, 3)):
        thin = distort(block, "stroke", pixels)[0]
        assert np.ptp(np.nonzero(thin)[1]) + 1 == 4 + pixels
        assert np.ptp(np.nonzero(thin)[0]) + 1 == rows_left
    assert not distort(dot, "stroke", -1).any()


def test_blur_is_a_gaussian_with_the_given_standard_deviation() -> None:
    dot = _black(27)
    dot[:, 13, 13] = 255
    weights = np.exp(-0.5 * np.arange(-6, 7) ** 2 / 2.0**2)
    weights /= weights.sum()
    expected = np.zeros((27, 27))
    expected[7:20, 7:20] = 255 * np.outer(weights, weights)
    assert np.abs(distort(dot, "blur", 2)[0] - expected).max() <= 0.51


def test_noise_has_the_given_standard_deviation_and_one_pattern() -> None:
    grey = np.full((50, 28, 28), 128, np.uint8)
    weak, strong = (distort(grey, "noise", level).astype(float) - 128 for level in (10, 20))
    assert weak.std() == pytest.approx(0.1 * 255, rel=0.02)
    assert abs(weak.mean()) < 0.5
    inside = np.abs(strong) < 120  # where it is not clipped
    assert np.abs(strong - 2 * weak)[inside].max() <= 1.5
    assert (distort(grey, "noise", 10) == weak + 128).all(), "the same for every network"
    assert not np.array_equal(weak[0], weak[1]), "but not for every image"


def test_contrast_is_relative_to_mid_grey_and_negative_inverts() -> None:
    images = np.array([[[0, 255], [51, 204]]], np.uint8)
    assert (distort(images, "contrast", -100) == 255 - images).all()
    assert distort(images, "contrast", 50).tolist() == [[[64, 191], [89, 166]]]


def test_occlusion_covers_the_centre() -> None:
    white = np.full((1, 10, 10), 255, np.uint8)
    expected = white.copy()
    expected[:, 3:6, 3:6] = 0
    assert (distort(white, "occlusion", 30) == expected).all()


class _Centre(nn.Module):
    """Class 1 if the centre is brighter than mid-grey, else class 0."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        centre = x_BCHW[:, 0, 4:6, 4:6].mean((1, 2)) - 0.5
        return torch.stack((-centre, centre), 1) * self.gain


def test_the_accuracy_is_measured_at_every_level() -> None:
    images = np.zeros((4, 10, 10), np.uint8)
    images[1:, 4:6, 4:6] = 255
    labels = np.array([0, 1, 1, 1])
    covered = measure_robustness(_Centre(), images, labels, name="occlusion", count=9, mean=0.0, std=1.0)
    assert covered == Robustness("occlusion", (1.0, 1.0, 0.25, 0.25, 0.25, 0.25, 0.25), 4)  # 10 %: one pixel of four
    inverted = measure_robustness(_Centre(), images, labels, name="contrast", count=9, mean=0.0, std=1.0)
    assert inverted.accuracies == (1, 1, 1, 1, 1, 0, 0, 0, 0)


def test_fewer_images_are_evenly_spaced_over_all() -> None:
    images = np.zeros((9, 10, 10), np.uint8)
    images[[0, 4, 8], 4:6, 4:6] = 255
    some = measure_robustness(_Centre(), images, np.ones(9, int), name="occlusion", count=3, mean=0.0, std=1.0)
    assert (some.images, some.accuracies[0]) == (3, 1.0)


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="not finite because its training diverged"):
        measure_robustness(
            _Centre(math.nan), _images(2, 10, 10), np.array([0, 1]), name="blur", count=9, mean=0.0, std=1.0
        )


def test_test_images_are_evenly_spaced_and_no_more_than_there_are() -> None:
    assert sample_indices(9, 3).tolist() == [0, 4, 8]
    assert sample_indices(3, 1_000).tolist() == [0, 1, 2]
    assert sample_indices(10_000, 1_000)[[0, 500, 999]].tolist() == [0, 5005, 9999]


@pytest.mark.parametrize(
    ("name", "accuracies", "words"),
    [
        (
            "size",
            (0.1, 0.96, 0.94, 0.98, 0.93, 0.5, 0.95),
            "The accuracy is 98.0 % without distortion. It stays within 5 percentage points of that from 60 % to 120 %, "
            "and is lowest, 10.0 % at 40 %.",
        ),
        (
            "stroke",
            (0.2, 0.3, 0.9, 0.4, 0.1, 0.88),
            "The accuracy is 90.0 % without distortion. It stays within 5 percentage points of that at no other level, "
            "and is lowest, 10.0 % at +2 px.",
        ),
        (
            "blur",
            (0.125, 0.1, 0.1, 0.11, 0.1, 0.09, 0.12),
            "The accuracy is 12.5 % without distortion and falls by at most 3.5 percentage points, to 9.0 % at 3 px.",
        ),
        (
            "blur",
            (0.125, 0.125, 0.13, 0.125, 0.14, 0.125, 0.125),
            "The accuracy is 12.5 % without distortion and falls at no level.",
        ),
    ],
)
def test_the_sentence_says_where_the_accuracy_is_kept_and_where_it_is_lowest(
    name: str, accuracies: tuple[float, ...], words: str
) -> None:
    assert read_robustness(Robustness(name, accuracies, 1_000)) == words
