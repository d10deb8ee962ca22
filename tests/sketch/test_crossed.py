"""Lines that cross out a digit, in masks of 48 pixels: their directions, what they cross, and how far they extend."""

import numpy as np
import pytest

from lab.sketch.crossed import _BEYOND, _crossings, _directions, _long_rows, _rim, _turned, is_crossed_out

Place = tuple[slice, slice]


def _sheet(*places: Place, side: int = 80) -> np.ndarray:
    sheet = np.zeros((side, side), bool)
    for place in places:
        sheet[place] = True
    return sheet


LINE: Place = (slice(40, 43), slice(10, 58))  # three rows thick, 48 long


def _upright(left: int, *, above: bool = True, below: bool = True) -> Place:
    return slice(25 if above else 40, 58 if below else 43), slice(left, left + 4)


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([], (0, 48)),
        ([_upright(30)], (1, 48)),
        ([_upright(22), _upright(42)], (2, 48)),
        ([_upright(22), _upright(32), _upright(42)], (3, 48)),
        ([_upright(30, below=False)], (0, 48)),  # ends at the line
        ([_upright(30, above=False)], (0, 48)),
        ([_upright(22, below=False), _upright(42, above=False)], (0, 48)),
        ([_upright(12)], (0, 0)),  # within five pixels of the end, so the line does not extend beyond it
        ([_upright(54)], (0, 0)),
        ([_upright(16)], (1, 48)),
        ([_upright(48)], (1, 48)),
    ],
)
def test_a_line_crosses_the_strokes_that_continue_on_both_sides(others: list[Place], found: tuple[int, int]) -> None:
    sheet = _sheet(LINE, *others)
    assert [_crossings(sheet, row) for row in (40, 41, 42)] == [found] * 3


def test_a_line_is_at_least_three_quarters_of_the_side_long() -> None:
    assert _crossings(_sheet((slice(40, 43), slice(10, 46)), _upright(30)), 41) == (1, 36)
    assert _crossings(_sheet((slice(40, 43), slice(10, 45)), _upright(30)), 41) == (0, 0)
    long, short = _sheet((slice(40, 42), slice(10, 46))), _sheet((slice(40, 42), slice(10, 45)))
    assert (_long_rows(long).tolist(), _long_rows(short).tolist()) == ([40, 41], [])


def test_the_longest_of_several_runs_in_a_row_is_the_line() -> None:
    assert _crossings(_sheet(LINE, (slice(40, 43), slice(60, 70)), _upright(64), _upright(30)), 41) == (1, 48)


def test_the_rim_of_a_line_is_the_first_row_with_at_most_half_of_its_ink() -> None:
    sheet = _sheet(LINE, (slice(43, 44), slice(10, 34)), (slice(39, 40), slice(10, 35)))
    assert _rim(sheet, 41, 10, 58, 1) == 43  # 24 of 48
    assert _rim(sheet, 41, 10, 58, -1) == 38  # 25 of 48


@pytest.mark.parametrize("degrees", [0, 4, 44, 88, 136, 176])
def test_a_line_is_found_in_its_own_direction_and_is_horizontal_after_rotation(degrees: int) -> None:
    angle = np.radians(degrees)
    away = np.arange(-24, 24.5, 0.5)
    mask = np.zeros((49, 49), np.uint8)
    mask[np.rint(24 - away * np.sin(angle)).astype(int), np.rint(24 + away * np.cos(angle)).astype(int)] = 255
    assert _directions(mask) == [degrees]
    rows = np.flatnonzero(_turned(mask, degrees).any(axis=1))
    assert set(rows.tolist()) <= {41, 42}  # the middle of 84 rows
    assert _directions(np.flipud(mask)) == [-degrees % 180]


def test_a_rotated_mask_keeps_its_ink_within_a_margin_of_paper() -> None:
    mask = np.zeros((20, 48), np.uint8)
    mask[5:9, 10:40] = 255
    turned = _turned(mask, 0)
    assert turned.shape == (66, 66)  # the diagonal of 52, and twice 5 + 2 pixels
    assert turned.sum() == 120
    assert _turned(mask, 88).sum() == pytest.approx(120, rel=0.1)
    assert not turned[: 2 + _BEYOND].any()
    rows, columns = (np.flatnonzero(turned.any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (4, 30)
    assert (rows[0], columns[0]) == (5 + 23, 10 + 9)


def test_only_a_long_horizontal_line_over_a_stroke_crosses_it_out() -> None:
    """Only the ink counts, at any resolution: its longer side is first scaled to 48 pixels."""

    ink = np.zeros((60, 60), np.uint8)
    ink[15:45, 28:32] = ink[29:32, 6:54] = 255  # a line of 48 pixels over an upright stroke of 30
    assert is_crossed_out(ink)
    assert is_crossed_out(np.kron(ink, np.ones((4, 4), np.uint8)))
    assert not is_crossed_out(ink.T.copy())  # a long upright stroke and a short bar
    assert is_crossed_out(np.where(ink > 0, 100, 0).astype(np.uint8))
    assert not is_crossed_out(np.where(ink > 0, 99, 0).astype(np.uint8))  # too faint to be ink
    shorter = np.zeros((60, 60), np.uint8)
    shorter[5:55, 10:14] = shorter[15:45, 28:32] = shorter[29:32, 18:60] = 255  # 42 of 50 pixels: less than nine tenths
    assert not is_crossed_out(shorter)
