"""Measures of ink with known answers, and margins of paper that continue its light."""

import cv2
import numpy as np
import pytest

from lab.sketch.contrast import Contrast
from lab.sketch.cropping import _contacts, _crossings, _is_corner, widened, with_margin
from lab.sketch.pieces import find_pieces, group
from lab.sketch.shape import measure_shape, runs, solidity, spread


def _bar(tall: int, wide: int, *, side: int = 40) -> np.ndarray:
    ink = np.zeros((side, side), np.uint8)
    ink[2 : 2 + tall, 3 : 3 + wide] = 255
    return ink


@pytest.mark.parametrize(
    ("ink", "longest", "degrees"),
    [
        (_bar(30, 3), ((30**2 - 1) / (3**2 - 1)) ** 0.5, 0.0),  # a row of n pixels has the variance (n² - 1) / 12
        (_bar(3, 30), ((30**2 - 1) / (3**2 - 1)) ** 0.5, 90.0),
        (_bar(10, 1), 99**0.5, 0.0),  # across a single pixel it is one twelfth
        (_bar(7, 7), 1.0, None),
        (np.eye(10, dtype=np.uint8), (2 * 99) ** 0.5, 45.0),
        (np.eye(10, dtype=np.uint8)[:, ::-1].copy(), (2 * 99) ** 0.5, -45.0),
    ],
    ids=["vertical", "horizontal", "thin", "square", "falling", "rising"],
)
def test_ink_spreads_along_its_principal_axis(ink: np.ndarray, longest: float, degrees: float | None) -> None:
    found, lean = spread(ink)
    assert found == pytest.approx(longest, rel=1e-6)
    if degrees is not None:
        assert abs(lean) == pytest.approx(abs(degrees), abs=1e-6)
        assert degrees == 90.0 or np.sign(round(lean)) == np.sign(degrees)


def test_a_straight_stroke_fills_its_hull_and_an_angle_only_part_of_it() -> None:
    assert solidity(_bar(20, 10)) == 1.0
    angle = np.zeros((30, 30), np.uint8)
    angle[:, 0] = angle[-1] = 1  # 59 pixels, in the triangle between their ends: 29 × 29 / 2
    assert solidity(angle) == pytest.approx(59 / 420.5)
    assert solidity(_bar(1, 1)) == 1.0


def test_the_measures_of_a_disc_and_a_bar_agree_with_geometry() -> None:
    disc = cv2.circle(np.zeros((64, 64), np.uint8), (32, 32), 20, 255, cv2.FILLED)
    shape = measure_shape(disc)
    assert shape is not None
    assert (shape.rectangle, shape.triangle, shape.lean) == (0.0, 0.0, 0.0)  # no ring
    assert 0.9 < shape.blot < 1.05  # as thick as it is wide, within the error of the distances
    assert shape.wide == pytest.approx(1.0, abs=0.02)
    bar = measure_shape(_bar(5, 30))
    assert bar is not None
    # Outlines are those of the picture enlarged four times, whose edges are soft by half a pixel.
    assert (bar.wide, bar.blot) == (pytest.approx(6.0, abs=0.6), pytest.approx(5 / 30, abs=0.02))
    assert bar.lean == pytest.approx(90.0, abs=0.5)
    assert measure_shape(np.full((28, 28), 90, np.uint8)) is None  # fainter than a stroke


@pytest.mark.parametrize(
    ("row", "found"),
    [([], []), ([0, 0], []), ([1], [(0, 1)]), ([1, 1, 0, 1], [(0, 2), (3, 4)]), ([0, 1, 0, 0, 1, 1], [(1, 2), (4, 6)])],
)
def test_runs_of_a_row_are_its_stretches_of_ink(row: list[int], found: list[tuple[int, int]]) -> None:
    assert runs(np.array(row, bool)) == found


def test_contacts_corners_and_crossings_are_counted_at_all_four_edges() -> None:
    ink = np.zeros((60, 60), np.uint8)
    assert (_contacts(ink), _is_corner(ink)) == (0, False)
    ink[:, 27:33] = 1  # a stroke from top to bottom
    assert (_contacts(ink), _crossings(ink), _is_corner(ink)) == (2, 2, False)
    ink[27:33] = 1  # and one across
    assert (_contacts(ink), _crossings(ink), _is_corner(ink)) == (4, 4, False)
    for turns in range(4):
        strip = np.zeros((60, 60), np.uint8)
        strip[:36, 0] = strip[0, :36] = 1  # six tenths of two sides that meet
        assert _is_corner(np.rot90(strip, turns))
        strip[35, 0] = 0
        assert not _is_corner(np.rot90(strip, turns))
    opposite = np.zeros((60, 60), np.uint8)
    opposite[[0, -1]] = 1
    assert not _is_corner(opposite)


def test_a_margin_continues_the_light_of_the_paper_for_a_tenth_of_a_side() -> None:
    """The logarithm of light is a plane: it falls by 0.3 down the sheet and rises by 0.2 across it."""
    places = (np.arange(100) / 100)[:, None], (np.arange(100) / 100)[None, :]
    sheet = np.exp(5.0 - 0.3 * places[0] + 0.2 * places[1])[..., None].astype(np.float32) - 1
    marked, mask = sheet.copy(), np.zeros((100, 100), np.uint8)
    marked[40:60, 45:55], mask[40:60, 45:55] = 5.0, 255  # ink does not show the light
    wider = with_margin(marked, mask)
    assert wider.shape == (148, 148, 1)  # a fifth of the side and four pixels
    np.testing.assert_array_equal(wider[24:-24, 24:-24], marked)

    def lit(down: float, across: float) -> float:
        return float(np.exp(5.0 - 0.3 * down + 0.2 * across) - 1)

    assert wider[24 - 5, 74, 0] == pytest.approx(lit(-0.05, 0.5), rel=1e-3)
    assert wider[74, 24 + 104, 0] == pytest.approx(lit(0.5, 1.04), rel=1e-3)
    assert wider[0, 74, 0] == pytest.approx(lit(-0.1, 0.5), rel=1e-3)  # not extrapolated further
    assert wider[-1, -1, 0] == pytest.approx(lit(1.1, 1.1), rel=1e-3)


def test_a_known_paper_is_repeated_around_the_sheet_and_has_no_ink() -> None:
    sheet = np.arange(20 * 30, dtype=np.float32).reshape(20, 30, 1)
    ink = np.ones((20, 30), np.float32)
    wider, contrast = widened(sheet, Contrast(ink, 0.1, sheet + 1000))
    assert wider.shape == (36, 46, 1)  # a fifth of the shorter side and four pixels on each
    np.testing.assert_array_equal(wider[8:-8, 8:-8], sheet)
    assert (wider[0, 0, 0], wider[-1, -1, 0], wider[0, 10, 0]) == (1000.0, 1599.0, 1002.0)
    assert (contrast.ink.sum(), contrast.ink.shape, contrast.least) == (600, (36, 46), 0.1)
    with pytest.raises(ValueError, match="the paper's level is not known"):
        widened(sheet, Contrast(ink, 0.1, None))


def test_pieces_are_separate_digits_or_together_one_digit_without_splitting() -> None:
    """Boxes are (top, left, bottom, right), the last two exclusive."""
    mask = np.zeros((60, 90), np.uint8)
    mask[10:40, 50:58] = mask[12:45, 20:30] = 255
    pieces = find_pieces(mask)
    numbers = list(range(len(pieces.boxes)))
    assert [box for box, _ in group(pieces, numbers)] == [(12, 20, 45, 30), (10, 50, 40, 58)]
    ((box, members),) = group(pieces, numbers, split=False)
    assert (box, sorted(members)) == ((10, 20, 45, 58), numbers)
    assert group(pieces, []) == group(pieces, [], split=False) == []
