"""Strokes placed on the canvas: positions in pixels, known in advance."""

import math

import numpy as np
import pytest

from lab.errors import InputError
from lab.sketch.render import Hand, draw_digit, place_strokes, random_hand
from lab.sketch.sketch import MAX_BRUSH, MIN_BRUSH

BOX = [[(0.0, 0.0), (10.0, 0.0), (10.0, 40.0), (0.0, 40.0)]]


def _placed(hand: Hand) -> list[tuple[float, float]]:
    (stroke,) = place_strokes(BOX, hand)
    return [(round(x, 6), round(y, 6)) for x, y in stroke.points]


def test_the_longer_side_is_the_hands_height_around_its_centre() -> None:
    assert _placed(Hand(height=80)) == [(130, 100), (150, 100), (150, 180), (130, 180)]
    assert _placed(Hand(height=80, middle=(100.0, 90.0))) == [(90, 50), (110, 50), (110, 130), (90, 130)]


def test_a_slant_leans_to_the_right_and_a_turn_goes_clockwise() -> None:
    assert _placed(Hand(height=80, slant=0.5)) == [(150, 100), (170, 100), (130, 180), (110, 180)]
    assert _placed(Hand(height=80, turn=90)) == [(180, 130), (180, 150), (100, 150), (100, 130)]
    both = _placed(Hand(height=80, slant=0.5, turn=90))  # first the slant
    assert both == [(180, 150), (180, 170), (100, 130), (100, 110)]


def test_a_drawing_stays_on_the_canvas_or_is_centred_if_it_does_not_fit() -> None:
    hand = Hand(pen=20, height=80, middle=(0.0, 280.0))
    assert _placed(hand) == [(10, 190), (30, 190), (30, 270), (10, 270)]
    assert _placed(Hand(pen=20, height=80, middle=(280.0, 0.0))) == [(250, 10), (270, 10), (270, 90), (250, 90)]
    large = _placed(Hand(pen=20, height=400, middle=(0.0, 0.0)))
    assert large == [(10, -60), (110, -60), (110, 340), (10, 340)]


@pytest.mark.parametrize(("pen", "width"), [(0.1, MIN_BRUSH), (12.5, 12.5), (500, MAX_BRUSH)])
def test_pen_widths_are_limited_to_those_of_the_pad(pen: float, width: float) -> None:
    assert {stroke.width for stroke in place_strokes(BOX + BOX, Hand(pen=pen, height=50))} == {width}


def test_a_single_point_is_placed_in_the_centre() -> None:
    (stroke,) = place_strokes([[(3.0, 4.0)]], Hand())
    assert stroke.points == ((140.0, 140.0),)


def test_random_hands_are_plausible_and_fit_the_canvas() -> None:
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


def test_an_unknown_digit_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="There is no polyline for 'x': choose one of 0, 1, 2"):
        draw_digit("x")
