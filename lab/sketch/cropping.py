"""Pictures cropped so tightly that their digits touch the edge: they get a margin of paper.

Without it the digits would pass for what usually touches an edge: shadows, a scanner's strip, lines that run off. A crop
is tight where most of several pieces in it reach the edge, fill the sheet's shorter side, and consist of strokes. A single
digit that fills its picture is not known from a shadow or a strip at the edge.
"""

import cv2
import numpy as np

from lab.sketch.pieces import EDGE, find_pieces, longer, stroke_of, touches_edge, without_dust
from lab.sketch.shape import is_frame, spread

_MARGIN = 0.2  # of the shorter side, at each edge
_SMALL = 0.3  # pieces whose longer side is less than this share of the shorter side are not looked at
_FILLS = (0.55, 1.25)  # longer side of a digit by the sheet's shorter side
_STROKE = 0.3  # the same of the width of its strokes, at most
_STRAIGHT = 6.0  # spread along a stroke by the spread across it: more is a 1 or a line
_ALONG = 0.6  # share of a side along which a strip lies at least
_FITTED_TO = 20_000  # pixels of paper
_EXTRAPOLATED = (-0.1, 1.1)  # shares of a side: a steep plane is not followed further
_MOST_CONTACTS = 8  # places at which a digit reaches the edge; squared paper has more


def with_margin(sheet: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a sheet (H, W, C) with a margin of paper around it, lit as the paper that is there; mask: its ink, uint8 (H, W)."""
    tall, wide, channels = sheet.shape
    margin = round(_MARGIN * min(tall, wide)) + 4
    plain = cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0
    step = max(1, int(np.count_nonzero(plain)) // _FITTED_TO)
    rows, columns = (axis[::step] for axis in np.nonzero(plain))
    level = np.log(np.maximum(sheet[rows, columns].reshape(-1, channels), 0) + 1)
    # Light falls off across a sheet: a plane through the logarithms.
    terms, *_ = np.linalg.lstsq(np.column_stack((rows / tall, columns / wide, np.ones(len(rows)))), level, rcond=None)
    down = np.clip(np.arange(-margin, tall + margin) / tall, *_EXTRAPOLATED)
    across = np.clip(np.arange(-margin, wide + margin) / wide, *_EXTRAPOLATED)
    lit = terms[2] + down[:, None, None] * terms[0] + across[None, :, None] * terms[1]
    wider: np.ndarray = np.clip(np.exp(lit) - 1, 0, 255).astype(np.float32)
    wider[margin:-margin, margin:-margin] = sheet
    return wider


def is_tight(mask: np.ndarray) -> bool:
    """Whether what is in an ink mask uint8 (H, W) are digits that reach the edge, rather than things that run off it."""
    pieces = find_pieces(mask)
    shorter = min(mask.shape)
    large = without_dust(pieces, [i for i, box in enumerate(pieces.boxes) if longer(box) >= _SMALL * shorter])
    tall, wide = mask.shape
    touching = [i for i in large if touches_edge(pieces.boxes[i], (tall, wide))]
    fills = [longer(pieces.boxes[i]) / shorter for i in touching]
    if len(large) < 2 or 2 * sum(fill >= _FILLS[0] for fill in fills) < len(large) or max(fills) > _FILLS[1]:
        return False
    if stroke_of(mask) > _STROKE * shorter:
        return False
    strokes = [pieces.mask([i]).astype(np.uint8) for i in touching]
    if 2 * sum(spread(stroke)[0] > _STRAIGHT for stroke in strokes) > len(strokes):
        return False
    return not any(is_frame(s) or _is_corner(s) or _contacts(s) > _MOST_CONTACTS for s in strokes)


def _is_corner(stroke: np.ndarray) -> bool:
    """Whether a piece, uint8 (H, W), lies along two sides that meet: a scanner's strip, or what is left of a frame."""
    top, bottom, left, right = (float(side.mean()) >= _ALONG for side in _sides(stroke))
    return (top or bottom) and (left or right)


def _contacts(stroke: np.ndarray) -> int:
    """Count the places at which a piece reaches the edges: runs along the outermost pixels."""
    return sum(int(np.count_nonzero(np.diff(side.astype(np.int8), prepend=0) > 0)) for side in _sides(stroke))


def _sides(stroke: np.ndarray) -> list[np.ndarray]:
    """Return where a piece reaches the upper, lower, left and right edge, each bool (length of the side,)."""
    outermost = (stroke[: EDGE + 1], stroke[-EDGE - 1 :], stroke[:, : EDGE + 1].T, stroke[:, -EDGE - 1 :].T)
    return [np.asarray(side.any(axis=0)) for side in outermost]
