"""Finds connected pieces of ink and groups them into digits in reading order."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lab.sketch.boxes import Box

MAX_PIECES = 150  # checked before pieces are joined
MAX_LABELLED = 1_000  # the number of largest pieces that are examined
_SPECK = 0.02  # pieces with less than this share of the largest one's area are dust
_LOW = 0.3  # groups lower and narrower than this share of the largest are punctuation or print
_ALIKE = 0.6  # two pieces whose heights have at least this ratio may be two digits above one another
_BROKEN = 0.2  # maximum gap between such pieces of one digit, as a share of the taller one's height
_GAP = 0.6  # gaps in a stroke up to this many stroke widths are closed
_ROUND = 0.3  # pixels: discs of whole pixels extend slightly beyond their radius in diagonal directions
EDGE = 2  # pieces within this many pixels of the edge touch it


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Connected pieces of ink. labels: int32 (H, W), 0 is paper. boxes, areas: those of the labels 1, 2, … in order."""

    labels: np.ndarray
    boxes: tuple[Box, ...]
    areas: tuple[int, ...]

    def mask(self, numbers: Sequence[int]) -> np.ndarray:
        """Return the mask of some pieces (numbered from 0), bool (H, W)."""
        selected = np.zeros(len(self.boxes) + 1, dtype=bool)
        selected[np.asarray(numbers, dtype=int) + 1] = True
        where: np.ndarray = selected[self.labels]
        return where


def stroke_of(mask: np.ndarray) -> float:
    """Return the usual stroke width, in pixels, of an ink mask uint8 (H, W): twice the depth of its centre lines."""
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    ridge = depth[(depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))]
    return max(1.0, 2 * float(np.median(ridge)) - 1) if len(ridge) else 1.0


def find_pieces(mask: np.ndarray) -> Pieces:
    """Return the `MAX_LABELLED` largest pieces of an ink mask uint8 (H, W); small gaps in a stroke are bridged."""
    reach = max(1, round(_GAP * stroke_of(mask) / 2))
    padded = np.pad(mask, reach + 1)  # so that widened pieces are not cut off at the edge
    # Widened by distance: dilation by a disc takes seconds if strokes are hundreds of pixels wide.
    away = cv2.distanceTransform(np.where(padded > 0, 0, 255).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = np.where(away <= reach + _ROUND, 255, 0).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    inner = slice(reach + 1, -reach - 1)
    labels = np.where(mask > 0, labels[inner, inner], 0)
    areas = np.bincount(labels.ravel(), minlength=len(stats))
    areas[0] = 0
    largest = np.argsort(-areas, kind="stable")[:MAX_LABELLED]
    largest = largest[areas[largest] > 0]
    number = np.zeros(len(stats), np.int32)
    number[largest] = np.arange(1, len(largest) + 1)
    boxes = []
    for left, top, wide, tall, _ in stats[largest].tolist():  # the boxes of widened pieces in the padded mask
        boxes.append((top - 1, left - 1, top - 1 + tall - 2 * reach, left - 1 + wide - 2 * reach))
    return Pieces(number[labels], tuple(boxes), tuple(areas[largest].tolist()))


def touches_edge(box: Box, shape: tuple[int, int]) -> bool:
    """Whether a piece reaches the edge of the sheet."""
    top, left, bottom, right = box
    return top <= EDGE or left <= EDGE or bottom >= shape[0] - EDGE or right >= shape[1] - EDGE


def without_dust(pieces: Pieces, numbers: Sequence[int]) -> list[int]:
    """Return the numbers of the pieces that are large enough to belong to a digit."""
    if not numbers:
        return []
    least = max(4.0, _SPECK * max(pieces.areas[i] for i in numbers))
    return [i for i in numbers if pieces.areas[i] >= least]


def group(pieces: Pieces, numbers: Sequence[int], *, split: bool = True) -> list[tuple[Box, list[int]]]:
    """Return the digits in reading order, each as its box and the numbers of its pieces.

    numbers: at most `MAX_PIECES`. Pieces are joined if their columns overlap by half of the narrower one and one lies
    closely above the other (the bar of a 5); pieces of similar height must be even closer (digits in the rows of a
    table). Groups much smaller than the largest are left out. split: if False, all pieces form one digit.
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
    """Return the groups after joining each one to the first earlier one that it belongs to."""
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
    """Return groups sorted by line, then from left to right; a box belongs to a line if its centre lies within it."""
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
