"""Single steps of normalising a drawing, on a few pixels: pens, shears, squares, thumbnails."""

import numpy as np
import pytest

from lab.data.recipes import RECIPES
from lab.sketch.boxes import extent
from lab.sketch.normalise import (
    ALL_STEPS,
    _boxed,
    _change_pen,
    _full_ink,
    _mass,
    _place,
    _shrink,
    _spread,
    _square,
    _upright,
    measure,
    normalise_steps,
    stroke_width,
)
from lab.sketch.sketch import SEEN, Sketch

MNIST, DIGITS = RECIPES["mnist"], RECIPES["digits"]


def _ink(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (100, 120), level: int = 255) -> np.ndarray:
    """Return ink uint8 in boxes of top, left, bottom, right."""
    ink = np.zeros(shape, np.uint8)
    for top, left, bottom, right in boxes:
        ink[top:bottom, left:right] = level
    return ink


def _dot(side: int = 9) -> np.ndarray:
    return _ink((side // 2, side // 2, side // 2 + 1, side // 2 + 1), shape=(side, side))


def test_the_extent_of_ink_starts_at_its_first_pixel_and_ends_after_its_last() -> None:
    assert extent(_ink((10, 20, 40, 25)) > 0) == (10, 20, 40, 25)
    assert extent(_ink((10, 20, 11, 21), (90, 5, 91, 6)) > 0) == (10, 5, 91, 21)
    assert extent(np.ones((3, 4), bool)) == (0, 0, 3, 4)
    assert extent(np.zeros((3, 4), bool)) is None


def test_a_drawing_is_measured_without_the_haze_around_it() -> None:
    ink = _ink((10, 20, 40, 26))
    ink[5:45, 15:18] = SEEN - 1
    found = measure(Sketch(ink, "canvas"))
    assert found is not None
    assert (found.top, found.left, found.crop.shape, found.canvas, found.longest) == (10, 20, (30, 6), (100, 120), 30)
    assert found.mass == (3.0, 15.0)
    assert found.width == pytest.approx(2 * 180 / 68)  # 68 of the 180 pixels are at the edge
    ink[50, 60] = SEEN
    wider = measure(Sketch(ink, "canvas"))
    assert wider is not None
    assert wider.crop.shape == (41, 41)


@pytest.mark.parametrize(("wide", "width"), [(1, 2.0), (2, 2.0), (4, 4.0 * 100 / 102), (10, 1000 * 2 / 216)])
def test_the_stroke_width_is_twice_the_area_divided_by_the_edge_pixels(wide: int, width: float) -> None:
    assert stroke_width(_ink((0, 10, 100, 10 + wide))) == pytest.approx(width)


def test_faint_ink_has_a_stroke_width_too() -> None:
    assert stroke_width(_ink((0, 10, 100, 14), level=60)) == stroke_width(_ink((0, 10, 100, 14)))
    assert stroke_width(_ink((0, 10, 100, 14), level=1)) > 0


def test_the_centre_of_mass_is_weighted_by_the_ink() -> None:
    crop = np.zeros((2, 4), np.uint8)
    crop[0, 0], crop[1, 3] = 100, 200
    assert _mass(crop) == (pytest.approx((100 * 0.5 + 200 * 3.5) / 300), pytest.approx((100 * 0.5 + 200 * 1.5) / 300))


def test_a_pen_grows_alternately_by_four_and_by_eight_neighbours() -> None:
    four, eight = _spread(_dot(), diagonal=False), _spread(_dot(), diagonal=True)
    assert (four > 0).sum() == 5
    assert (eight > 0).sum() == 9
    np.testing.assert_array_equal(_change_pen(_dot(), 1.0), four)
    np.testing.assert_array_equal(_change_pen(_dot(), 2.0), _spread(four, diagonal=True))
    np.testing.assert_array_equal(_change_pen(_dot(), 3.0), _spread(_spread(four, diagonal=True), diagonal=False))
    np.testing.assert_array_equal(_change_pen(_dot(), 0.0), _dot())


def test_a_pen_grows_by_a_fraction_of_a_pixel_in_grey() -> None:
    half = _change_pen(_dot(), 0.4)
    assert (half[4, 4], half[3, 4], half[3, 3]) == (255, 102, 0)
    further = _change_pen(_dot(), 1.4)
    assert (further[3, 4], further[3, 3], further[2, 4]) == (255, 102, 102)


def test_a_pen_shrinks_as_the_paper_grows() -> None:
    bar = _ink((2, 2, 7, 7), shape=(9, 9))
    assert (_change_pen(bar, -1.0) > 0).sum() == 9
    assert _change_pen(bar, -0.4)[2, 4] == 153
    np.testing.assert_array_equal(_change_pen(bar, -1.0), 255 - _change_pen(255 - bar, 1.0))


def test_faint_strokes_are_scaled_to_full_ink_by_their_usual_level() -> None:
    ink = np.array([[0, 20, 51, 51, 51, 200]], np.uint8)
    assert _full_ink(ink).tolist() == [[0, 100, 255, 255, 255, 255]]
    assert _full_ink(np.array([[0, 20]], np.uint8)).tolist() == [[0, 20]]  # haze alone


def test_a_crop_is_centred_in_a_square() -> None:
    square = _square(np.full((2, 5), 9, np.uint8))
    assert square.shape == (5, 5)
    assert np.argwhere(square.any(axis=1)).ravel().tolist() == [1, 2]
    assert np.argwhere(_square(np.full((6, 2), 9, np.uint8)).any(axis=0)).ravel().tolist() == [2, 3]


@pytest.mark.parametrize(
    ("shape", "shown"), [((112, 80), (112, 80)), ((224, 112), (112, 56)), ((40, 30), (40, 30)), ((112, 448), (28, 112))]
)
def test_a_thumbnail_for_the_page_has_at_most_112_pixels_a_side(shape: tuple[int, int], shown: tuple[int, int]) -> None:
    assert _shrink(np.zeros(shape, np.uint8)).shape == shown


def _leaning(by: float, *, rows: int = 40, wide: int = 4) -> np.ndarray:
    """Return a bar that moves to the right by `by` pixels per row, cropped to the ink."""
    shifts = [round(by * row) for row in range(rows)]
    ink = np.zeros((rows, wide + max(shifts) - min(shifts)), np.uint8)
    for row, shift in enumerate(shifts):
        ink[row, shift - min(shifts) : shift - min(shifts) + wide] = 255
    return ink


@pytest.mark.parametrize("by", [0.0, 0.25, -0.25, 0.75, -0.75, 1.0])
def test_a_slant_of_up_to_45_degrees_is_removed(by: float) -> None:
    upright = _upright(_leaning(by))
    assert upright.shape[0] == 40
    assert upright.shape[1] <= 5  # within a pixel: rows are shifted by whole pixels
    assert upright.sum() == 40 * 4 * 255


def test_a_larger_slant_is_sheared_by_45_degrees_only() -> None:
    assert _upright(_leaning(2.0)).shape[1] == pytest.approx(4 + 39, abs=2)


@pytest.mark.parametrize(("wide", "stretched"), [(50, 50), (20, 50), (10, 25), (100, 50), (125, 50), (200, 80)])
def test_a_drawing_is_stretched_to_the_recipes_box_by_a_factor_of_at_most_two_and_a_half(
    wide: int, stretched: int
) -> None:
    """The built-in digits are 5 by 8: 50 by 80."""
    assert DIGITS.width is not None
    assert DIGITS.width / DIGITS.box == 5 / 8
    found = measure(Sketch(_ink((10, 20, 90, 20 + wide), shape=(100, 240)), "canvas"))
    assert found is not None
    boxed = _boxed(found, DIGITS, ALL_STEPS)
    assert boxed.crop.shape == (80, stretched)
    assert (boxed.top, boxed.canvas) == (10, (100, 240))
    assert boxed.left == 20 - (stretched - wide) // 2
    for steps in (ALL_STEPS - {"crop"}, ALL_STEPS - {"scale"}):
        assert _boxed(found, DIGITS, steps) is found
    assert _boxed(found, MNIST, ALL_STEPS) is found


def test_the_enabled_steps_decide_where_the_field_lies() -> None:
    """A bar of 80 × 20 pixels whose box starts at (10, 30); its pen of about 16 pixels is 4 pixels of the field."""
    found = measure(Sketch(_ink((10, 30, 90, 50)), "canvas"))
    assert found is not None
    steps = ALL_STEPS - {"pen"}
    shift = MNIST.middle - MNIST.field / 2
    place = _place(found, MNIST, steps)
    assert (place.scale, place.grow) == (4.0, 0.0)
    assert (place.x, place.y) == (10 - 4 * shift, 40 - 4 * shift)
    assert place.pen == pytest.approx(found.width / 4)
    off_centre = _place(found, MNIST, steps - {"centre"})
    assert (off_centre.x, off_centre.y) == (10, 40)
    unscaled = _place(found, MNIST, steps - {"scale"})
    assert unscaled.scale == pytest.approx(80 / 28)
    uncropped = _place(found, MNIST, steps - {"crop", "centre"})
    assert (uncropped.scale, uncropped.x, uncropped.y) == (6.0, 60 - 30, 50 - 10)


@pytest.mark.parametrize(("wide", "pen"), [(2, 2.0), (30, 4.0)])
def test_a_pen_outside_the_datas_range_becomes_the_nearest_and_the_longer_side_stays(wide: int, pen: float) -> None:
    assert MNIST.pen == (2.0, 4.0)
    assert MNIST.box == 20
    found = measure(Sketch(_ink((10, 30, 90, 30 + wide)), "canvas"))
    assert found is not None
    place = _place(found, MNIST, ALL_STEPS)
    assert place.pen == pen
    assert place.scale == pytest.approx((80 - found.width) / (20 - pen))
    assert found.width + 2 * place.grow == pytest.approx(pen * place.scale)
    assert (found.crop.shape[0] + 2 * place.grow) / place.scale == pytest.approx(20)


def test_the_notes_of_the_steps_have_the_numbers_of_the_drawing() -> None:
    drawn = Sketch(_ink((10, 30, 90, 50)), "canvas")
    notes = {one.step: one.note for one in normalise_steps(drawn, recipe=MNIST)}
    assert notes == {
        "ink": "120×100",
        "crop": "20×80",
        "pen": "4.1 → 4.0 px",
        "scale": "longer side 20 px",
        "smooth": "28×28",
        "centre": "by mass",
    }
