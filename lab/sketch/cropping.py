"""Adds a margin of paper to pictures that are cropped so tightly that their digits touch the edge.

Without it, the digits would be taken for what usually touches an edge: shadows, a scanner's strip, lines that run off
the sheet. A crop of several pieces is tight if most of them reach the edge, fill the sheet's shorter side, and consist
of strokes. A single piece is a digit only if the picture has nothing but ink and paper (`lab.sketch.levels`), and a
bare stroke only if it fills the picture or connects its top and bottom.
"""

import cv2
import numpy as np

from lab.sketch.circles import holds_another
from lab.sketch.contrast import Contrast
from lab.sketch.pieces import EDGE, MAX_PIECES, find_pieces, group, longer, stroke_of, touches_edge, without_dust
from lab.sketch.shape import is_frame, runs, solidity, spread

_MARGIN = 0.2  # width of the margin at each edge, as a share of the shorter side
_SMALL = 0.3  # pieces whose longer side is less than this share of the shorter side are ignored
_FILLS = (0.55, 1.25)  # least and greatest longer side of a digit / sheet's shorter side
_STROKE = 0.3  # maximum stroke width / sheet's shorter side
_STRAIGHT = 6.0  # spread along / spread across a stroke above which it is a 1 or a line
_ALONG = 0.6  # least share of a side along which a strip lies
_FITTED_TO = 20_000  # pixels of paper used for the fit
_EXTRAPOLATED = (-0.1, 1.1)  # shares of a side beyond which a steep plane is not extrapolated
_MAX_CONTACTS = 8  # maximum places at which a digit reaches the edge; squared paper has more
_SOLID = 0.85  # a piece that fills at least this share of its convex hull is a bare stroke, a strip or a shadow
_WHOLE = 0.9  # least share of a side along which a strip or a shadow lies
_BARE = 0.8  # least share of the picture's height and width for a bare stroke that does not connect top and bottom
_MAX_SPREAD = 12.0  # maximum spread along / spread across a bare stroke; a printed line has more
_MAX_CROSSINGS = 2  # maximum flat stroke ends at the edge, such as those of a printed 4; crossing lines have four
_SQUARE = 0.85  # least width of a cut-off stroke at the edge / its width further in; real ends are round or narrower
_LYING = 2.5  # in stroke widths: longer contacts lie along the edge, like the foot of a 2
_UPRIGHT = 45.0  # maximum lean in degrees, as of the most slanted 1 in the data
_BOLD = 0.42  # maximum stroke width of a single digit / its longer side


def with_margin(sheet: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a sheet (H, W, C) with a margin of paper that continues its light. mask: the sheet's ink, uint8 (H, W)."""
    tall, wide, channels = sheet.shape
    margin = round(_MARGIN * min(tall, wide)) + 4
    plain = cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0
    step = max(1, int(np.count_nonzero(plain)) // _FITTED_TO)
    rows, columns = (axis[::step] for axis in np.nonzero(plain))
    level = np.log(np.maximum(sheet[rows, columns].reshape(-1, channels), 0) + 1)
    # Light that changes across the sheet is approximated by a plane through the logarithms.
    terms, *_ = np.linalg.lstsq(np.column_stack((rows / tall, columns / wide, np.ones(len(rows)))), level, rcond=None)
    down = np.clip(np.arange(-margin, tall + margin) / tall, *_EXTRAPOLATED)
    across = np.clip(np.arange(-margin, wide + margin) / wide, *_EXTRAPOLATED)
    lit = terms[2] + down[:, None, None] * terms[0] + across[None, :, None] * terms[1]
    wider: np.ndarray = np.clip(np.exp(lit) - 1, 0, 255).astype(np.float32)
    wider[margin:-margin, margin:-margin] = sheet
    return wider


def widened(sheet: np.ndarray, contrast: Contrast) -> tuple[np.ndarray, Contrast]:
    """Return a sheet (H, W, C) and its contrast, both with a margin of paper. Raises ValueError if paper is unknown."""
    if contrast.paper is None:
        raise ValueError("the paper's level is not known")
    margin = round(_MARGIN * min(contrast.ink.shape)) + 4
    paper = cv2.copyMakeBorder(contrast.paper, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    wider = paper.reshape(*paper.shape[:2], -1)
    inner = slice(margin, -margin), slice(margin, -margin)
    sheet_there = wider.copy()
    sheet_there[inner] = sheet
    return sheet_there, Contrast(np.pad(contrast.ink, margin), contrast.least, wider)


def is_single(mask: np.ndarray) -> bool:
    """Whether the ink, uint8 (H, W), of a picture of only ink and paper is one digit that reaches the edge."""
    pieces = find_pieces(mask)
    shape = (mask.shape[0], mask.shape[1])
    large = without_dust(pieces, range(len(pieces.boxes)))[:MAX_PIECES]
    groups = group(pieces, large)
    if len(groups) != 1 or len(groups[0][1]) != len(large) or not touches_edge(groups[0][0], shape):
        return False
    (top, left, bottom, right), members = groups[0]
    if holds_another(pieces, members):
        return False
    long = longer((top, left, bottom, right))
    stroke = pieces.mask(members).astype(np.uint8)
    if long < _FILLS[0] * min(shape) or is_frame(stroke) or _is_corner(stroke):
        return False
    if _contacts(stroke) > _MAX_CONTACTS or _has_strip(stroke):
        return False
    if 2 * float(cv2.distanceTransform(np.pad(stroke, 1), cv2.DIST_L2, 5).max()) > _BOLD * long:
        return False
    crossings = _crossings(stroke)
    if solidity(stroke) < _SOLID:
        return crossings <= _MAX_CROSSINGS
    sides = _sides(stroke)
    longest, lean = spread(stroke)
    if crossings or longest > _MAX_SPREAD or max(float(side.mean()) for side in sides) >= _WHOLE:
        return False
    fills = min((bottom - top) / shape[0], (right - left) / shape[1]) >= _BARE
    return fills or (bool(sides[0].any() and sides[1].any()) and abs(lean) <= _UPRIGHT)


def is_tight(mask: np.ndarray) -> bool:
    """Whether an ink mask uint8 (H, W) shows several digits that reach the edge, rather than lines that run off it."""
    pieces = find_pieces(mask)
    shorter = min(mask.shape)
    large = without_dust(pieces, [i for i, box in enumerate(pieces.boxes) if longer(box) >= _SMALL * shorter])
    tall, wide = mask.shape
    touching = [i for i in large if touches_edge(pieces.boxes[i], (tall, wide))]
    fills = [longer(pieces.boxes[i]) / shorter for i in touching]
    if len(large) < 2 or 2 * sum(fill >= _FILLS[0] for fill in fills) < len(large) or max(fills) > _FILLS[1]:
        return False
    if stroke_of(mask) > _STROKE * shorter or holds_another(pieces, large):
        return False
    strokes = [pieces.mask([i]).astype(np.uint8) for i in touching]
    if 2 * sum(spread(stroke)[0] > _STRAIGHT for stroke in strokes) > len(strokes):
        return False
    return not any(is_frame(s) or _is_corner(s) or _contacts(s) > _MAX_CONTACTS for s in strokes)


def _is_corner(stroke: np.ndarray) -> bool:
    """Whether a piece, uint8 (H, W), lies along two adjacent sides, like a scanner's strip or the rest of a frame."""
    top, bottom, left, right = (float(side.mean()) >= _ALONG for side in _sides(stroke))
    return (top or bottom) and (left or right)


def _has_strip(stroke: np.ndarray) -> bool:
    """Whether pieces grouped as a digit, uint8 (H, W), include a bare strip along a whole side."""
    count, labels = cv2.connectedComponents(stroke, connectivity=8)
    parts = [(labels == number).astype(np.uint8) for number in range(1, min(count, MAX_PIECES))] if count > 2 else []
    along = [part for part in parts if max(float(side.mean()) for side in _sides(part)) >= _WHOLE]
    return any(solidity(part) >= _SOLID for part in along)


def _contacts(stroke: np.ndarray) -> int:
    """Return at how many places a piece reaches the edges: the number of runs along the outermost pixels."""
    return sum(int(np.count_nonzero(np.diff(side.astype(np.int8), prepend=0) > 0)) for side in _sides(stroke))


def _crossings(stroke: np.ndarray) -> int:
    """Return at how many places a piece, uint8 (H, W), leaves the picture at full width: cut off rather than ended."""
    width = stroke_of(stroke)
    deeper = round(width / 2)
    count = 0
    for side in (stroke, stroke[::-1], stroke.T, stroke.T[::-1]):
        inner = runs(side[min(deeper, len(side) - 1)])
        for start, end in runs(side[0]):
            within = max((b - a for a, b in inner if a < end and b > start), default=0)
            count += _SQUARE * within <= end - start <= _LYING * width
    return count


def _sides(stroke: np.ndarray) -> list[np.ndarray]:
    """Return where a piece reaches the top, bottom, left and right edge, each bool (length of the side,)."""
    outermost = (stroke[: EDGE + 1], stroke[-EDGE - 1 :], stroke[:, : EDGE + 1].T, stroke[:, -EDGE - 1 :].T)
    return [np.asarray(side.any(axis=0)) for side in outermost]
