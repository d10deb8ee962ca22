"""The steps of finding digits in a photo, on a few dozen pixels: levels, paper, contrast, ink, and cutting out."""

from functools import partial

import cv2
import numpy as np
import pytest

from lab.sketch.contrast import (
    MIN_CONTRAST,
    Contrast,
    _direction,
    _paper,
    _reduced,
    measure_contrast,
    measure_flat_contrast,
)
from lab.sketch.levels import (
    _above_otsu,
    _border_share,
    _ink_of,
    _principal,
    _spans,
    _split,
    _thickness,
    is_crowded,
    paper_of_two_levels,
)
from lab.sketch.photo import (
    MIN_SIDE,
    WORK_SIDE,
    _as_strong_as,
    _at_work_size,
    _cut,
    _faint_mask,
    _inked,
    _inner,
    _is_surrounding,
    _usual,
)
from lab.sketch.pieces import Pieces, stroke_of
from tests.sketch.masks import mask_of

_mask = partial(mask_of, shape=(40, 60))


# -- two levels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boxes", "swapped"),
    [
        ([(10, 10, 30, 20)], False),  # no corner
        ([(0, 0, 30, 10)], False),  # one
        ([(0, 0, 40, 10), (0, 0, 8, 60)], True),  # three
        ([(0, 0, 40, 60)], True),  # four
        ([(0, 0, 8, 60)], False),  # two: less than half of the border
        ([(0, 0, 32, 60)], True),  # two: more than half of it
        ([(0, 0, 40, 12), (14, 0, 26, 60), (0, 36, 40, 48)], False),  # reaches all sides, and is thin
    ],
)
def test_ink_has_fewer_corners_than_paper_or_runs_from_side_to_side(
    boxes: list[tuple[int, int, int, int]], swapped: bool
) -> None:
    upper = _mask(*boxes) > 0
    np.testing.assert_array_equal(_ink_of(upper), ~upper if swapped else upper)
    np.testing.assert_array_equal(_ink_of(~upper), ~upper if swapped else upper)  # whichever level is the lighter


def test_a_level_spans_the_picture_if_one_piece_reaches_all_sides() -> None:
    cross = [(0, 28, 40, 32), (18, 0, 22, 60)]
    assert _spans(_mask(*cross))
    assert not _spans(_mask(cross[0]))
    assert not _spans(_mask(cross[1]))
    assert not _spans(_mask((0, 28, 40, 32), (18, 0, 22, 20), (18, 40, 22, 60)))  # in three pieces


@pytest.mark.parametrize(("wide", "found"), [(1, 2), (4, 4), (7, 8), (10, 10)])
def test_the_thickest_stroke_is_twice_as_wide_as_it_is_deep(wide: int, found: float) -> None:
    """Within a pixel: depth is measured to the first pixel of paper, in steps of 0.955."""
    found *= 0.955
    assert _thickness(_mask((5, 5, 35, 5 + wide)) > 0) == pytest.approx(found, abs=0.1)
    assert _thickness(_mask((0, 0, 40, wide)) > 0) == pytest.approx(found, abs=0.1)  # the outside counts as paper


def test_the_share_of_the_border_counts_all_four_sides() -> None:
    for box, pixels in (((0, 0, 1, 60), 62), ((39, 0, 40, 60), 62), ((0, 0, 40, 1), 42), ((0, 59, 40, 60), 42)):
        assert _border_share(_mask(box) > 0) == pixels / 200
    assert _border_share(_mask((1, 1, 39, 59)) > 0) == 0


def test_colours_are_projected_onto_the_direction_in_which_they_differ() -> None:
    level = np.full((20, 30, 3), 5.0, np.float32)
    level[5:15, 5:20] = (5.5, 4.5, 5.0)  # as light as the rest
    along = _principal(level)
    assert float(np.ptp(along)) == pytest.approx(0.5**0.5, abs=1e-5)
    assert abs(float(along[10, 10] - along[0, 0])) == pytest.approx(0.5**0.5, abs=1e-5)


def test_otsus_threshold_separates_two_values_whatever_they_are() -> None:
    values = np.where(_mask((5, 5, 20, 20)) > 0, 3.5, -1.25)
    np.testing.assert_array_equal(_above_otsu(values), values > 0)
    assert not _above_otsu(np.full((4, 4), 7.0)).any()


def test_two_levels_in_falling_light_are_separated_unless_one_is_rare_or_faint() -> None:
    rows, columns = np.indices((40, 60))
    where = _mask((10, 10, 30, 24)) > 0
    light = 0.01 * rows - 0.012 * columns
    found = _split(light + np.where(where, 1.0, 0.0))
    assert found is not None
    np.testing.assert_array_equal(found, where)
    assert _split(light + np.where(where, 0.36, 0.0)) is not None
    assert _split(np.where(where, 0.34, 0.0)) is None  # less than the least contrast
    rare = _mask((10, 10, 14, 15)) > 0  # 20 of 2,400 pixels
    assert _split(np.where(rare, 1.0, 0.0)) is None
    assert _split(np.where(rare, 0.0, 1.0)) is None
    assert _split(np.where(_mask((10, 10, 15, 15)) > 0, 1.0, 0.0)) is not None  # 25: one in a hundred
    third = np.where(where, 1.0, 0.0)
    third[:, 36:] = 0.4
    assert _split(third) is None


@pytest.mark.parametrize(("wide", "found"), [(21, True), (27, True), (31, False)])
def test_ink_is_at_most_three_times_as_thick_as_the_widest_paper_next_to_it(wide: int, found: bool) -> None:
    """Bars with 9 pixels of paper on both sides and between them; a sheet between a scanner's strips is thicker."""
    picture = np.full((120, 27 + 2 * wide), 200.0)
    picture[:, 9 : 9 + wide] = picture[:, 18 + wide : 18 + 2 * wide] = 40.0
    level = np.log(picture + 12).astype(np.float32)[..., None]
    assert (paper_of_two_levels(level) is not None) is found


def test_ink_differs_from_paper_by_at_least_a_seventh_of_the_light() -> None:
    quiet = measure_contrast(np.full((60, 60, 1), 150, np.float32))
    assert quiet.least == 0.14
    ink = np.full((60, 60, 1), 150, np.float32)
    ink[20:40, 28:32] = 162 * np.exp(-0.2) - 12  # a fifth less light
    faint = _faint_mask(measure_contrast(ink)) > 0
    assert faint[25:35, 29:31].all()
    assert not faint[:, :20].any()
    ink[20:40, 28:32] = 162 * np.exp(-0.13) - 12
    assert not _faint_mask(measure_contrast(ink)).any()


@pytest.mark.parametrize("box", [(0, 10, 5, 20), (35, 10, 40, 20), (10, 0, 20, 5), (10, 55, 20, 60)])
def test_ink_that_reaches_an_edge_crowds_the_paper(box: tuple[int, int, int, int]) -> None:
    assert is_crowded(_mask(box) > 0, 5)


def test_ink_crowds_the_paper_if_it_is_more_than_two_fifths_of_a_neighbourhood() -> None:
    ink = _mask((10, 20, 30, 24)) > 0  # a stroke of 4 pixels
    # It covers 4/9 and 4/11 of a window that it runs through.
    assert [is_crowded(ink, reach) for reach in (9, 11)] == [True, False]


# -- paper and contrast ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "small", "reach"),
    [
        ((1, 640), (1, 160), 3),
        ((640, 1), (160, 1), 3),
        ((40, 60), (40, 60), 21),
        ((320, 640), (80, 160), 41),
        ((640, 160), (160, 40), 21),
        ((4, 6), (4, 6), 3),
    ],
)
def test_paper_is_estimated_at_low_resolution_in_neighbourhoods_of_half_the_shorter_side(
    shape: tuple[int, int], small: tuple[int, int], reach: int
) -> None:
    level, found = _reduced(np.zeros((*shape, 3), np.float32))
    assert (level.shape, found) == ((*small, 3), reach)


def test_the_papers_level_ignores_thin_ink_and_keeps_the_edge_of_a_shadow() -> None:
    level = np.full((60, 80, 1), 5.0, np.float32)
    level[:, 40:] = 4.0  # a shadow
    plain = level.copy()
    level[20:40, 20:23] = 2.0
    np.testing.assert_allclose(_paper(level), plain, atol=0.02)
    flat = np.full((60, 80, 2), 3.0, np.float32)
    assert _paper(flat) is flat


def test_the_direction_of_ink_points_from_paper_to_ink() -> None:
    difference = np.zeros((10, 10, 3), np.float32)
    np.testing.assert_array_equal(_direction(difference), [1, 0, 0])  # nothing differs
    difference[2:4, 2:8, 2] = -0.8
    np.testing.assert_allclose(_direction(difference), [0, 0, -1], atol=1e-6)
    difference[2:4, 2:8] = (0.6, 0.6, 0)
    np.testing.assert_allclose(_direction(difference), np.array([1, 1, 0]) / np.sqrt(2), atol=1e-6)
    difference[6, 2:4] = (0, 0, 0.3)  # weaker than half of the strongest: no ink
    np.testing.assert_allclose(_direction(difference), np.array([1, 1, 0]) / np.sqrt(2), atol=1e-6)
    weak = np.zeros((10, 10, 2), np.float32)
    weak[3, :, 1] = 0.9 * MIN_CONTRAST
    np.testing.assert_array_equal(_direction(weak), [1, 0])


def test_flat_contrast_is_measured_only_if_ink_crowds_the_paper() -> None:
    crowded = np.where(_mask((0, 30, 80, 50), shape=(80, 120)) > 0, 40.0, 200.0).astype(np.float32)[..., None]
    found = measure_flat_contrast(crowded)
    assert found is not None
    assert found.paper is not None
    np.testing.assert_allclose(found.paper, 200.0, atol=3)
    expected = np.log(212 / 52)
    assert float(found.ink[40, 40]) == pytest.approx(expected, rel=0.02)
    assert abs(float(found.ink[70, 110])) < 0.02
    apart = np.where(_mask((30, 30, 60, 40), shape=(80, 120)) > 0, 40.0, 200.0).astype(np.float32)[..., None]
    assert measure_flat_contrast(apart) is None


# -- ink ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((MIN_SIDE, 20), (MIN_SIDE, 20)),
        ((WORK_SIDE, 900), (WORK_SIDE, 900)),
        ((500, 700), (500, 700)),
        ((200, 100), (400, 200)),
        ((100, 200), (200, 400)),
        ((2560, 640), (1280, 320)),
        ((1, 4000), (1, 1280)),
    ],
)
def test_a_pictures_longer_side_is_resized_to_400_to_1280_pixels(
    shape: tuple[int, int], found: tuple[int, int]
) -> None:
    for colours in (np.zeros(shape, np.uint8), np.zeros((*shape, 3), np.uint8)):
        worked = _at_work_size(colours)
        assert worked.shape == (*found, 3 if colours.ndim == 3 else 1)
        assert worked.dtype == np.float32


def test_the_usual_contrast_is_the_90th_percentile() -> None:
    ink = np.arange(101, dtype=np.float32)[None]
    assert _usual(ink, ink >= 0) == pytest.approx(90)
    assert _usual(ink, ink <= 10) == pytest.approx(9)
    assert _usual(ink, ink < 0) == 0.0


def test_pixels_with_15_percent_of_the_inks_contrast_may_belong_to_a_line() -> None:
    ink = np.zeros((20, 30), np.float32)
    ink[5:15, 5:9] = 2.0
    ink[5:15, 20] = 0.31
    ink[5:15, 22] = 0.29
    found = _faint_mask(Contrast(ink, 0.1))
    np.testing.assert_array_equal(found, np.where(ink > 0.3, 255, 0))
    # Noise above the line's contrast hides the line.
    np.testing.assert_array_equal(_faint_mask(Contrast(ink, 0.5)), np.where(ink > 0.5, 255, 0))
    assert not _faint_mask(Contrast(np.zeros((5, 5), np.float32), 0.1)).any()


def test_a_piece_is_within_the_sheet_if_it_is_more_than_two_pixels_away_from_each_edge() -> None:
    within = (3, 3, 36, 10)
    for edge in ((2, 20, 12, 30), (20, 20, 38, 30), (12, 50, 20, 58)):
        mask = _mask(within, edge)
        np.testing.assert_array_equal(_inner(mask), _mask(within) > 0)
    assert not _inner(_mask((12, 2, 20, 30))).any()
    assert _inner(_mask((12, 3, 36, 57))).sum() == 24 * 54
    assert not _inner(_mask((12, 3, 38, 57))).any()
    assert not _inner(_mask()).any()


def test_pale_pixels_are_ink_only_if_they_are_connected_to_strong_ones() -> None:
    ink = np.zeros((40, 60), np.float32)
    ink[10:30, 10:14] = 1.0  # a stroke
    ink[10:30, 14:18] = 0.4  # its pale side
    ink[10:30, 18:20] = 0.3  # a shadow next to it
    ink[10:30, 40:44] = 0.5  # pale, and nowhere strong
    ink[10:30, 56:60] = 1.0  # at the edge
    mask = np.where(ink > 0, 255, 0).astype(np.uint8)
    wanted = _mask((10, 10, 30, 18))
    np.testing.assert_array_equal(_as_strong_as(mask, ink, 1.0), wanted)
    np.testing.assert_array_equal(_inked(mask, ink), wanted)
    np.testing.assert_array_equal(_as_strong_as(_mask((12, 10, 28, 18)), ink, 1.0), _mask((12, 10, 28, 18)))


def test_ink_is_compared_with_the_strongest_ink_overall_if_that_leaves_any() -> None:
    ink = np.zeros((40, 60), np.float32)
    ink[:, 55:] = 2.0
    ink[10:30, 10:14] = 1.5
    ink[10:30, 14:18] = 0.6  # a third of the strongest of all, but more of the strongest within
    np.testing.assert_array_equal(_inked(np.where(ink > 0, 255, 0).astype(np.uint8), ink), _mask((10, 10, 30, 14)))


def test_pencil_next_to_a_dark_strip_at_the_edge_is_measured_without_the_strip() -> None:
    ink = np.zeros((40, 60), np.float32)
    ink[:, 50:] = 3.0
    ink[10:30, 10:14] = 1.0
    ink[10:30, 30:34] = 0.5
    mask = np.where(ink > 0, 255, 0).astype(np.uint8)
    assert not _as_strong_as(mask, ink, _usual(ink, mask > 0)).any()
    np.testing.assert_array_equal(_inked(mask, ink), _mask((10, 10, 30, 14)))


@pytest.mark.parametrize(("wide", "found"), [(1, 1), (3, 3), (5, 5), (9, 9)])
def test_the_usual_stroke_width_comes_from_the_depth_of_the_centre_lines(wide: int, found: float) -> None:
    assert stroke_of(_mask((3, 5, 37, 5 + wide))) == pytest.approx(found, abs=0.5)
    assert stroke_of(_mask((3, 5, 37, 5 + wide), (3, 30, 37, 30 + wide))) == pytest.approx(found, abs=0.5)
    assert stroke_of(_mask()) == 1.0


# -- cutting out -------------------------------------------------------------------------------------------------------


def _one(mask: np.ndarray, box: tuple[int, int, int, int]) -> Pieces:
    return Pieces((mask > 0).astype(np.int32), (box,), (int(np.count_nonzero(mask)),))


@pytest.mark.parametrize(("box", "side"), [((10, 20, 30, 26), 32), ((10, 20, 16, 50), 46)])
def test_a_digit_is_cut_out_on_a_square_with_a_margin_of_a_fifth_and_two_pixels(
    box: tuple[int, int, int, int], side: int
) -> None:
    mask = _mask(box)
    ink = np.where(mask > 0, 2.0, 0.0).astype(np.float32)
    digit = _cut(ink, _one(mask, box), box, [0])
    assert (digit.ink.shape, digit.origin) == ((side, side), "photo")
    tall, wide = box[2] - box[0], box[3] - box[1]
    top, left = (side - tall) // 2, (side - wide) // 2
    wanted = np.zeros((side, side), np.uint8)
    wanted[top : top + tall, left : left + wide] = 255
    np.testing.assert_array_equal(digit.ink, wanted)


def test_the_edge_of_a_stroke_stays_soft_and_other_pieces_are_left_out() -> None:
    """Full at eight tenths of the stroke's contrast, paper at three tenths."""
    box = (10, 20, 30, 30)
    mask = _mask((10, 20, 30, 26), (10, 29, 30, 30))
    labels = (mask > 0).astype(np.int32)
    labels[:, 29] *= 2
    pieces = Pieces(labels, ((10, 20, 30, 26), (10, 29, 30, 30)), (120, 20))
    ink = np.zeros((40, 60), np.float32)
    ink[10:30, 20:26] = (1.0, 1.0, 1.0, 1.0, 0.8, 0.55)
    ink[10:30, 26:30] = (0.425, 0.3, 1.0, 1.0)
    digit = _cut(ink, pieces, box, [0])
    margin = 20 // 5 + 2
    row = digit.ink[16, margin + 5 : margin + 15]  # the square is as wide as the box is tall
    assert row.tolist() == [255, 255, 255, 255, 255, 128, 64, 0, 0, 0]


def _blot(soft: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the mask and the contrast (0.8 inside) of a disc 40 pixels wide whose edge is blurred by `soft` pixels."""
    mask = cv2.circle(np.zeros((100, 100), np.uint8), (50, 50), 20, 255, -1)
    ink = 0.8 * mask.astype(np.float32) / 255
    return mask, cv2.GaussianBlur(ink, (0, 0), soft) if soft else ink


@pytest.mark.parametrize(("soft", "surrounding"), [(0.0, False), (1.0, False), (12.0, True)])
def test_a_soft_blot_is_a_shadow_and_a_sharp_one_is_ink(soft: float, surrounding: bool) -> None:
    mask, ink = _blot(soft)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    pieces = _one(mask, box)
    assert _is_surrounding(pieces, 0, ink, enlarged=False) is surrounding
    assert not _is_surrounding(pieces, 0, ink, enlarged=True)  # enlarging softens all edges
    assert not _is_surrounding(pieces, 0, 3 * ink, enlarged=False)  # darker than any shadow


def test_a_frame_is_not_writing_however_dark_it_is() -> None:
    mask = cv2.rectangle(np.zeros((100, 100), np.uint8), (20, 20), (79, 79), 255, 3)
    box = (19, 19, 81, 81)
    for strength in (0.5, 3.0):
        ink = np.where(mask > 0, strength, 0.0).astype(np.float32)
        assert _is_surrounding(_one(mask, box), 0, ink, enlarged=True)
