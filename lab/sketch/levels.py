"""Separates ink and paper in pictures with only these two levels, lit by light that varies linearly.

In such pictures the paper's level is known everywhere, even where ink is the majority of a neighbourhood: in a digit
that fills its picture, or in very bold strokes. A shadow, a vignette or a printed line is a third level and excludes a
picture.
"""

import cv2
import numpy as np

_MIN = 0.35  # least logarithmic contrast between the two levels
_STRAY = 0.35  # a pixel that misses its level by more than this share of that contrast is a stray
_STRAYS = 0.004  # maximum share of strays among a level's pixels away from outlines
_ROUNDS = 4  # iterations of separating the levels and fitting the light
_MEDIAN = 5  # pixels
_RARE = 0.01  # least share of the pixels for a level
_CROWDED = 0.4  # share of ink in a neighbourhood above which its median may be ink
_FIRST, _LAST = slice(0, 3), slice(-3, None)  # rows and columns of a corner
_THICK = 0.5  # of a side; anything thicker is not a stroke
_THICKER = 3.0  # maximum width of strokes / widest paper; a sheet between a scanner's strips is thicker


def paper_of_two_levels(level: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the paper's level, float32 (H, W, C), and the mask of the ink, bool (H, W); None if there are more levels.

    level: float32 (H, W, C), logarithms, at most a few hundred pixels a side.
    """
    # Remove grain and the blocks of a coarse JPEG; strokes that crowd a picture are wider.
    quiet = cv2.medianBlur(np.ascontiguousarray(level), _MEDIAN).reshape(level.shape)
    along = _principal(quiet)
    if float(np.ptp(along)) < _MIN:
        return None
    split = _split(along)
    if split is None:
        return None
    ink = _ink_of(split)
    if _thickness(ink) > min(_THICK * max(ink.shape), _THICKER * _thickness(~ink)):
        return None
    rows, columns = np.indices(along.shape)
    terms = np.column_stack((np.ones(along.size), rows.ravel(), columns.ravel(), ink.ravel()))
    fitted, *_ = np.linalg.lstsq(terms, level.reshape(along.size, -1).astype(np.float64), rcond=None)
    paper = (terms[:, :3] @ fitted[:3]).reshape(level.shape).astype(np.float32)
    return paper, ink


def _principal(level: np.ndarray) -> np.ndarray:
    """Return the first principal component of the colours, float64 (H, W)."""
    rows = level.reshape(-1, level.shape[2]).astype(np.float64)
    rows -= rows.mean(axis=0)
    _, axes = np.linalg.eigh(rows.T @ rows)
    along: np.ndarray = (rows @ axes[:, -1]).reshape(level.shape[:2])
    return along


def _split(along: np.ndarray) -> np.ndarray | None:
    """Return which of two levels each pixel has, bool (H, W); None if two levels and a plane of light do not fit."""
    rows, columns = np.indices(along.shape)
    light = np.zeros_like(along)
    upper = np.zeros(along.shape, bool)
    fitted = np.zeros(4)
    for _ in range(_ROUNDS):
        upper = _above_otsu(along - light)
        if not _RARE <= upper.mean() <= 1 - _RARE:
            return None
        terms = np.column_stack((np.ones(along.size), rows.ravel(), columns.ravel(), upper.ravel()))
        fitted, *_ = np.linalg.lstsq(terms, along.ravel(), rcond=None)
        light = (terms[:, 1:3] @ fitted[1:3]).reshape(along.shape)
    apart = float(fitted[3])
    away = np.abs(along - light - fitted[0] - apart * upper)
    plane = upper.astype(np.uint8)
    around = np.ones((3, 3), np.uint8)
    inner = (cv2.erode(plane, around) == plane) & (cv2.dilate(plane, around) == plane)
    inner[[0, -1]] = inner[:, [0, -1]] = False  # a stroke along the edge is cut lengthwise
    stray = away > _STRAY * apart
    if apart < _MIN or not all(
        (where := inner & level).any() and stray[where].mean() <= _STRAYS for level in (upper, ~upper)
    ):
        return None
    return upper


def _above_otsu(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    whole = np.rint((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    _, upper = cv2.threshold(whole, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    above: np.ndarray = upper > 0
    return above


def _ink_of(upper: np.ndarray) -> np.ndarray:
    """Return which of two levels is ink: the one with fewer corners of the picture, or the one that reaches all sides.

    If a stroke reaches all four sides, no piece of paper can connect opposite ones.
    """
    corners = sum(float(upper[down, across].mean()) > 0.5 for down in (_FIRST, _LAST) for across in (_FIRST, _LAST))
    if corners != 2:
        return upper if corners < 2 else ~upper
    for ink in (upper, ~upper):
        if _spans(ink.astype(np.uint8)) and _thickness(ink) <= _THICK * min(upper.shape):
            return ink
    return upper if _border_share(upper) <= 0.5 else ~upper


def _thickness(ink: np.ndarray) -> float:
    """Return the width of the thickest stroke in pixels."""
    return 2 * float(cv2.distanceTransform(np.pad(ink.astype(np.uint8), 1), cv2.DIST_L2, 3).max())


def _spans(plane: np.ndarray) -> bool:
    """Whether one connected piece of uint8 (H, W) reaches all four sides."""
    _, labels = cv2.connectedComponents(plane, connectivity=8)
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    shared = set.intersection(*(set(np.unique(side).tolist()) for side in sides))
    return bool(shared - {0})


def _border_share(upper: np.ndarray) -> float:
    border = np.concatenate([upper[0], upper[-1], upper[:, 0], upper[:, -1]])
    return float(border.mean())


def is_crowded(ink: np.ndarray, reach: int) -> bool:
    """Whether ink, bool (H, W), reaches the edge or is nearly the majority in a neighbourhood `reach` pixels wide."""
    if any(side.any() for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1])):
        return True
    share = cv2.boxFilter(ink.astype(np.float32), -1, (reach, reach), borderType=cv2.BORDER_REFLECT_101)
    return float(share.max()) > _CROWDED
