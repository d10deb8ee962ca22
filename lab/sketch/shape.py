"""What a normalised picture's outline is like, in numbers that frames, blots and rules have and digits have not."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

_FINE = 4  # outlines are measured at this multiple of the picture's resolution
_SOLID = 100  # ink level that counts as stroke
_HOLE = 0.2  # share of what the outline encloses that must be paper to call it a ring
# Beyond the most that a sample of the data has: other members of it differ a little.
_MARGIN = 0.05
_STRETCH = 1.2
_LEAN_MARGIN = 3.0
_LONG = (
    4.0  # spread along a stroke by the spread across it, from which on it is nothing but a long stroke: 1, I, a rule
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Measures of a picture; as limits, the most that is usual.

    rectangle, triangle: what a ring's outline fills of the smallest rectangle and triangle around it, 0 without a
    ring; an ellipse fills 0.79 and 0.60. blot: width of the thickest place by the longer side. wide: width by height.
    lean: degrees between the vertical and ink that is one long stroke, 0 for any other; of MNIST's test pictures the
    1 that leans furthest has 45.
    """

    rectangle: float = 0.87
    triangle: float = 0.85
    blot: float = 0.7
    wide: float = 2.5
    lean: float = 50.0


def measure_shape(image: np.ndarray) -> Shape | None:
    """Measure a picture uint8 (H, W), light ink on black; None without ink."""
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
    """Return by how many degrees a long stroke leans, 0 where the ink is none."""
    longest, degrees = spread(ink)
    return abs(degrees) if longest >= _LONG else 0.0


def spread(ink: np.ndarray) -> tuple[float, float]:
    """Return how much further ink, uint8 (H, W) above zero, spreads along its principal axis than across it.

    And by how many degrees that axis leans away from the vertical, below zero to the right. There must be some ink.
    """
    moments = cv2.moments(ink, binaryImage=True)
    down, across, both = (moments[name] / moments["m00"] for name in ("mu02", "mu20", "mu11"))
    middle, apart = (down + across) / 2, math.hypot((down - across) / 2, both)
    longest = math.sqrt((middle + apart) / max(1 / 12, middle - apart))  # 1/12: of one pixel
    return longest, math.degrees(math.atan2(2 * both, down - across)) / 2


def solidity(ink: np.ndarray) -> float:
    """Return the share of its convex hull that ink, uint8 (H, W) above zero, fills; there must be some."""
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
    """Return the most that pictures of a data set have (uint8), with a margin; never stricter than the defaults are."""
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
    """Return in words why a normalised picture is no member of the data set by its outline; None if it may be one."""
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
