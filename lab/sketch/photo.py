"""Photos and scans of handwriting: finds the sheet, its ink in any light, and the digits.

The Draw page, the Inside page and the command line all use `find_digits`. The work per picture is bounded: it is
reduced to `WORK_SIDE` pixels, and pieces of ink are counted before they are joined.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from lab.errors import InputError
from lab.sketch.boxes import Box
from lab.sketch.circles import without_circles
from lab.sketch.contrast import Contrast, measure_contrast, measure_flat_contrast
from lab.sketch.cropping import is_single, is_tight, widened, with_margin
from lab.sketch.pieces import EDGE, MAX_PIECES, Pieces, find_pieces, group, touches_edge, without_dust
from lab.sketch.ruling import remove_lines, without_hatching
from lab.sketch.shape import is_frame
from lab.sketch.sheet import cut_sheet
from lab.sketch.sketch import Sketch

cv2.setNumThreads(1)  # a picture is a short task; more threads would only compete with a training

WORK_SIDE = 1_280  # longer side in pixels; larger photos are reduced first
MIN_SIDE = 400  # longer side in pixels; smaller photos are enlarged first
MAX_DIGITS = 24
_NARROW = 8  # least shorter side, in pixels after resizing, of a picture that can show a digit
_FAINT = 0.15  # least contrast of a printed line, as a share of the strongest ink's
_PALE = 0.35  # least contrast of a pixel of ink, as the same share
_MIN_LEVEL = 0.2  # least logarithmic contrast of the strongest tenth; an empty sheet's unevenness has less
# Least slope of contrast at a piece's rim × its width / its contrast: thick strokes have 5 and more, thin ones 2 and
# more, corners of shadows about 2, the noise of an empty sheet about 0.1.
_SOFT = 0.5
_SOFT_BLOB = 3.2
_DARKEST_SHADOW = 0.9  # logarithmic contrast of a shadow that leaves 40 % of the light; more is ink, however soft
_THICK = 24  # pixels; `_SOFT_BLOB` applies to thicker pieces
_STRONG = 0.6  # least contrast of the strongest pixels of a piece of ink, as a share of the strongest ink's
_MAX_CORNERS = 2  # maximum dark corners of a picture that digits fill; vignetting darkens more
_BLANK = "There is no ink in {name}: it needs more contrast between pen and paper."
_NO_DIGIT = (
    "There is no digit in {name}: only lines, frames or marks at its edge were found; a digit needs paper on all sides."
)


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """The digits found in a picture, in reading order.

    boxes: of the digits, in pixels of the rectified sheet. size: (height, width) of that sheet. reason: a sentence why
    there are no digits. sheet: the rectified sheet, uint8 (H, W, C).
    """

    digits: tuple[Sketch, ...]
    boxes: tuple[Box, ...]
    size: tuple[int, int]
    reason: str = ""
    sheet: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 1), dtype=np.uint8))


def find_digits(picture: np.ndarray, *, name: str = "the picture", split: bool = True) -> Photo:
    """Return the digits in a picture, float32 or uint8 (H, W, C) or (H, W) in [0, 255].

    split: if False, everything found forms one drawing, such as a character of several strokes. Raises `InputError` if
    there are more than `MAX_DIGITS` pieces.
    """
    whole = _at_work_size(picture)
    if min(whole.shape[:2]) < _NARROW:
        return Photo((), (), whole.shape[:2], _BLANK.format(name=name))
    sheet = cut_sheet(whole)
    enlarged = max(whole.shape[:2]) > 1.5 * max(picture.shape[:2])
    return _find(sheet, name, split=split, enlarged=enlarged)


def _at_work_size(picture: np.ndarray) -> np.ndarray:
    """Return float32 (H, W, C), resized to the range for which the constants of the next steps are chosen."""
    level = np.atleast_3d(picture).astype(np.float32)
    longest = max(level.shape[:2])
    scale = WORK_SIDE / longest if longest > WORK_SIDE else max(1.0, MIN_SIDE / longest)
    if scale == 1:
        return level
    size = max(1, round(level.shape[1] * scale)), max(1, round(level.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized: np.ndarray = cv2.resize(level, size, interpolation=how).reshape(size[1], size[0], -1)
    return resized


def _find(sheet: np.ndarray, name: str, *, split: bool, enlarged: bool) -> Photo:
    crowded = _crowded(sheet)
    if crowded is not None:
        sheet, contrast = crowded
        faint = _faint_mask(contrast)
    else:
        contrast = measure_contrast(sheet)
        faint = _faint_mask(contrast)
        if _usual(contrast.ink, faint > 0) < _MIN_LEVEL:
            return Photo((), (), sheet.shape[:2], _BLANK.format(name=name))
        if is_tight(faint):
            sheet = with_margin(sheet, faint)
            contrast = measure_contrast(sheet)
            faint = _faint_mask(contrast)
    shape = sheet.shape[:2]
    unruled = remove_lines(faint, contrast.ink)
    pieces = find_pieces(_inked(unruled.mask, contrast.ink))
    numbers = [i for i, box in enumerate(pieces.boxes) if not touches_edge(box, shape)]
    numbers = unruled.without_scrap(pieces, numbers)
    numbers = without_hatching(pieces, without_dust(pieces, numbers))
    numbers = [i for i in numbers if not _is_surrounding(pieces, i, contrast.ink, enlarged)]
    if split:  # otherwise a character may surround parts of itself
        numbers = without_circles(pieces, numbers)
    if len(numbers) > MAX_PIECES:
        raise InputError(f"{name} has {len(numbers)} separate pieces, more than {MAX_DIGITS}: crop it to the digits.")
    groups = group(pieces, numbers, split=split)
    if len(groups) > MAX_DIGITS:
        raise InputError(f"{name} has {len(groups)} separate pieces, more than {MAX_DIGITS}: crop it to the digits.")
    if not groups:
        return Photo((), (), shape, _NO_DIGIT.format(name=name))
    digits = tuple(_cut(contrast.ink, pieces, box, members) for box, members in groups)
    return Photo(digits, tuple(box for box, _ in groups), shape, sheet=np.clip(np.rint(sheet), 0, 255).astype(np.uint8))


def _crowded(sheet: np.ndarray) -> tuple[np.ndarray, Contrast] | None:
    """Return a sheet of only paper and large digits, and its contrast; None for any other sheet.

    If the digits reach its edge, the sheet has been given a margin.
    """
    contrast = measure_flat_contrast(sheet)
    if contrast is None:
        return None
    mask = _faint_mask(contrast)
    if np.count_nonzero(mask[[0, 0, -1, -1], [0, -1, 0, -1]]) > _MAX_CORNERS:
        return None
    if is_single(mask) or is_tight(mask):
        return widened(sheet, contrast)
    border = (mask[: EDGE + 1], mask[-EDGE - 1 :], mask[:, : EDGE + 1], mask[:, -EDGE - 1 :])
    return None if any(side.any() for side in border) else (sheet, contrast)


def _is_surrounding(pieces: Pieces, number: int, ink: np.ndarray, enlarged: bool) -> bool:
    """Whether a piece is a frame or the soft edge of a shadow, rather than something written."""
    top, left, bottom, right = pieces.boxes[number]
    stroke_mask = np.pad((pieces.labels[top:bottom, left:right] == number + 1).astype(np.uint8), 2)
    depth = cv2.distanceTransform(stroke_mask, cv2.DIST_L2, 5)
    if is_frame(stroke_mask):
        return True
    level = np.pad(ink[top:bottom, left:right], 2, mode="edge")
    if enlarged or _usual(level, stroke_mask > 0) > _DARKEST_SHADOW:  # enlarging softens all edges
        return False
    slope = np.hypot(cv2.Sobel(level, cv2.CV_32F, 1, 0), cv2.Sobel(level, cv2.CV_32F, 0, 1)) / 8
    thick = 2 * float(depth.max())
    rise = float(np.percentile(slope[(stroke_mask > 0) & (depth <= 1.5)], 25)) * thick / _usual(level, stroke_mask > 0)
    return rise < (_SOFT_BLOB if thick > _THICK else _SOFT)


def _faint_mask(contrast: Contrast) -> np.ndarray:
    """Return the mask, uint8 (H, W), of everything that may be ink or a printed line, however pale."""
    level = _usual(contrast.ink, contrast.ink > contrast.least)
    return np.where(contrast.ink > max(contrast.least, _FAINT * level), 255, 0).astype(np.uint8)


def _inked(mask: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Return the part of a mask that is ink, compared with the strongest ink overall or else away from the edges.

    A dark strip at the edge must not make pencil look pale, nor a shadow at the edge absorb the ink that it touches.
    """
    by_all = _as_strong_as(mask, ink, _usual(ink, mask > 0))
    if by_all.any():
        return by_all
    return _as_strong_as(mask, ink, _usual(ink, _inner(mask)))


def _as_strong_as(mask: np.ndarray, ink: np.ndarray, level: float) -> np.ndarray:
    """Return the pieces away from the edges that are no paler than ink of the given contrast, uint8 (H, W)."""
    dark = np.where((mask > 0) & (ink > _PALE * level), 255, 0).astype(np.uint8)
    strong = _inner(dark) & (ink > _STRONG * level)
    count, labels = cv2.connectedComponents(dark, connectivity=8)
    rooted = np.zeros(count, dtype=bool)
    rooted[np.unique(labels[strong])] = True
    return np.where(rooted[labels], dark, 0).astype(np.uint8)


def _inner(mask: np.ndarray) -> np.ndarray:
    """Return the mask, bool (H, W), of the pieces that do not touch the sheet's edges."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, wide, tall = stats[:, 0], stats[:, 1], stats[:, 2], stats[:, 3]
    inner = (left > EDGE) & (top > EDGE) & (top + tall < mask.shape[0] - EDGE) & (left + wide < mask.shape[1] - EDGE)
    inner[0] = False
    where: np.ndarray = inner[labels]
    return where


def _usual(ink: np.ndarray, where: np.ndarray) -> float:
    """Return the 90th percentile of the contrast of the chosen pixels; 0 if none are chosen."""
    return float(np.percentile(ink[where], 90)) if where.any() else 0.0


def _cut(ink: np.ndarray, pieces: Pieces, box: Box, members: list[int]) -> Sketch:
    """Return a digit on its own square canvas with a margin of paper; the edges of its strokes stay soft."""
    top, left, bottom, right = box
    margin = max(bottom - top, right - left) // 5 + 2
    stroke_mask = pieces.mask(members)[top:bottom, left:right]
    stroke_mask = np.pad(stroke_mask, margin).astype(np.uint8)
    near = cv2.dilate(stroke_mask, np.ones((3, 3), np.uint8))
    padded = np.pad(ink[top:bottom, left:right], margin)
    full = float(np.median(padded[stroke_mask > 0]))
    soft = np.clip((padded - 0.3 * full) / (0.5 * full), 0, 1) * near
    tall, wide = soft.shape
    side = max(tall, wide)
    paper = np.zeros((side, side), dtype=np.uint8)
    down, across = (side - tall) // 2, (side - wide) // 2
    paper[down : down + tall, across : across + wide] = np.rint(soft * 255)
    return Sketch(paper, "photo")
