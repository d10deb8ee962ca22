"""Detects crossed-out digits: a straight line crosses their strokes and extends beyond both ends, or two lines cross.

A 4 and a 7 have straight strokes that cross one other stroke; a line that crosses something out crosses two strokes, or
a stroke and another such line.
"""

import math

import cv2
import numpy as np

from lab.sketch.shape import runs

_SIDE = 48  # longer side, in pixels, to which a drawing is scaled to find lines
_SOLID = 100  # ink level that counts as stroke
_TURN = 4  # degrees between the directions that are tried
_LENGTH = 0.75  # least length of such a line, as a share of the longer side
_TIP = 0.1  # length of the free ends of the line, as a share of the longer side
_BESIDE = 2  # pixels next to the line that must be free at its ends
_BEYOND = 5  # pixels next to the line at which crossing strokes continue
_CROSSED = 2  # least number of strokes that a line must cross
_LEVEL = 32  # maximum degrees from the horizontal of a line that strikes out by crossing a single stroke
_STRUCK = 0.88  # least length of such a line, as a share of the longer side; the bar of a 7 is shorter
_CROSS = 40  # least degrees between two lines that form a cross


def is_crossed_out(ink: np.ndarray) -> bool:
    """Whether a line or a cross runs across the drawing. ink: uint8 (H, W), light ink on black, any resolution."""
    points = cv2.findNonZero(np.where(ink >= _SOLID, 255, 0).astype(np.uint8))
    if points is None:
        return False
    left, top, wide, tall = cv2.boundingRect(points)
    scale = _SIDE / max(wide, tall)
    crop = ink[top : top + tall, left : left + wide]
    reduced = max(1, round(scale * wide)), max(1, round(scale * tall))
    small = cv2.resize(crop, reduced, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    mask = np.where(small >= _SOLID, 255, 0).astype(np.uint8)
    lines: list[int] = []
    for degrees in _directions(mask):
        turned = _turned(mask, degrees)
        found = [_crossings(turned, int(row)) for row in _long_rows(turned)]
        crossed = max((count for count, _ in found), default=0)
        longest = max((length for count, length in found if count), default=0)
        struck = min(degrees, 180 - degrees) <= _LEVEL and longest >= _STRUCK * _SIDE
        cross = crossed and any(_CROSS <= degrees - one <= 180 - _CROSS for one in lines)
        if crossed >= _CROSSED or struck or cross:
            return True
        lines += [degrees] if crossed else []
    return False


def _directions(mask: np.ndarray) -> list[int]:
    """Return the directions, in degrees, in which a row of the rotated mask may have enough ink for a line."""
    rows, columns = np.nonzero(mask)
    degrees = np.arange(0, 180, _TURN)
    angles = np.radians(degrees)[:, None]
    across = np.rint(rows * np.cos(angles) + columns * np.sin(angles)).astype(int)
    across -= across.min()
    span = int(across.max()) + 1
    counts = np.bincount((across + span * np.arange(len(degrees))[:, None]).ravel(), minlength=span * len(degrees))
    enough = counts.reshape(len(degrees), span).max(axis=1) >= 0.8 * _LENGTH * _SIDE  # rounding spreads a line
    return [int(each) for each in degrees[enough]]


def _turned(mask: np.ndarray, degrees: int) -> np.ndarray:
    """Return a mask rotated about its centre, bool (S, S), with a margin of paper."""
    tall, wide = mask.shape
    side = math.ceil(math.hypot(tall, wide)) + 2 * _BEYOND + 4
    matrix = cv2.getRotationMatrix2D(((wide - 1) / 2, (tall - 1) / 2), -degrees, 1.0)
    matrix[:, 2] += (side - wide) / 2, (side - tall) / 2
    return np.asarray(cv2.warpAffine(mask, matrix, (side, side)) > 127)


def _long_rows(turned: np.ndarray) -> np.ndarray:
    """Return the indices of rows that have enough ink for a line."""
    return np.flatnonzero(turned.sum(axis=1) >= _LENGTH * _SIDE)


def _crossings(turned: np.ndarray, row: int) -> tuple[int, int]:
    """Return how many strokes the longest line in a row crosses, and its length; zeros if it is no such line.

    A line is none if it is too short or its ends are not free.
    """
    start, end = max(runs(turned[row]), key=lambda run: run[1] - run[0])
    if end - start < _LENGTH * _SIDE:
        return 0, 0
    upper, lower = (_rim(turned, row, start, end, step) for step in (-1, 1))
    tip = round(_TIP * _SIDE)
    for at in (upper - _BESIDE + 1, lower + _BESIDE - 1):
        if turned[at, start : start + tip].any() or turned[at, end - tip : end].any():
            return 0, 0
    above, below = runs(turned[upper - _BEYOND + 1, start:end]), runs(turned[lower + _BEYOND - 1, start:end])
    crossed = sum(any(b[0] - _BEYOND < a[1] and a[0] < b[1] + _BEYOND for b in below) for a in above)
    return crossed, end - start


def _rim(turned: np.ndarray, row: int, start: int, end: int, step: int) -> int:
    """Return the first row on one side of a line that no longer belongs to it."""
    while turned[row, start:end].mean() > 0.5:  # ends at the margin of paper at the latest
        row += step
    return row
