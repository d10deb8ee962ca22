"""Pictures traced back to strokes: positions in pixels, known in advance."""

import numpy as np
import pytest

from benchmarks.traced_digits import _follow, _smooth, _thin, _walk, redraw_image, trace_fidelity, trace_lines
from lab.sketch.render import Hand


def _image(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    for top, left, bottom, right in boxes:
        image[top:bottom, left:right] = 255
    return image


def test_a_bar_is_thinned_to_its_centre_line() -> None:
    solid = np.zeros((20, 30), bool)
    solid[8:13, 5:25] = True
    thin = _thin(solid)
    rows, columns = np.nonzero(thin)
    assert set(rows.tolist()) == {10}
    assert columns.min() <= 8
    assert columns.max() >= 21
    assert len(columns) == columns.max() - columns.min() + 1
    single = np.zeros((5, 5), bool)
    single[2, 2] = True
    np.testing.assert_array_equal(_thin(single), single)
    line = np.eye(12, dtype=bool)
    np.testing.assert_array_equal(_thin(line), line)


def test_lines_are_followed_from_their_ends_as_straight_as_possible_without_short_spurs() -> None:
    thin = np.zeros((40, 40), bool)
    thin[20, 5:35] = True
    thin[10:20, 20] = True  # a branch of ten pixels
    thin[21:24, 12] = True  # a spur of three
    lines = _follow(thin)
    assert sorted(len(line) for line in lines) == [10, 30]
    (long,) = [line for line in lines if len(line) == 30]
    assert {round(y, 1) for _, y in long} == {20.5}
    short = np.zeros((40, 40), bool)
    short[5, 5:8] = True
    assert [len(line) for line in _follow(short)] == [3]  # the longest line there is
    assert _follow(np.zeros((9, 9), bool)) == []


def test_a_ring_without_ends_is_followed_all_around() -> None:
    thin = np.zeros((20, 20), bool)
    thin[5, 5:15] = thin[14, 5:15] = thin[5:15, 5] = thin[5:15, 14] = True
    (line,) = _follow(thin)
    assert len(line) == 36


def test_a_walk_continues_straight_where_lines_cross() -> None:
    free = {(x, 10) for x in range(21)} | {(10, y) for y in range(21)}
    walked = _walk((0, 10), free)
    assert walked == [(x, 10) for x in range(21)]
    assert free == {(10, y) for y in range(21) if y != 10}


def test_a_line_is_smoothed_over_five_points_at_pixel_centres() -> None:
    assert _smooth([(1, 2), (3, 4)]) == [(1.5, 2.5), (3.5, 4.5)]
    bent = _smooth([(0, 0), (1, 0), (2, 5), (3, 0), (4, 0)])
    assert bent[2] == (2.5, 1.5)
    assert bent[0] == pytest.approx((0.5 + 3 / 5, 0.5 + 1))  # the first one three times, then the next two


def test_a_traced_stroke_is_its_centre_line_in_pixels_of_the_picture() -> None:
    (line,) = trace_lines(_image((4, 12, 24, 16)))
    xs, ys = [x for x, _ in line], [y for _, y in line]
    assert min(xs) == pytest.approx(14, abs=0.5)
    assert max(xs) == pytest.approx(14, abs=0.5)
    assert min(ys) < 8
    assert max(ys) > 20
    assert len(trace_lines(_image((4, 5, 24, 8), (4, 20, 24, 23)))) == 2
    assert trace_lines(_image()) == []
    assert redraw_image(_image(), Hand()).blank
    assert not redraw_image(_image((4, 12, 24, 16)), Hand()).blank


def test_traced_lines_cover_a_thin_stroke_but_not_a_blot() -> None:
    stroke, blot = _image((2, 12, 26, 16)), _image((4, 4, 24, 24))
    assert trace_fidelity(stroke, trace_lines(stroke)) > 0.8
    assert trace_fidelity(blot, trace_lines(blot)) < 0.6
    assert trace_fidelity(stroke, []) == 0.0
    assert trace_fidelity(stroke, [[(5.0, 2.0), (5.0, 26.0)]]) == 0.0  # next to the stroke
