"""Rings around digits, in drawn masks: what a ring surrounds, how far it may be open, and what is not a ring."""

import cv2
import numpy as np
import pytest

from lab.sketch.circles import _covered, holds_another, without_circles
from lab.sketch.pieces import Pieces, find_pieces


def _mask(side: int = 120) -> np.ndarray:
    return np.zeros((side, side), np.uint8)


def _ring(mask: np.ndarray, *, open_by: float = 0.0, radius: int = 45) -> None:
    middle = mask.shape[0] // 2
    cv2.ellipse(mask, (middle, middle), (radius, radius), 0, open_by, 360, 255, 3)


def _bar(mask: np.ndarray, top: int, left: int, tall: int, wide: int = 6) -> None:
    mask[top : top + tall, left : left + wide] = 255


def _all(mask: np.ndarray) -> tuple[Pieces, list[int]]:
    pieces = find_pieces(mask)
    return pieces, list(range(len(pieces.boxes)))


def _left(mask: np.ndarray) -> list[int]:
    """Return the heights of the remaining pieces."""
    pieces, numbers = _all(mask)
    return [pieces.boxes[i][2] - pieces.boxes[i][0] for i in without_circles(pieces, numbers)]


def test_a_ring_around_a_digit_is_left_out_and_the_digit_stays() -> None:
    mask = _mask()
    _ring(mask)
    _bar(mask, 45, 57, 30)
    assert _left(mask) == [30]


@pytest.mark.parametrize(("open_by", "left"), [(30, 1), (60, 1), (80, 1), (100, 2), (180, 2)])
def test_a_ring_may_be_open_by_a_quarter(open_by: float, left: int) -> None:
    """By 70 degrees seen from the centre of its hull, which is further from the gap than the ring's own centre."""
    mask = _mask()
    _ring(mask, open_by=open_by)
    _bar(mask, 45, 57, 30)
    assert len(_left(mask)) == left


@pytest.mark.parametrize(("tall", "left"), [(22, 2), (24, 1)])
def test_a_piece_smaller_than_a_quarter_of_the_ring_is_a_dot_in_a_zero(tall: int, left: int) -> None:
    mask = _mask()
    _ring(mask, radius=45)  # 93 pixels wide with its line
    _bar(mask, 48, 57, tall)
    assert len(_left(mask)) == left


def test_pieces_next_to_a_ring_or_in_the_corner_of_its_box_are_not_surrounded() -> None:
    beside = _mask()
    _ring(beside, radius=30)
    _bar(beside, 45, 105, 30)
    corner = _mask()
    points = np.array([[60, 5], [115, 60], [60, 115], [5, 60]], np.int32)
    cv2.polylines(corner, [points], True, 255, 3)
    _bar(corner, 8, 8, 24, 18)
    for mask in (beside, corner):
        assert len(_left(mask)) == 2


def test_a_thick_stroke_around_another_is_not_a_ring() -> None:
    mask = _mask(240)
    mask[20:220, 20:220] = 255
    mask[30:210, 70:220] = 0  # a bracket, open to the right, whose back is half as wide as its hull is deep
    _bar(mask, 90, 140, 60)
    assert len(_left(mask)) == 2


def test_a_ring_larger_than_the_working_size_is_found_too() -> None:
    mask = _mask(700)
    cv2.circle(mask, (350, 350), 330, 255, 6)
    _bar(mask, 250, 330, 200, 30)
    assert _left(mask) == [200]


def test_a_frame_holds_another_piece_and_strokes_side_by_side_do_not() -> None:
    mask = _mask()
    cv2.rectangle(mask, (10, 10), (110, 110), 255, 3)
    _bar(mask, 40, 57, 40)
    pieces, numbers = _all(mask)
    assert holds_another(pieces, numbers)
    assert not holds_another(pieces, numbers[:1])
    assert not holds_another(pieces, numbers[1:])
    apart = _mask()
    _bar(apart, 10, 20, 90)
    _bar(apart, 40, 60, 40)
    assert not holds_another(*_all(apart))


def test_sectors_around_the_centre_with_ink_are_counted() -> None:
    hull = _mask()
    cv2.circle(hull, (60, 60), 46, 1, -1)
    ring = _mask()
    _ring(ring)
    assert _covered(ring > 0, hull) >= 36
    ring[:, :60] = 0
    assert _covered(ring > 0, hull) in (18, 19)
    ring[:60] = 0
    assert _covered(ring > 0, hull) in (9, 10)
