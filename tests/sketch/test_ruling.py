"""Removal of printed lines from small masks: which lines count, what a frame is, and what stays where strokes cross."""

from functools import partial

import cv2
import numpy as np
import pytest

from lab.sketch.pieces import Pieces
from lab.sketch.ruling import (
    Line,
    Unruled,
    _along,
    _drawn,
    _erase,
    _Erased,
    _fitted,
    _frame_lines,
    _joins,
    _lies_on_one,
    _Search,
    _sides,
    _thin_part,
    _upright,
    remove_lines,
)
from tests.sketch.masks import mask_of

_mask = partial(mask_of, shape=(200, 300))


def _nothing(shape: tuple[int, int] = (200, 300)) -> _Erased:
    return _Erased(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), (), 0)


@pytest.mark.parametrize(("thick", "thin"), [(2, True), (4, True), (5, False), (12, False)])
def test_the_thin_part_of_a_mask_has_only_ink_as_thin_as_a_line(thick: int, thin: bool) -> None:
    """At 300 pixels a line is 4 pixels wide at most."""
    mask = _mask((50, 20, 50 + thick, 280))
    np.testing.assert_array_equal(_thin_part(mask), mask if thin else 0 * mask)
    both = _mask((50, 20, 53, 280), (50, 100, 120, 130))
    thin_part = _thin_part(both)
    assert thin_part[51, 40:90].all()
    assert not thin_part[60:110, 105:125].any()


@pytest.mark.parametrize(
    ("line", "on"),
    [
        (Line(10, 50, 200, 50), True),
        (Line(10, 53, 200, 53), True),
        (Line(10, 54, 200, 54), False),
        (Line(10, 50, 200, 54), False),  # one of its ends is off the line
        (Line(10, 54, 200, 50), False),
        (Line(250, 50, 290, 50), True),  # on the same straight line, further along
        (Line(50, 0, 50, 100), False),
    ],
)
def test_a_line_lies_on_another_if_both_of_its_ends_do(line: Line, on: bool) -> None:
    others = [Line(0, 150, 299, 150), Line(0, 50, 100, 50)]
    assert _lies_on_one(line, others) is on
    assert not _lies_on_one(line, others[:1])
    assert not _lies_on_one(line, [])


def _erased() -> _Erased:
    """Return the state after the removal of two horizontal lines, 3 pixels wide, at rows 50 and 150."""
    lines = (Line(0, 50, 299, 50), Line(0, 150, 299, 150))
    band = _mask((48, 0, 53, 300), (148, 0, 153, 300))
    return _Erased(np.zeros((200, 300), np.uint8), band, lines, 3)


@pytest.mark.parametrize(
    ("line", "width", "joins"),
    [
        (Line(100, 53, 100, 147), 3, True),  # connects them
        (Line(100, 53, 103, 147), 3, True),
        (Line(100, 53, 107, 147), 3, False),  # tilted by more than three degrees
        (Line(100, 53, 125, 147), 3, False),
        (Line(100, 53, 100, 120), 3, False),  # ends between the lines
        (Line(100, 80, 100, 147), 3, False),
        (Line(100, 53, 100, 147), 4, True),
        (Line(100, 53, 100, 147), 7, False),  # thicker than the lines: a stroke
        (Line(20, 51, 280, 51), 3, True),  # along one of them
    ],
)
def test_a_line_joins_removed_lines_if_it_is_as_thin_and_parallel_or_perpendicular(
    line: Line, width: int, joins: bool
) -> None:
    depth = np.full((200, 300), width / 2, np.float32)
    assert _joins(line, _erased(), depth) is joins
    assert not _joins(line, _nothing(), depth)


def test_lines_are_upright_within_twelve_degrees_of_an_axis() -> None:
    assert [_upright(Line(0, 0, 100, down)) for down in (0, 21, 22, 100)] == [True, True, False, False]
    assert [_upright(Line(0, 0, across, 100)) for across in (0, -21, -22)] == [True, True, False]


def test_each_side_of_a_box_with_a_line_is_counted_once() -> None:
    wide, tall = 100, 60
    top, bottom = Line(2, 3, 98, 3), Line(2, 57, 98, 57)
    left, right = Line(3, 2, 3, 58), Line(97, 58, 97, 2)
    assert _sides([top, bottom, left, right], wide, tall) == 4
    assert _sides([top, top, bottom], wide, tall) == 2
    assert _sides([Line(2, 30, 98, 30), Line(50, 2, 50, 58)], wide, tall) == 0  # in the middle
    assert _sides([Line(2, 3, 38, 3), Line(3, 2, 3, 38)], wide, tall) == 0  # short: 36 pixels of 0.62 · 60
    assert _sides([Line(2, 3, 40, 3), Line(3, 2, 3, 41)], wide, tall) == 2
    assert _sides([Line(2, 3, 98, 30)], wide, tall) == 0  # slanted
    # A seventh of the shorter side: 8.4 pixels.
    assert [_sides([Line(2, y, 98, y)], wide, tall) for y in (8, 9, 51, 52)] == [1, 0, 0, 1]
    assert [_sides([Line(x, 2, x, 58)], wide, tall) for x in (8, 9, 91, 92)] == [1, 0, 0, 1]


def test_lines_are_found_until_the_work_limit_is_reached() -> None:
    mask = _mask((50, 20, 52, 280), (100, 50, 102, 120))
    search = _Search(mask.size)
    found = search.find(mask, 100)
    assert found
    assert all(48 <= min(line.y0, line.y1) <= max(line.y0, line.y1) <= 53 for line in found)
    assert max(line.length for line in found) == pytest.approx(259, abs=3)
    assert {round(line.y0 / 50) for line in search.find(mask, 60)} == {1, 2}
    assert search.find(0 * mask, 60) == []
    searches = [bool(search.find(mask, 100)) for _ in range(6)]
    assert searches == [True] * 4 + [False] * 2  # after three others: the eighth search reaches the limit


def test_lines_keep_their_position_if_the_mask_is_reduced_for_the_search() -> None:
    mask = _mask(*((at, 0, at + 8, 300) for at in range(0, 200, 16)), shape=(200, 300))
    assert np.count_nonzero(mask) == 31_200  # more than one search processes
    assert max(max(line.x0, line.x1) for line in _Search(mask.size).find(mask, 200)) == pytest.approx(299, abs=4)


def test_a_line_is_fitted_to_the_ink_near_it_from_edge_to_edge() -> None:
    columns = np.arange(0, 300, 2, dtype=np.float32)
    points = np.column_stack((columns, 80 + 0.1 * columns))
    found = _fitted(Line(50, 86, 250, 106), points, 4.0, (200, 300))
    ends = sorted(found.ends)
    assert ends[0] == (0, pytest.approx(80, abs=1))
    assert ends[1] == (299, pytest.approx(110, abs=1))
    far = Line(50, 95, 250, 115)  # nine pixels away: no ink to fit it to
    assert _fitted(far, points, 4.0, (200, 300)) is far
    few = Line(50, 86, 250, 106)
    assert _fitted(few, points[25:32], 4.0, (200, 300)) is few
    assert _fitted(few, points[25:33], 4.0, (200, 300)) is not few  # eight of them


def test_a_frame_has_lines_along_three_of_its_sides_and_a_digit_has_none() -> None:
    frame = cv2.rectangle(np.zeros((200, 300), np.uint8), (60, 40), (160, 150), 255, 2)
    found = _frame_lines(frame, _Search(frame.size))
    assert all(_upright(line) for line in found)
    middles = {(round((line.x0 + line.x1) / 20), round((line.y0 + line.y1) / 20)) for line in found}
    assert {(11, 4), (11, 15), (6, 9), (16, 9)} <= {(x, y) for x, y in middles} | {(x, y - 1) for x, y in middles}
    angle = frame.copy()
    angle[:130, 80:] = 0  # two sides that meet
    ellipse = cv2.ellipse(np.zeros((200, 300), np.uint8), (110, 95), (50, 60), 0, 0, 360, 255, 2)
    small = cv2.rectangle(np.zeros((200, 300), np.uint8), (60, 40), (80, 60), 255, 2)
    full = frame.copy()
    for at in range(44, 150, 5):
        full[at : at + 3, 60:161] = 255  # stripes: more than half of the box is ink
    for other in (angle, ellipse, small, full, _mask((40, 60, 150, 160))):
        assert _frame_lines(other, _Search(other.size)) == []


def test_a_line_is_removed_and_strokes_that_cross_it_stay() -> None:
    """Ink on both sides of a line is joined again; ink on one side ends at the line."""
    mask = _mask((99, 0, 102, 300), (60, 100, 140, 112), (60, 200, 100, 212))
    strength = np.where(mask > 0, 1.0, 0.0).astype(np.float32)
    done = _erase(_nothing(), [], strength)
    assert done.lines == ()
    line = Line(0, 100, 299, 100)
    done = _erase(_Erased(mask, 0 * mask, (), 0), [line], strength)
    assert done.lines == (line,)
    assert done.width == 4
    assert not done.rest[96:105, :90].any()
    assert done.rest[60:140, 104:108].all()
    assert done.rest[60:95, 204:208].all()
    assert not done.rest[102:, 190:220].any()
    assert np.flatnonzero(done.band.all(axis=1)).tolist() == list(range(98, 104))
    assert not done.band[:98].any()
    assert not done.band[104:].any()


def test_strong_ink_on_a_paler_line_stays() -> None:
    mask = _mask((99, 0, 102, 300))
    strength = np.where(mask > 0, 1.0, 0.0).astype(np.float32)
    strength[99:102, 120:130] = 1.6
    strength[99:102, 150:160] = 1.4
    done = _erase(_Erased(mask, 0 * mask, (), 0), [Line(0, 100, 299, 100)], strength)
    assert done.rest[99:102, 120:130].all()
    assert not done.rest[:, 150:160].any()


def test_lines_are_drawn_and_sampled_along_their_centre() -> None:
    assert np.argwhere(_drawn([Line(2, 3, 6, 3)], (10, 10))).tolist() == [[3, x] for x in range(2, 7)]
    values = np.arange(100, dtype=np.float32).reshape(10, 10)
    assert _along(Line(2, 3, 6, 3), values).tolist() == [32, 33, 34, 34, 35, 36] or set(
        _along(Line(2, 3, 6, 3), values).tolist()
    ) == {32, 33, 34, 35, 36}
    assert set(_along(Line(-5, 4, 20, 4), values).tolist()) == set(range(40, 50))  # clamped to the edge


def _scrap(width: int, *, many: bool) -> list[int]:
    """Return the numbers of the pieces that stay: four of 9, 10, 30 and 31 pixels at a line, one of 11 away from it."""
    boxes = ((100, 10, 109, 12), (100, 20, 110, 22), (100, 40, 130, 42), (100, 60, 131, 62), (20, 90, 31, 92))
    labels = np.zeros((200, 300), np.int32)
    for number, (top, left, bottom, right) in enumerate(boxes, start=1):
        labels[top:bottom, left:right] = number
    pieces = Pieces(labels, boxes, (1,) * len(boxes))
    unruled = Unruled(np.zeros((200, 300), np.uint8), _mask((97, 0, 99, 300)), width, many)
    return unruled.without_scrap(pieces, range(5))


def test_remains_of_lines_are_up_to_three_line_widths_long_and_on_ruled_paper_ten() -> None:
    assert _scrap(3, many=False) == [1, 2, 3, 4]
    assert _scrap(3, many=True) == [3, 4]
    assert _scrap(0, many=True) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("lines", [1, 5, 6])
def test_six_lines_make_ruled_paper(lines: int) -> None:
    mask = _mask(*((30 * at + 15, 0, 30 * at + 18, 300) for at in range(lines)))
    mask[57:67, 100:190] = 255  # a thick stroke between two of them
    found = remove_lines(mask, np.where(mask > 0, 1.0, 0.0).astype(np.float32))
    assert found.many is (lines >= 6)
    np.testing.assert_array_equal(found.mask[57:67], _mask((57, 100, 67, 190))[57:67])
    for at in range(lines):
        assert not found.mask[30 * at + 14 : 30 * at + 19].any()
        assert found.band[30 * at + 15 : 30 * at + 18].all()
    assert found.width == 4
