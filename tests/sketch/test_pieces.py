"""Pieces of ink grouped into digits, on both sides of each limit. A box is (top, left, bottom, right)."""

import numpy as np
import pytest

from lab.sketch.boxes import Box
from lab.sketch.pieces import Pieces, group, longer, without_dust

STROKE: Box = (0, 0, 100, 20)


def pieces(*boxes: Box, areas: tuple[int, ...] = ()) -> Pieces:
    return Pieces(np.zeros((1, 1), np.int32), boxes, areas or (1,) * len(boxes))


def grouped(*boxes: Box, split: bool = True) -> list[list[int]]:
    return [numbers for _, numbers in group(pieces(*boxes), range(len(boxes)), split=split)]


@pytest.mark.parametrize(
    ("name", "boxes", "expected"),
    [
        # The median height is 100, so a piece is close up to a gap of 50.
        ("a bar close below", [STROKE, (300, 0, 400, 20), (150, 0, 160, 20)], [[0, 2], [1]]),
        ("a bar too far below", [STROKE, (300, 0, 400, 20), (151, 0, 160, 20)], [[0], [1]]),
        ("half of the narrower next to it", [STROKE, (300, 0, 400, 20), (120, 10, 130, 30)], [[0, 2], [1]]),
        ("less than half next to it", [STROKE, (300, 0, 400, 20), (120, 11, 160, 31)], [[0], [2], [1]]),
        # Pieces of similar height, from 60 % on, are two digits unless their gap is at most 20 % of the taller one.
        ("alike and close", [STROKE, (120, 0, 220, 20)], [[0, 1]]),
        ("alike and apart", [STROKE, (121, 0, 221, 20)], [[0], [1]]),
        ("alike from 60 % on", [STROKE, (130, 0, 190, 20)], [[0], [1]]),
        ("less alike", [STROKE, (130, 0, 189, 20)], [[0, 1]]),
        # A piece smaller than 30 % of the largest is not a digit.
        ("large enough", [STROKE, (0, 100, 30, 110)], [[0], [1]]),
        ("punctuation", [STROKE, (0, 100, 29, 110)], [[0]]),
        # Lines from top to bottom, each from left to right; a digit belongs to the line in which its centre lies.
        (
            "reading order",
            [(10, 200, 110, 220), (0, 0, 100, 20), (300, 100, 400, 120), (290, 0, 390, 20)],
            [[1], [0], [3], [2]],
        ),
        ("middle in the line", [(0, 100, 100, 120), (50, 0, 150, 20)], [[1], [0]]),
        ("middle below the line", [(0, 100, 100, 120), (51, 0, 151, 20)], [[0], [1]]),
        ("nothing", [], []),
    ],
)
def test_pieces_that_belong_together_are_grouped_in_reading_order(
    name: str, boxes: list[Box], expected: list[list[int]]
) -> None:
    assert grouped(*boxes) == expected


def test_a_digit_has_all_of_its_pieces_and_the_box_around_them() -> None:
    ((box, numbers),) = group(pieces((10, 5, 20, 9), (0, 30, 8, 44), (3, 1, 50, 2)), [0, 2], split=False)
    assert (box, numbers) == ((3, 1, 50, 9), [0, 2])
    assert group(pieces(), [], split=False) == []
    ((box, numbers),) = group(pieces(STROKE, (110, 5, 120, 60)), [0, 1])
    assert (box, numbers, longer(box)) == ((0, 0, 120, 60), [0, 1], 120)


def test_dust_is_less_than_a_fiftieth_of_the_largest_piece_or_less_than_four_pixels() -> None:
    boxes = (STROKE,) * 4
    assert without_dust(pieces(*boxes, areas=(1000, 20, 19, 4)), [0, 1, 2, 3]) == [0, 1]
    assert without_dust(pieces(*boxes, areas=(100, 4, 3, 9)), [0, 1, 2, 3]) == [0, 1, 3]
    assert without_dust(pieces(*boxes, areas=(1000, 20, 19, 4)), [2, 3]) == [2, 3]
    assert without_dust(pieces(), []) == []
