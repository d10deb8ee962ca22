"""A single digit that reaches the edge of its picture is distinguished from other ink that runs off it."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from lab.sketch.cropping import _has_strip, is_single


def _ring(mask: np.ndarray) -> None:
    cv2.ellipse(mask, (30, 40), (25, 36), 0, 0, 360, 255, 7)


def _seven(mask: np.ndarray) -> None:
    cv2.polylines(mask, [np.array([[0, 4], [56, 4], [24, 79]], np.int32)], False, 255, 7)


def _vertical(mask: np.ndarray) -> None:
    mask[:, 24:37] = 255
    mask[:4, 24:27] = mask[:4, 34:37] = mask[-4:, 24:27] = mask[-4:, 34:37] = 0  # its ends are rounded off


def _horizontal(mask: np.ndarray) -> None:
    mask[35:46] = 255


def _short(mask: np.ndarray) -> None:
    mask[:30, 20:30] = 255
    mask[20:30, 20:45] = 255


def _plus(mask: np.ndarray) -> None:
    mask[:, 27:33] = mask[37:43] = 255


def _tee(mask: np.ndarray) -> None:
    mask[30:37] = mask[30:, 27:34] = 255


def _edge_strip(mask: np.ndarray) -> None:
    mask[:, :6] = 255
    cv2.ellipse(mask, (35, 40), (18, 30), 0, 0, 360, 255, 7)


def _corner(mask: np.ndarray) -> None:
    mask[:, :7] = mask[:7] = 255


def _frame(mask: np.ndarray) -> None:
    cv2.rectangle(mask, (2, 2), (57, 77), 255, 5)


def _squares(mask: np.ndarray) -> None:
    for at in (10, 30, 50, 70):
        mask[at : at + 3] = 255
    mask[:, 15:18] = mask[:, 45:48] = 255


def _blob(mask: np.ndarray) -> None:
    cv2.circle(mask, (30, 40), 32, 255, -1)


@pytest.mark.parametrize(
    ("draw", "single"),
    [
        (_ring, True),
        (_seven, True),
        (_vertical, True),
        (_horizontal, False),
        (_short, False),
        (_plus, False),
        (_tee, False),  # three flat ends
        (_edge_strip, False),
        (_corner, False),
        (_frame, False),
        (_squares, False),
        (_blob, False),
    ],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_a_digit_that_fills_its_picture_is_distinguished_from_ink_that_runs_off_it(
    draw: Callable[[np.ndarray], None], single: bool
) -> None:
    mask = np.zeros((80, 60), np.uint8)
    draw(mask)
    assert is_single(mask) is single
    assert not is_single(np.pad(mask, 12))  # nothing reaches the edge


def test_a_strip_along_a_whole_side_is_not_part_of_a_digit() -> None:
    digit = cv2.ellipse(np.zeros((80, 60), np.uint8), (32, 40), (18, 30), 0, 0, 360, 1, 7)
    for turns in range(4):
        strip = np.rot90(digit, turns).copy()
        assert not _has_strip(strip)
        strip[:, :4] = 1
        assert _has_strip(strip)
        strip[: strip.shape[0] // 5, :4] = 0  # less than nine tenths of the side
        assert not _has_strip(strip)


def _stroke(shape: tuple[int, int], start: tuple[int, int], end: tuple[int, int], thick: int) -> np.ndarray:
    """Return a mask with one stroke, which has round ends."""
    return cv2.line(np.zeros(shape, np.uint8), start, end, 255, thick)


@pytest.mark.parametrize(("wide", "single"), [(8, False), (9, True), (12, True)])
def test_an_upright_stroke_is_a_one_if_it_is_no_thinner_than_a_twelfth(wide: int, single: bool) -> None:
    mask = np.zeros((100, 60), np.uint8)
    mask[:, 20 : 20 + wide] = 255
    mask[[0, 0, -1, -1], [20, 19 + wide, 20, 19 + wide]] = 0  # ends that are narrower than the stroke
    assert is_single(mask) is single


@pytest.mark.parametrize(("across", "single"), [(75, True), (84, True), (90, False), (-84, True), (-90, False)])
def test_a_stroke_from_top_to_bottom_is_a_one_if_it_leans_by_at_most_45_degrees(across: int, single: bool) -> None:
    left = 20 if across > 0 else 180
    assert is_single(_stroke((100, 200), (left, 7), (left + across, 92), 11)) is single


@pytest.mark.parametrize(("wide", "single"), [(150, True), (180, True), (190, False)])
def test_a_stroke_that_leans_further_is_a_one_if_it_fills_four_fifths_of_its_picture(wide: int, single: bool) -> None:
    assert is_single(_stroke((100, wide), (9, 9), (140, 90), 15)) is single


@pytest.mark.parametrize(("size", "single"), [(31, False), (33, True)])
def test_a_single_digit_is_longer_than_half_of_its_picture(size: int, single: bool) -> None:
    mask = np.zeros((80, 60), np.uint8)
    cv2.polylines(mask, [np.array([[5, 4], [size - 1, 4], [15, size - 3]], np.int32)], False, 255, 5)
    assert is_single(mask) is single
