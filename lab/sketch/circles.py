"""Removes circles, clouds and frames that are drawn around digits, so that only what they surround is read.

A digit surrounds nothing of a digit's size: its separate parts, such as the bar of a 5, lie next to it.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from lab.sketch.boxes import Box
from lab.sketch.pieces import Pieces, longer

_WITHIN = 0.25  # least longer side of what is surrounded, relative to the ring's; a dot in a zero has less
_RIM = 0.4  # maximum depth of a ring's ink in its convex hull, as a share of the hull's depth
_STRAY = 2  # per cent of the ring's ink that may lie deeper: where its ends cross
_LOOKED_AT = 8  # the number of largest pieces that are examined
_SIDE = 320  # maximum longer side, in pixels, at which they are examined
_SECTORS = 36
_AROUND = 29  # least sectors around the centre in which a ring has ink: it may have a gap of 70 degrees


def without_circles(pieces: Pieces, numbers: Sequence[int]) -> list[int]:
    """Return the pieces (numbered from 0) that are not rings around others."""
    around = [(i, [k for k in numbers if _could_be_in(pieces, k, i)]) for i in _largest(pieces, numbers)]
    rings = {i for i, inner in around if inner and _is_ring_around(pieces, i, inner)}
    return [i for i in numbers if i not in rings]


def holds_another(pieces: Pieces, numbers: Sequence[int]) -> bool:
    """Whether a piece has another one of a digit's size in its box; frames do, the strokes of a digit do not."""
    return any(_could_be_in(pieces, other, each) for each in numbers for other in numbers)


def _largest(pieces: Pieces, numbers: Sequence[int]) -> list[int]:
    return sorted(numbers, key=lambda i: -longer(pieces.boxes[i]))[:_LOOKED_AT]


def _could_be_in(pieces: Pieces, number: int, ring: int) -> bool:
    inner, outer = pieces.boxes[number], pieces.boxes[ring]
    return number != ring and _lies_in(inner, outer) and longer(inner) >= _WITHIN * longer(outer)


def _lies_in(inner: Box, outer: Box) -> bool:
    return inner[0] > outer[0] and inner[1] > outer[1] and inner[2] < outer[2] and inner[3] < outer[3]


def _is_ring_around(pieces: Pieces, number: int, inner: Sequence[int]) -> bool:
    """Whether a piece surrounds at least one of the `inner` pieces, which lie in its box."""
    top, left, bottom, right = pieces.boxes[number]
    step = -(-max(bottom - top, right - left) // _SIDE)
    labels = np.pad(pieces.labels[top:bottom:step, left:right:step], 1)
    ink = labels == number + 1
    if not ink.any():
        return False
    hull = np.zeros(ink.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(ink.astype(np.uint8))), 1)
    depth = cv2.distanceTransform(hull, cv2.DIST_L2, 3)
    if float(np.percentile(depth[ink], 100 - _STRAY)) > _RIM * float(depth.max()) or _covered(ink, hull) < _AROUND:
        return False
    return any(bool((hull[labels == other + 1] > 0).all()) for other in inner)


def _covered(ink: np.ndarray, hull: np.ndarray) -> int:
    """Return the number of sectors around the hull's centre that have ink."""
    middle = [float(axis.mean()) for axis in np.nonzero(hull)]
    rows, columns = np.nonzero(ink)
    angles = np.arctan2(rows - middle[0], columns - middle[1])
    return len(np.unique(np.floor((angles + np.pi) / (2 * np.pi) * _SECTORS)))
