"""Colours and tiles are as expected, whatever the numbers are."""

import io

import numpy as np
import pytest
from PIL import Image

from lab.charts.tiles import blend, colour, colour_table, grid, image_tiles, limits, pack, paint


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_the_colours_at_the_ends_and_in_the_middle_of_the_scales() -> None:
    assert colour(np.array([0.0, 1.0]), low=0, high=1, scale="viridis").tolist() == [[68, 1, 84], [253, 231, 37]]
    middle = colour(np.array([0.0]), low=-1, high=1, scale="diverging")[0]
    assert middle == pytest.approx([247, 247, 247], abs=2)
    assert colour(np.array([-9.0, 9.0]), low=-1, high=1, scale="grey").tolist() == [[0, 0, 0], [255, 255, 255]]


def test_non_finite_values_are_magenta_and_do_not_change_the_scale() -> None:
    values = np.array([[[0.0, np.nan], [np.inf, 2.0]]])
    painted = paint(values)
    assert painted[0, 0, 1].tolist() == painted[0, 1, 0].tolist() == [255, 0, 255]
    assert painted[0, 1, 1].tolist() == [253, 231, 37]


def test_limits_put_zero_in_the_middle_of_signed_values() -> None:
    assert limits(np.array([-1.0, 3.0]), signed=True) == (-3, 3)
    assert limits(np.array([-1.0, 3.0]), signed=False) == (-1, 3)
    assert limits(np.array([np.nan]), signed=True) == (0, 0)


def test_tiles_share_one_scale_or_have_one_each() -> None:
    values = np.array([[[0.0, 1.0]], [[0.0, 10.0]]])
    assert paint(values)[0, 0, 1].tolist() != [253, 231, 37]
    assert paint(values, each=True)[0, 0, 1].tolist() == [253, 231, 37]
    assert paint(np.zeros((1, 2, 2)), each=True)[0, 0, 0].tolist() == [68, 1, 84]


def test_tiles_are_packed_row_by_row() -> None:
    tiles = np.stack([np.full((2, 3, 3), n, np.uint8) for n in range(5)])
    sprite = pack(tiles)
    assert (sprite.columns, sprite.tile_width, sprite.tile_height, sprite.count) == (3, 3, 2, 5)
    sheet = pixels(sprite.png)
    assert sheet.shape == (4, 9, 3)
    assert sheet[0, ::3, 0].tolist() == [0, 1, 2]
    assert sheet[2, ::3, 0].tolist() == [3, 4, 0]


def test_the_grid_for_export_is_enlarged_with_gaps() -> None:
    sheet = pixels(grid(image_tiles(np.zeros((3, 2, 2), np.uint8)), columns=2, enlarge=4, gap=1))
    assert sheet.shape == (2 * 9 + 1, 2 * 9 + 1, 3)
    assert sheet[0].tolist() == [[255] * 3] * 19
    assert (sheet[1:9, 1:9] == 0).all()
    assert (sheet[10:18, 10:18] == 255).all()  # no fourth tile


def test_blending_shows_the_image_where_values_are_zero() -> None:
    image = np.array([[0, 255]], np.uint8)
    zero = blend(image, np.zeros((1, 2)))
    assert zero[0, 1].mean() > zero[0, 0].mean()
    strong = blend(image, np.array([[1.0, -1.0]]))
    assert strong[0, 0, 0] > strong[0, 0, 2]  # positive is orange
    assert strong[0, 1, 2] > strong[0, 1, 0]  # negative is blue


def test_larger_values_hide_more_of_the_image() -> None:
    """The image counts as three fifths of its grey; zero hides a quarter of it, the largest value nine tenths."""
    image = np.full((1, 4), 100, np.uint8)
    values = np.array([[1.0, -1.0, 0.5, 0.0]])
    ink = colour(values, low=-1, high=1, scale="diverging").astype(float)
    share = np.array([0.9, 0.9, 0.625, 0.25])[:, None]
    assert blend(image, values)[0].tolist() == (ink[0] * share + 60.0 * (1 - share)).round().tolist()
    # The colours of unsigned values range from the lowest to the highest value.
    assert blend(image[:, :2], np.array([[1.0, 3.0]]), scale="viridis")[0].tolist() == [[64, 30, 72], [234, 214, 39]]
    assert blend(image[:, :2], np.array([[np.nan, 1.0]]))[0, 0].tolist() == [
        round(0.25 * part + 45) for part in (255, 0, 255)
    ]


@pytest.mark.parametrize("scale", ["viridis", "diverging", "grey"])
def test_a_scale_is_256_colours_of_eight_bits(scale: str) -> None:
    table = colour_table(scale)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    assert (colour(np.linspace(0, 1, 256), low=0, high=1, scale=scale) == table).all()
    assert np.abs(np.diff(table.astype(int), axis=0)).max() <= 8  # without jumps


def test_three_channels_are_colours_and_any_other_number_is_grey() -> None:
    colours = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(1, 3, 2, 4)
    assert image_tiles(colours)[0, 1, 3].tolist() == [7, 15, 23]
    two = np.stack([np.full((1, 2, 2), 10), np.full((1, 2, 2), 20)], axis=1)
    assert image_tiles(two)[0, 0, 0].tolist() == [15, 15, 15]
    rows = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)  # grey, of three rows each
    assert image_tiles(rows).shape == (2, 3, 4, 3)
    assert image_tiles(rows)[1, 2, 3].tolist() == [23, 23, 23]
