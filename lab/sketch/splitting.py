"""Two digits that touch, cut apart: where a drawing may be cut from top to bottom, and the halves of each cut.

Which cut is right, if any, is for a network to say (`lab.sketch.photo_reading`): the ink alone does not tell a 0 from two
brackets.
"""

import cv2
import numpy as np

from lab.sketch.boxes import Box, extent
from lab.sketch.sketch import SEEN, Sketch
from lab.sketch.touching import cheapest_cuts

_TALL = 56  # pixels of height at which cuts are looked for
_SOLID = 100  # ink level that counts as stroke
_BEND = 10  # of these pixels by which a cut leaves its column to each side: touching digits lean into each other
_MARGIN = 6  # of these pixels at each side in which no cut is looked for
_LEAST_WIDE = 0.45  # width by height of two digits that touch; less is a single one
_MOST_WIDE = 2.6
_MOST_INK = 24  # of these pixels that a cut goes through: three strokes
_HEIGHT = 0.6  # of each half by the whole's, at least
_AREA = 0.12  # share of the ink in each half, at least
_ALIKE = 0.04  # share of the ink by which two cuts differ that are not the same
_SCRAP = 0.1  # pieces of a half with less than this share of its largest one's ink belong to the other digit
_MOST_CUTS = 5


def find_cuts(sketch: Sketch) -> list[tuple[Sketch, Sketch]]:
    """Return the halves of each way in which a drawing may be two digits side by side, through the least ink first."""
    found = extent(sketch.ink >= _SOLID)
    if found is None:
        return []
    top, left, bottom, right = found
    if not _LEAST_WIDE <= (right - left) / (bottom - top) <= _MOST_WIDE:
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
    """Return the box of a part on the sheet on which the whole has the given box."""
    place, within = extent(whole.ink >= SEEN), extent(part.ink >= SEEN)
    if place is None or within is None:
        return box
    down, across = box[0] - place[0], box[1] - place[1]
    return within[0] + down, within[1] + across, within[2] + down, within[3] + across


def _choose(ink: np.ndarray) -> list[np.ndarray]:
    """Return cuts through little ink, bool (H, W), that leave two tall parts: columns (H,) each."""
    middles = np.arange(_MARGIN, ink.shape[1] - _MARGIN)
    if not len(middles):
        return []
    cuts, cost = cheapest_cuts(ink, middles, bend=_BEND)
    before = ink[None] & (np.arange(ink.shape[1]) <= cuts[..., None])
    after = ink[None] & ~before
    heights = np.minimum(*(part.any(axis=2).sum(axis=1) for part in (before, after)))
    areas = np.minimum(*(part.sum(axis=(1, 2)) for part in (before, after)))
    allowed = (heights >= _HEIGHT * len(ink)) & (areas >= _AREA * ink.sum()) & (cost <= _MOST_INK)
    chosen: list[int] = []
    for index in np.argsort(cost, kind="stable"):
        others = (np.count_nonzero(before[index] ^ before[one]) for one in chosen)
        if allowed[index] and all(other >= _ALIKE * ink.sum() for other in others):
            chosen.append(int(index))
    return [cuts[index] for index in chosen[:_MOST_CUTS]]


def _half(whole: Sketch, crop: np.ndarray, place: Box) -> Sketch:
    """Return a half on the whole's canvas, without the scraps of the other digit."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((crop >= SEEN).astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = areas >= max(1.0, _SCRAP * areas.max())
    ink = np.zeros_like(whole.ink)
    ink[place[0] : place[2], place[1] : place[3]] = np.where(kept[labels], crop, 0)
    return Sketch(ink, whole.origin)
