"""Connected pieces of ink and the digits they form: dust and what touches the edge left out, in reading order."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lab.sketch.boxes import Box

MAX_PIECES = 150  # counted before anything is joined
MOST_LABELLED = 1_000  # pieces that are looked at, the largest ones
_SPECK = 0.02  # pieces with less than this share of the largest one's area are dust
_LOW = 0.3  # groups lower and narrower than this share of the largest are punctuation or print
_ALIKE = 0.6  # share of the taller one's height from which on two pieces may be two digits above one another
_BROKEN = 0.2  # gap in shares of the taller one's height that parts as tall as each other may have
_GAP = 0.6  # gaps in a stroke that are closed, in stroke widths
_ROUND = 0.3  # pixels: discs of whole pixels reach a little further than their radius, off the axes
EDGE = 2  # pixels from the edge that count as touching it


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """labels: int32 (H, W), 0 is paper. boxes and areas of the labels 1, 2, … in order."""

    labels: np.ndarray
    boxes: tuple[Box, ...]
    areas: tuple[int, ...]

    def mask(self, numbers: Sequence[int]) -> np.ndarray:
        """Return where the pieces (numbered from 0) are, bool (H, W)."""
        selected = np.zeros(len(self.boxes) + 1, dtype=bool)
        selected[np.asarray(numbers, dtype=int) + 1] = True
        where: np.ndarray = selected[self.labels]
        return where


def stroke_of(mask: np.ndarray) -> float:
    """Return the usual width of strokes in pixels of an ink mask uint8 (H, W): twice the depth of its middle lines."""
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    ridge = depth[(depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))]
    return max(1.0, 2 * float(np.median(ridge)) - 1) if len(ridge) else 1.0


def find_pieces(mask: np.ndarray) -> Pieces:
    """Label the pieces of an ink mask uint8 (H, W), the largest `MOST_LABELLED`; small gaps in a stroke are bridged."""
    reach = max(1, round(_GAP * stroke_of(mask) / 2))
    padded = np.pad(mask, reach + 1)  # or what is near the edge would be cut off when it is widened
    # Widened by distance: dilation by a disc takes seconds where strokes are hundreds of pixels wide.
    away = cv2.distanceTransform(np.where(padded > 0, 0, 255).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = np.where(away <= reach + _ROUND, 255, 0).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    inner = slice(reach + 1, -reach - 1)
    labels = np.where(mask > 0, labels[inner, inner], 0)
    areas = np.bincount(labels.ravel(), minlength=len(stats))
    areas[0] = 0
    largest = np.argsort(-areas, kind="stable")[:MOST_LABELLED]
    largest = largest[areas[largest] > 0]
    number = np.zeros(len(stats), np.int32)
    number[largest] = np.arange(1, len(largest) + 1)
    boxes = []
    for left, top, wide, tall, _ in stats[largest].tolist():  # of the widened pieces, on the padded mask
        boxes.append((top - 1, left - 1, top - 1 + tall - 2 * reach, left - 1 + wide - 2 * reach))
    return Pieces(number[labels], tuple(boxes), tuple(areas[largest].tolist()))


def touches_edge(box: Box, shape: tuple[int, int]) -> bool:
    """Whether a piece reaches the edge of the sheet."""
    top, left, bottom, right = box
    return top <= EDGE or left <= EDGE or bottom >= shape[0] - EDGE or right >= shape[1] - EDGE


def without_dust(pieces: Pieces, numbers: Sequence[int]) -> list[int]:
    """Return the pieces that are large enough to belong to a digit."""
    if not numbers:
        return []
    least = max(4.0, _SPECK * max(pieces.areas[i] for i in numbers))
    return [i for i in numbers if pieces.areas[i] >= least]


def group(pieces: Pieces, numbers: Sequence[int], *, split: bool = True) -> list[tuple[Box, list[int]]]:
    """Return the digits: pieces that belong together with the box around them, in reading order.

    At most `MAX_PIECES` may be given. Joined are pieces whose columns overlap by half of the narrower one and that lie
    close above one another (the bar of a 5), closer where they are as tall as each other (digits in the rows of a table);
    groups much smaller than the largest are left out. Without `split` all are one.
    """
    if not split and numbers:
        boxes = np.array([pieces.boxes[i] for i in numbers])
        around = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
        return [((int(around[0]), int(around[1]), int(around[2]), int(around[3])), list(numbers))]
    merged = [(pieces.boxes[i], [i]) for i in numbers]
    height = float(np.median([box[2] - box[0] for box, _ in merged])) if merged else 0.0
    while True:
        joined = _join_once(merged, reach=0.5 * height)
        if len(joined) == len(merged):
            break
        merged = joined
    largest = max((longer(box) for box, _ in merged), default=0)
    return _reading_order([each for each in merged if longer(each[0]) >= _LOW * largest])


def longer(box: Box) -> int:
    """Return a box's longer side in pixels."""
    return max(box[2] - box[0], box[3] - box[1])


def _join_once(merged: list[tuple[Box, list[int]]], *, reach: float) -> list[tuple[Box, list[int]]]:
    """Join each group to the first one before it that it belongs to."""
    out: list[tuple[Box, list[int]]] = []
    for box, numbers in sorted(merged):
        for index, (other, before) in enumerate(out):
            if _belong(other, box, reach=reach):
                out[index] = (_around(other, box), before + numbers)
                break
        else:
            out.append((box, numbers))
    return out


def _belong(one: Box, two: Box, *, reach: float) -> bool:
    shared = min(one[3], two[3]) - max(one[1], two[1])
    narrower = min(one[3] - one[1], two[3] - two[1])
    gap = max(one[0], two[0]) - min(one[2], two[2])
    lower, taller = sorted((one[2] - one[0], two[2] - two[0]))
    if lower >= _ALIKE * taller:
        reach = min(reach, _BROKEN * taller)
    return shared >= 0.5 * narrower and gap <= reach


def _around(one: Box, two: Box) -> Box:
    return min(one[0], two[0]), min(one[1], two[1]), max(one[2], two[2]), max(one[3], two[3])


def _reading_order(groups: list[tuple[Box, list[int]]]) -> list[tuple[Box, list[int]]]:
    """Sort by line, then from left to right; a box belongs to a line if its middle lies within it."""
    lines: list[list[tuple[Box, list[int]]]] = []
    for each in sorted(groups):
        middle = (each[0][0] + each[0][2]) / 2
        for line in lines:
            if min(b[0] for b, _ in line) <= middle <= max(b[2] for b, _ in line):
                line.append(each)
                break
        else:
            lines.append([each])
    return [each for line in lines for each in sorted(line, key=lambda e: e[0][1])]
