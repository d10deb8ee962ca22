"""Finding the sheet on its table and the contrast of its ink: known corners and sizes, and what is not a sheet."""

import cv2
import numpy as np
import pytest

from lab.sketch.contrast import MIN_CONTRAST, measure_contrast
from lab.sketch.pieces import EDGE, Pieces, _around, find_pieces, touches_edge
from lab.sketch.ruling import (
    _MAX_FITTED,
    _WIDEST,
    Line,
    _depth,
    _extended,
    _is_near,
    _runs_off,
    _width_along,
    without_hatching,
)
from lab.sketch.sheet import _clockwise, _corners, cut_sheet, find_sheet


def _table(box: tuple[int, int, int, int], *, paper: float = 220.0, table: float = 60.0, size: int = 480) -> np.ndarray:
    """Return a square photo, float32 (size, size, 1), with a sheet at (top, left, bottom, right)."""
    photo = np.full((size, size, 1), table, np.float32)
    top, left, bottom, right = box
    photo[top:bottom, left:right] = paper
    return photo


@pytest.mark.parametrize(("paper", "table"), [(220.0, 60.0), (60.0, 220.0)])
@pytest.mark.parametrize("size", [240, 480, 960])
def test_a_sheets_corners_are_found_at_every_size_clockwise_from_the_upper_left(
    paper: float, table: float, size: int
) -> None:
    box = tuple(size * share // 24 for share in (4, 6, 18, 21))
    corners = find_sheet(_table(box, paper=paper, table=table, size=size))
    assert corners is not None
    top, left, bottom, right = box
    expected = [(left, top), (right, top), (right, bottom), (left, bottom)]
    np.testing.assert_allclose(corners, expected, atol=size / 60)


def test_a_sheet_cut_out_has_its_own_size_and_nothing_of_the_table() -> None:
    cut = cut_sheet(_table((80, 120, 360, 420)))
    assert cut.shape == (pytest.approx(280, abs=6), pytest.approx(300, abs=6), 1)
    assert float(cut.min()) > 215
    colours = np.repeat(_table((80, 120, 360, 420)), 3, axis=2)
    assert cut_sheet(colours).shape[2] == 3


@pytest.mark.parametrize(
    "box",
    [
        (100, 100, 230, 230),  # less than a twelfth of the picture
        (100, 20, 200, 460),  # longer than three times its width
        (0, 0, 240, 480),  # half of the picture in shadow
        (0, 100, 480, 380),  # table at two sides only
    ],
)
def test_regions_that_are_too_small_too_long_or_at_the_pictures_edge_are_not_sheets(
    box: tuple[int, int, int, int],
) -> None:
    assert find_sheet(_table(box)) is None


def test_a_sheet_differs_from_its_table_by_24_grey_levels_and_is_filled() -> None:
    box = (80, 120, 360, 420)
    assert find_sheet(_table(box, paper=125, table=100)) is not None
    assert find_sheet(_table(box, paper=122, table=100)) is None
    hollow = _table(box)
    hollow[110:330, 150:390] = 60
    assert find_sheet(hollow) is None


def test_corners_are_ordered_clockwise_whatever_their_order() -> None:
    square = [(10.0, 20.0), (90.0, 25.0), (95.0, 80.0), (5.0, 85.0)]
    for order in ((0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0)):
        assert _clockwise(np.array([square[at] for at in order])).tolist() == [list(corner) for corner in square]


@pytest.mark.parametrize("sides", [3, 4, 5])
def test_a_sheet_without_four_corners_gets_those_of_the_smallest_rectangle_around_it(sides: int) -> None:
    turns = np.pi / 4 + 2 * np.pi * np.arange(sides) / sides
    hull = np.rint(100 + 80 * np.column_stack((np.cos(turns), np.sin(turns)))).astype(np.int32)[:, None]
    box = cv2.minAreaRect(hull)
    found = _corners(hull, box)
    assert (found.shape, found.dtype) == ((4, 2), np.float64)
    wanted = hull[:, 0] if sides == 4 else cv2.boxPoints(box)
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, wanted.tolist()))


@pytest.mark.parametrize(
    ("box", "touches"),
    [
        ((EDGE, 50, 60, 70), True),
        ((EDGE + 1, 50, 60, 70), False),
        ((40, EDGE, 60, 70), True),
        ((40, EDGE + 1, 60, 70), False),
        ((40, 50, 100 - EDGE, 70), True),
        ((40, 50, 99 - EDGE, 70), False),
        ((40, 50, 60, 200 - EDGE), True),
        ((40, 50, 60, 199 - EDGE), False),
    ],
)
def test_a_piece_touches_each_of_the_four_edges(box: tuple[int, int, int, int], touches: bool) -> None:
    assert touches_edge(box, (100, 200)) is touches


@pytest.mark.parametrize(("paper", "ink"), [(200.0, 88.0), (88.0, 200.0), (50.0, 19.0)])
def test_the_contrast_of_ink_is_its_log_ratio_to_the_paper_for_any_paper(paper: float, ink: float) -> None:
    picture = np.full((200, 200, 1), paper, np.float32)
    picture[90:110, 60:140] = ink
    found = measure_contrast(picture)
    expected = abs(np.log((ink + 12) / (paper + 12)))
    assert float(np.median(found.ink[95:105, 70:130])) == pytest.approx(expected, rel=0.02)
    assert abs(float(np.median(found.ink[:60]))) < 0.01
    assert found.least == pytest.approx(MIN_CONTRAST)


def test_noise_raises_the_least_contrast_that_counts_as_ink() -> None:
    noise = np.random.default_rng(0).normal(0, 30, (200, 200, 1)).astype(np.float32)
    found = measure_contrast(np.full((200, 200, 1), 150, np.float32) + noise)
    quiet = measure_contrast(np.full((200, 200, 1), 150, np.float32) + noise / 100)
    assert quiet.least == pytest.approx(MIN_CONTRAST)
    assert 0.3 < found.least < 1.0


def test_the_contrast_of_colours_is_measured_along_the_direction_of_most_difference() -> None:
    """Red ink on white paper is as light as the paper in one channel of three."""
    picture = np.full((200, 200, 3), 230, np.float32)
    picture[90:110, 60:140] = (230, 40, 40)
    found = measure_contrast(picture)
    expected = np.sqrt(2) * np.log(242 / 52)
    assert float(np.median(found.ink[95:105, 70:130])) == pytest.approx(expected, rel=0.03)


def test_removed_ink_is_near_within_the_reach_on_every_side() -> None:
    erased = np.zeros((60, 80), np.uint8)
    erased[30, 40] = 255
    near = [(40, 30), (36, 30), (44, 30), (40, 26), (40, 34), (43.6, 33.6)]
    far = [(35, 30), (45, 30), (40, 25), (40, 35), (40, 50), (10, 34)]
    assert [_is_near(erased, x, y, 4) for x, y in (*near, *far)] == [True] * 6 + [False] * 6
    erased[0, 0] = 255
    assert _is_near(erased, 2, 2, 4)
    assert not _is_near(erased, 2, 20, 4)


@pytest.mark.parametrize(
    ("ends", "off"),
    [
        ((0, 50, 100, 50), True),
        ((6, 50, 100, 50), True),  # three per cent of the longer side
        ((7, 50, 100, 50), False),
        ((50, 50, 193, 50), True),
        ((50, 50, 192, 50), False),
        ((50, 6, 50, 60), True),
        ((50, 93, 50, 60), True),
        ((50, 7, 50, 92), False),
    ],
)
def test_a_line_runs_off_the_sheet_if_an_end_is_near_its_edge(ends: tuple[int, int, int, int], off: bool) -> None:
    assert _runs_off(Line(*ends), (100, 200)) is off


def test_a_line_has_length_and_direction() -> None:
    assert Line(0, 0, 3, 4).length == 5.0
    assert Line(1, 1, 1, 5).angle == pytest.approx(np.pi / 2)
    assert Line(0, 0, 3, 4).ends == ((0, 0), (3, 4))


def _strokes(leans: list[float]) -> Pieces:
    """Return straight strokes of 60 × 3 pixels side by side. leans: degrees to the right of the vertical."""
    mask = np.zeros((100, 80 * len(leans)), np.uint8)
    for place, lean in enumerate(leans):
        middle, reach = (80 * place + 40, 50), 30
        across, up = reach * np.sin(np.radians(lean)), reach * np.cos(np.radians(lean))
        ends = [(round(middle[0] + side * across), round(middle[1] - side * up)) for side in (-1, 1)]
        cv2.line(mask, ends[0], ends[1], 1, 3)
    return find_pieces(mask)


@pytest.mark.parametrize(
    ("leans", "left"),
    [
        ([40, 40, 40], 0),  # three with the same lean are ruled lines
        ([40, 40], 2),
        ([40, 40, -40], 3),
        ([40, 40, 40, 0], 1),
        ([0, 0, 0, 0], 4),  # a row of 1s
        ([10, 10, 10], 3),
        ([25, 35, 45], 3),  # handwriting
    ],
)
def test_three_straight_strokes_that_lean_alike_are_hatching(leans: list[float], left: int) -> None:
    pieces = _strokes(leans)
    numbers = list(range(len(pieces.boxes)))
    assert len(numbers) == len(leans)
    assert len(without_hatching(pieces, numbers)) == left


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(("wide", "found"), [(3, 4), (5, 6), (9, 10), (13, 13), (31, _WIDEST)])
def test_lines_are_as_wide_as_their_ink(wide: int, found: int, several: bool) -> None:
    """Within a pixel: the distance transform measures from the first pixel next to the ink."""
    mask = np.zeros((120, 200), np.uint8)
    mask[60 - wide // 2 : 61 + wide // 2] = 255
    line = Line(0, 60, 199, 60)
    assert _width_along([line, line] if several else [line], _depth(mask)) == found
    assert _width_along([Line(0, 5, 199, 5)], _depth(mask)) == 3  # where there is no ink


def test_the_longest_of_many_lines_are_extended_across_the_sheet() -> None:
    rows = [20 + 6 * at for at in range(_MAX_FITTED + 1)]
    thin = np.zeros((rows[-1] + 20, 100), np.uint8)
    thin[rows, 10:60] = 255
    lines = [Line(10, row, 59 - 0.1 * at, row) for at, row in enumerate(rows)]
    again = Line(15, rows[0] + 1, 50, rows[0] + 1)  # lies on the first one
    found = _extended([again, *lines[::-1]], thin)
    assert [round(line.y0) for line in found] == rows[:_MAX_FITTED]
    assert {(round(line.x0), round(line.x1)) for line in found} == {(0, 99)}
    assert _extended([], thin) == []


def test_the_box_around_two_boxes_has_the_outermost_of_each_side() -> None:
    one, two = (5, 1, 10, 8), (2, 3, 7, 9)  # top, left, bottom, right
    assert _around(one, two) == _around(two, one) == (2, 1, 10, 9)
