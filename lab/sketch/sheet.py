"""Finds the sheet of paper in a photo: a light (or dark) quadrilateral on a table of different brightness.

Otsu's threshold (1979) on the reduced, median-filtered picture gives two classes. A class is a sheet if its outline is
a convex quadrilateral and the other class surrounds it. A shadow is not a sheet: it reaches the picture's edges.
"""

from collections.abc import Sequence

import cv2
import numpy as np

_SIDE = 240  # longer side, in pixels, at which the sheet is searched for
_AREA = (0.08, 0.95)  # least and greatest share of the picture that a sheet may cover
_RECTANGULAR = 0.86  # least share of the smallest rectangle around it
_CONVEX = 0.94  # least share of its convex hull
_SURROUNDED = 0.7  # least share of a side of the picture that is table
_SIDES = 3  # least number of sides of the picture with that much table
_CONTRAST = 24.0  # least difference between sheet and table, in grey levels
_STEP = 0.5  # least share of that contrast within a few pixels of the outline: gradually fading light has no edge
_FILLED = 0.75  # least share of the outline's inside with the sheet's own brightness; a frame or a "0" has less
_BESIDE = 4  # pixels on both sides of an outline that are compared
_LONG = 3.0  # maximum longest side / shortest side; anything longer is a stroke
_INSET = 0.012  # share of a sheet's sides that is cut off with its edge, in addition to 3 pixels


def cut_sheet(picture: np.ndarray) -> np.ndarray:
    """Return the rectified sheet, float32 (h, w, C), or the unchanged picture (H, W, C) if there is none."""
    corners = find_sheet(picture)
    if corners is None:
        return picture
    across = (np.linalg.norm(corners[1] - corners[0]) + np.linalg.norm(corners[2] - corners[3])) / 2
    down = (np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])) / 2
    wide, tall = max(8, round(float(across))), max(8, round(float(down)))
    left, top = _INSET * wide + 3, _INSET * tall + 3
    target = np.array(
        [[-left, -top], [wide + left, -top], [wide + left, tall + top], [-left, tall + top]], dtype=np.float32
    )
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    warped = cv2.warpPerspective(picture, matrix, (wide, tall), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return warped.reshape(tall, wide, picture.shape[2])


def find_sheet(picture: np.ndarray) -> np.ndarray | None:
    """Return the sheet's corners (4, 2) in pixels (x, y), clockwise from the upper left; None if there is no sheet."""
    tall, wide = picture.shape[:2]
    scale = _SIDE / max(tall, wide)
    if scale >= 1 or min(tall, wide) * scale < 24:
        scale = 1.0
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small = small.reshape(*small.shape[:2], -1)
    best: tuple[float, np.ndarray] | None = None
    for channel in range(small.shape[2]):
        plane = cv2.medianBlur(np.clip(small[..., channel], 0, 255).astype(np.uint8), 5)
        _, light = cv2.threshold(plane, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        for mask in (light, 255 - light):
            found = _quadrilateral(mask, plane)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
    return None if best is None else best[1] / scale


def _quadrilateral(mask: np.ndarray, plane: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Return (contrast, corners) of a class's largest piece if it is a sheet, else None."""
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    outline = max(contours, key=cv2.contourArea)
    area = cv2.contourArea(outline)
    hull = cv2.convexHull(outline)
    box = cv2.minAreaRect(hull)
    if not _AREA[0] * mask.size <= area <= _AREA[1] * mask.size:
        return None
    if max(box[1]) > _LONG * min(box[1]):
        return None
    if area < _CONVEX * cv2.contourArea(hull) or area < _RECTANGULAR * box[1][0] * box[1][1]:
        return None
    inside = np.zeros_like(mask)
    cv2.drawContours(inside, [outline], -1, 255, cv2.FILLED)
    sides = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
    if sum(float((side == 0).mean()) >= _SURROUNDED for side in sides) < _SIDES:
        return None
    if float((mask[inside > 0] > 0).mean()) < _FILLED:
        return None
    contrast = abs(float(np.median(plane[inside > 0])) - float(np.median(plane[inside == 0])))
    if contrast < _CONTRAST or _step(plane, inside) < _STEP * contrast:
        return None
    return contrast, _clockwise(_corners(hull, box))


def _step(plane: np.ndarray, inside: np.ndarray) -> float:
    """Return a plane's difference in grey levels across an outline. inside: uint8 (H, W), 255 within the outline."""
    around = np.ones((2 * _BESIDE + 1, 2 * _BESIDE + 1), np.uint8)
    within = (inside > 0) & (cv2.erode(inside, around, borderValue=255) == 0)
    beyond = (inside == 0) & (cv2.dilate(inside, around) > 0)
    return abs(float(np.median(plane[within])) - float(np.median(plane[beyond])))


def _corners(hull: np.ndarray, box: tuple[Sequence[float], Sequence[float], float]) -> np.ndarray:
    """Return the hull's four corners, or those of its smallest rectangle if it does not have four."""
    around = cv2.arcLength(hull, True)
    for tolerance in (0.02, 0.03, 0.04, 0.06):
        simple = cv2.approxPolyDP(hull, tolerance * around, True)
        if len(simple) == 4:
            return simple.reshape(4, 2).astype(np.float64)
    return np.asarray(cv2.boxPoints(box), dtype=np.float64)


def _clockwise(corners: np.ndarray) -> np.ndarray:
    """Return the corners clockwise from the upper left."""
    middle = corners.mean(axis=0)
    angles = np.arctan2(corners[:, 1] - middle[1], corners[:, 0] - middle[0])
    ordered = corners[np.argsort(angles)]
    first = int(np.argmin(ordered.sum(axis=1)))
    return np.roll(ordered, -first, axis=0)
