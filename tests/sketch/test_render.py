"""Strokes laid onto the canvas and pictures traced back to strokes: places in pixels, known beforehand."""

import math

import numpy as np
import pytest

from lab.errors import InputError
from lab.sketch.render import (
    Hand,
    _follow,
    _smooth,
    _thin,
    _walk,
    draw_digit,
    place_strokes,
    random_hand,
    redraw_image,
    trace_fidelity,
    trace_lines,
)
from lab.sketch.sketch import MAX_BRUSH, MIN_BRUSH

BOX = [[(0.0, 0.0), (10.0, 0.0), (10.0, 40.0), (0.0, 40.0)]]


def _placed(hand: Hand) -> list[tuple[float, float]]:
    (stroke,) = place_strokes(BOX, hand)
    return [(round(x, 6), round(y, 6)) for x, y in stroke.points]


def test_the_longer_side_is_the_hands_height_around_its_middle() -> None:
    assert _placed(Hand(height=80)) == [(130, 100), (150, 100), (150, 180), (130, 180)]
    assert _placed(Hand(height=80, middle=(100.0, 90.0))) == [(90, 50), (110, 50), (110, 130), (90, 130)]


def test_a_slant_leans_to_the_right_and_a_turn_goes_clockwise() -> None:
    assert _placed(Hand(height=80, slant=0.5)) == [(150, 100), (170, 100), (130, 180), (110, 180)]
    assert _placed(Hand(height=80, turn=90)) == [(180, 130), (180, 150), (100, 150), (100, 130)]
    both = _placed(Hand(height=80, slant=0.5, turn=90))  # first the slant
    assert both == [(180, 150), (180, 170), (100, 130), (100, 110)]


def test_a_drawing_stays_on_the_canvas_with_its_pen_or_is_in_the_middle_where_it_does_not_fit() -> None:
    hand = Hand(pen=20, height=80, middle=(0.0, 280.0))
    assert _placed(hand) == [(10, 190), (30, 190), (30, 270), (10, 270)]
    assert _placed(Hand(pen=20, height=80, middle=(280.0, 0.0))) == [(250, 10), (270, 10), (270, 90), (250, 90)]
    large = _placed(Hand(pen=20, height=400, middle=(0.0, 0.0)))
    assert large == [(10, -60), (110, -60), (110, 340), (10, 340)]


@pytest.mark.parametrize(("pen", "width"), [(0.1, MIN_BRUSH), (12.5, 12.5), (500, MAX_BRUSH)])
def test_a_pen_is_one_that_the_pad_has(pen: float, width: float) -> None:
    assert {stroke.width for stroke in place_strokes(BOX + BOX, Hand(pen=pen, height=50))} == {width}


def test_a_point_alone_is_placed_in_the_middle() -> None:
    (stroke,) = place_strokes([[(3.0, 4.0)]], Hand())
    assert stroke.points == ((140.0, 140.0),)


def test_a_hand_is_one_that_people_have_and_fits_the_canvas() -> None:
    random = np.random.default_rng(0)
    hands = [random_hand(random) for _ in range(300)]
    degrees = [math.degrees(math.atan(hand.slant)) for hand in hands]
    for values, low, high in (
        ([hand.height for hand in hands], 70, 240),
        (degrees, -20, 30),
        ([hand.turn for hand in hands], -12, 12),
        ([hand.pen for hand in hands], 4, 34),
    ):
        assert low <= min(values) <= low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) <= max(values) <= high
    assert all(hand.pen <= hand.height / 4 for hand in hands)
    for hand in hands:
        reach = (hand.height + hand.pen) / 2
        assert all(reach <= at <= 280 - reach for at in hand.middle)
    assert max(hand.middle[0] for hand in hands) > 200
    assert min(hand.middle[1] for hand in hands) < 80


def test_an_unknown_digit_is_named() -> None:
    with pytest.raises(InputError, match="There is no polyline for 'x': choose one of 0, 1, 2"):
        draw_digit("x")


def _image(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    for top, left, bottom, right in boxes:
        image[top:bottom, left:right] = 255
    return image


def test_a_bar_is_thinned_to_its_middle_line() -> None:
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


def test_lines_are_walked_from_their_ends_as_straight_as_they_go_and_thorns_are_left_out() -> None:
    thin = np.zeros((40, 40), bool)
    thin[20, 5:35] = True
    thin[10:20, 20] = True  # a branch of ten pixels
    thin[21:24, 12] = True  # a thorn of three
    lines = _follow(thin)
    assert sorted(len(line) for line in lines) == [10, 30]
    (long,) = [line for line in lines if len(line) == 30]
    assert {round(y, 1) for _, y in long} == {20.5}
    short = np.zeros((40, 40), bool)
    short[5, 5:8] = True
    assert [len(line) for line in _follow(short)] == [3]  # there is nothing longer
    assert _follow(np.zeros((9, 9), bool)) == []


def test_a_ring_has_no_end_and_is_walked_all_around() -> None:
    thin = np.zeros((20, 20), bool)
    thin[5, 5:15] = thin[14, 5:15] = thin[5:15, 5] = thin[5:15, 14] = True
    (line,) = _follow(thin)
    assert len(line) == 36


def test_a_walk_goes_straight_on_where_lines_cross() -> None:
    free = {(x, 10) for x in range(21)} | {(10, y) for y in range(21)}
    walked = _walk((0, 10), free)
    assert walked == [(x, 10) for x in range(21)]
    assert free == {(10, y) for y in range(21) if y != 10}


def test_a_line_is_smoothed_over_five_points_and_lies_in_the_middles_of_pixels() -> None:
    assert _smooth([(1, 2), (3, 4)]) == [(1.5, 2.5), (3.5, 4.5)]
    bent = _smooth([(0, 0), (1, 0), (2, 5), (3, 0), (4, 0)])
    assert bent[2] == (2.5, 1.5)
    assert bent[0] == pytest.approx((0.5 + 3 / 5, 0.5 + 1))  # the first one three times, then the next two


def test_a_traced_stroke_is_its_middle_line_in_pixels_of_the_picture() -> None:
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


def test_a_thin_stroke_is_covered_by_what_is_traced_from_it_and_a_blot_is_not() -> None:
    stroke, blot = _image((2, 12, 26, 16)), _image((4, 4, 24, 24))
    assert trace_fidelity(stroke, trace_lines(stroke)) > 0.8
    assert trace_fidelity(blot, trace_lines(blot)) < 0.6
    assert trace_fidelity(stroke, []) == 0.0
    assert trace_fidelity(stroke, [[(5.0, 2.0), (5.0, 26.0)]]) == 0.0  # beside it
