"""Splits two digits that touch: the possible cuts from top to bottom, and the halves of each cut.

A network decides which cut is right, if any (`lab.sketch.photo_reading`): ink alone does not distinguish a 0 from two
brackets.
"""

import cv2
import numpy as np

from lab.sketch.boxes import Box, extent
from lab.sketch.sketch import SEEN, Sketch
from lab.sketch.touching import cheapest_cuts

_TALL = 56  # height in pixels to which a drawing is scaled to find cuts; distances below are in these pixels
_SOLID = 100  # ink level that counts as stroke
_BEND = 10  # maximum deviation of a cut from its column: touching digits lean into each other
_MARGIN = 6  # distance from each side within which no cut is tried
_MIN_WIDE = 0.45  # least width / height of two digits that touch; less is a single one
_MAX_WIDE = 2.6
_MAX_INK = 24  # maximum ink that a cut passes through: three strokes
_HEIGHT = 0.6  # least height of each half, relative to the whole
_AREA = 0.12  # least share of the ink in each half
_ALIKE = 0.04  # cuts that differ by less than this share of the ink are the same
_SCRAP = 0.1  # pieces of a half with less than this share of its largest one's ink belong to the other digit
_MAX_CUTS = 5


def find_cuts(sketch: Sketch) -> list[tuple[Sketch, Sketch]]:
    """Return the halves of each possible cut of a drawing into two digits side by side, least ink cut first."""
    found = extent(sketch.ink >= _SOLID)
    if found is None:
        return []
    top, left, bottom, right = found
    if not _MIN_WIDE <= (right - left) / (bottom - top) <= _MAX_WIDE:
        return []
    crop = sketch.ink[top:bottom, left:right]
    small = cv2.resize(crop, (round(_TALL * crop.shape[1] / crop.shape[0]), _TALL), interpolation=cv2.INTER_AREA)
    cuts = []
    for columns in _choose(small >= _SOLID):
        at = columns[np.arange(len(crop)) * _TALL // len(crop)] + 0.5
        before = np.arange(crop.shape[1])[None] * (small.shape[1] / crop.shape[1]) < at[:, None]
        cuts.append((_half(sketch, crop * before, found), _half(sketch, crop * ~before, found)))
    return cuts


def box_of_part(box: Box, whole: Sketch, part: Sketch) -> Box:
    """Return the box of a part on the sheet. box: that of the whole on the sheet."""
    place, within = extent(whole.ink >= SEEN), extent(part.ink >= SEEN)
    if place is None or within is None:
        return box
    down, across = box[0] - place[0], box[1] - place[1]
    return within[0] + down, within[1] + across, within[2] + down, within[3] + across


def _choose(ink: np.ndarray) -> list[np.ndarray]:
    """Return cuts through little ink that leave two tall parts, each as columns (H,). ink: bool (H, W)."""
    middles = np.arange(_MARGIN, ink.shape[1] - _MARGIN)
    if not len(middles):
        return []
    cuts, cost = cheapest_cuts(ink, middles, bend=_BEND)
    before = ink[None] & (np.arange(ink.shape[1]) <= cuts[..., None])
    after = ink[None] & ~before
    heights = np.minimum(*(part.any(axis=2).sum(axis=1) for part in (before, after)))
    areas = np.minimum(*(part.sum(axis=(1, 2)) for part in (before, after)))
    allowed = (heights >= _HEIGHT * len(ink)) & (areas >= _AREA * ink.sum()) & (cost <= _MAX_INK)
    chosen: list[int] = []
    for index in np.argsort(cost, kind="stable"):
        others = (np.count_nonzero(before[index] ^ before[one]) for one in chosen)
        if allowed[index] and all(other >= _ALIKE * ink.sum() for other in others):
            chosen.append(int(index))
    return [cuts[index] for index in chosen[:_MAX_CUTS]]


def _half(whole: Sketch, crop: np.ndarray, place: Box) -> Sketch:
    """Return a half on the whole's canvas, without the remains of the other digit."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((crop >= SEEN).astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = areas >= max(1.0, _SCRAP * areas.max())
    ink = np.zeros_like(whole.ink)
    ink[place[0] : place[2], place[1] : place[3]] = np.where(kept[labels], crop, 0)
    return Sketch(ink, whole.origin)
