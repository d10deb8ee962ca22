"""Measures the outline of normalised pictures, to recognise frames, blots and lines that are not digits."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

_FINE = 4  # outlines are measured at this multiple of the picture's resolution
_SOLID = 100  # ink level that counts as stroke
_HOLE = 0.2  # least share of paper inside the outline of a ring
# Margins above the maximum in a sample of the data: other members differ a little.
_MARGIN = 0.05
_STRETCH = 1.2
_LEAN_MARGIN = 3.0
_LONG = 4.0  # least spread along / spread across of ink that is one long stroke: 1, I, a ruler line


@dataclass(frozen=True, slots=True)
class Shape:
    """Measures of a picture; as limits, the usual maximum.

    rectangle, triangle: share of the smallest rectangle and triangle around a ring that its outline fills, 0 without a
    ring; an ellipse fills 0.79 and 0.60. blot: width at the thickest point / longer side. wide: width / height. lean:
    degrees between the vertical and ink that is one long stroke, 0 for other ink; at most 45 among the 1s of MNIST's
    test pictures.
    """

    rectangle: float = 0.87
    triangle: float = 0.85
    blot: float = 0.7
    wide: float = 2.5
    lean: float = 50.0


def measure_shape(image: np.ndarray) -> Shape | None:
    """Return the measures of a picture uint8 (H, W), light ink on black; None if it has no ink."""
    large = cv2.resize(image, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_CUBIC)
    ink = np.pad(np.where(large >= _SOLID, 255, 0).astype(np.uint8), 1)
    outlines, _ = cv2.findContours(ink, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    points = np.concatenate(outlines)
    _, _, across, down = cv2.boundingRect(points)
    thickest = 2 * float(cv2.distanceTransform(ink, cv2.DIST_L2, 5).max())
    rectangle, triangle = _filled(max(outlines, key=cv2.contourArea), ink)
    return Shape(rectangle, triangle, thickest / max(across, down), across / down, _lean(ink))


def _lean(ink: np.ndarray) -> float:
    """Return by how many degrees a long stroke leans, 0 if the ink is not a long stroke."""
    longest, degrees = spread(ink)
    return abs(degrees) if longest >= _LONG else 0.0


def spread(ink: np.ndarray) -> tuple[float, float]:
    """Return spread along / spread across the principal axis of ink, and how far that axis leans, in degrees.

    ink: uint8 (H, W), above zero; at least one pixel. The lean is measured from the vertical, negative to the right.
    """
    moments = cv2.moments(ink, binaryImage=True)
    down, across, both = (moments[name] / moments["m00"] for name in ("mu02", "mu20", "mu11"))
    middle, apart = (down + across) / 2, math.hypot((down - across) / 2, both)
    longest = math.sqrt((middle + apart) / max(1 / 12, middle - apart))  # 1/12: of one pixel
    return longest, math.degrees(math.atan2(2 * both, down - across)) / 2


def solidity(ink: np.ndarray) -> float:
    """Return the share of its convex hull that ink fills. ink: uint8 (H, W), above zero; at least one pixel."""
    points = cv2.findNonZero(ink)
    hull = cv2.convexHull(points)
    return min(1.0, len(points) / max(1.0, cv2.contourArea(hull)))


def _filled(outline: np.ndarray, ink: np.ndarray) -> tuple[float, float]:
    area = cv2.contourArea(outline)
    if area < 16:
        return 0.0, 0.0
    inside = np.zeros_like(ink)
    cv2.drawContours(inside, [outline], -1, 255, cv2.FILLED)
    if float((ink[inside > 0] == 0).mean()) < _HOLE:
        return 0.0, 0.0
    box = cv2.minAreaRect(outline)[1]
    triangle = cv2.minEnclosingTriangle(outline)[0]
    return area / max(1.0, box[0] * box[1]), area / max(1.0, triangle)


def runs(row: np.ndarray) -> list[tuple[int, int]]:
    """Return (start, end) of each run of ink in a row of pixels, bool (W,)."""
    steps = np.flatnonzero(np.diff(np.pad(row.astype(np.int8), 1)))
    return list(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))


def is_frame(ink: np.ndarray) -> bool:
    """Whether a connected piece of ink, uint8 (H, W) above zero, is the outline of a rectangle."""
    outlines, _ = cv2.findContours(np.pad(ink, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return bool(outlines) and _filled(max(outlines, key=cv2.contourArea), np.pad(ink, 1))[0] > Shape().rectangle


def learn_limits(images_BHW: np.ndarray) -> Shape:
    """Return the maxima over pictures of a data set (uint8) plus a margin; never stricter than the defaults."""
    shapes = [shape for shape in map(measure_shape, images_BHW) if shape is not None]
    least = Shape()
    if not shapes:
        return least
    return Shape(
        max(least.rectangle, max(s.rectangle for s in shapes) + _MARGIN),
        max(least.triangle, max(s.triangle for s in shapes) + _MARGIN),
        max(least.blot, max(s.blot for s in shapes) + _MARGIN),
        max(least.wide, max(s.wide for s in shapes) * _STRETCH),
        max(least.lean, max(s.lean for s in shapes) + _LEAN_MARGIN),
    )


def shape_reason(image: np.ndarray, limits: Shape) -> str | None:
    """Return why, judged by its outline, a normalised picture cannot belong to the data set; None if it may."""
    shape = measure_shape(image)
    if shape is None:
        return None
    if shape.rectangle > limits.rectangle:
        return "it is a frame"
    if shape.triangle > limits.triangle:
        return "it is a triangle"
    if shape.blot > limits.blot:
        return "it is a blot"
    if shape.wide > limits.wide:
        return "it is a line, wider than anything in the data set"
    if shape.lean > limits.lean:
        return "it is a line that leans further than anything in the data set"
    return None
