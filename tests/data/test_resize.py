"""Small images are enlarged to the same pixels on every processor, and between their neighbours."""

import hashlib

import numpy as np
import pytest

from lab.data.digits import read_digits
from lab.data.recipes import RECIPES
from lab.data.resize import resize_images
from lab.sketch.normalise import normalise
from lab.sketch.render import POLYLINES, Hand, draw_digit


def _digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_the_built_in_digits_have_the_pixels_of_the_first_release() -> None:
    train, _, test, _ = read_digits()
    assert _digest(train) == "46e2fe2b8365e0a176dd7d9ded57267bc81d5a5e1e523d6369953ec0c8f8ed89"
    assert _digest(test) == "dd92767da9f01251a3565d2cd017e2bb3c01e11d0e4cfd9760bb876a0be690d6"


@pytest.mark.parametrize(
    ("recipe", "digest"),
    [
        ("digits", "e44a28cd8b5f4172ceb26a2d281723088c68cea69ee0dd46eb8c2b7c15e0eae1"),
        ("usps", "5e7e815151ee71efc9513eb765ca498862ef03b4f90452f3590a1a31b4999426"),
    ],
)
def test_a_drawing_has_the_same_pixels_on_every_processor(recipe: str, digest: str) -> None:
    hand = Hand(pen=9, height=133, slant=0.2, turn=7)
    assert _digest(*(normalise(draw_digit(digit, hand), recipe=RECIPES[recipe]) for digit in POLYLINES)) == digest


def test_an_enlarged_ramp_lies_between_its_neighbours_and_is_mirrored_with_the_image() -> None:
    ramp = np.tile(np.array([0, 100, 200, 250], dtype=np.uint8), (4, 1))[None]
    large = resize_images(ramp, 8)
    assert large[0, 0].tolist() == [0, 25, 75, 125, 175, 212, 238, 250]
    np.testing.assert_array_equal(resize_images(ramp[:, :, ::-1], 8), large[:, :, ::-1])
    np.testing.assert_array_equal(resize_images(ramp.transpose(0, 2, 1), 8), large.transpose(0, 2, 1))


def test_images_are_scaled_alike_however_many_there_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4_500, 4, 4)).astype(np.uint8)
    scaled = resize_images(images, 6)
    for at in (0, 1_999, 2_000, 4_499):
        np.testing.assert_array_equal(scaled[at], resize_images(images[at : at + 1], 6)[0])
    assert resize_images(images[:0], 6).shape == (0, 6, 6)
