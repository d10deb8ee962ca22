"""Photos of handwriting: even lighting, invert if the paper is white, cut out the ink, split digits."""

import numpy as np
from PIL import Image, ImageFilter

from lab.errors import InputError
from lab.sketch.sketch import SEEN, Sketch

WORK_SIDE = 1024  # pixels; larger photos are reduced first
MAX_DIGITS = 24
_LEAST_CONTRAST = 30  # grey levels between ink and paper; less is an empty sheet
_SPECK = 0.02  # components with less than this share of the largest one's area are dust


def find_ink(grey: np.ndarray) -> Sketch:
    """Separate ink from paper, whichever is lighter: a `Sketch` with light ink on black.

    The paper is taken to be what most of the border shows; its brightness is levelled out over the page, and Otsu's
    threshold (1979) separates the rest. A sheet without contrast gives a blank sketch.
    """
    picture = Image.fromarray(np.ascontiguousarray(grey))
    picture.thumbnail((WORK_SIDE, WORK_SIDE))
    level = np.asarray(picture).astype(np.float32)
    border = np.concatenate((level[0], level[-1], level[:, 0], level[:, -1]))
    dark_paper = np.median(border) < 128 and np.median(border) <= np.mean(level) + 1
    ink = level if dark_paper else 255 - level
    ink = ink - _paper(ink)
    contrast = float(np.percentile(ink, 99.9)) if ink.size > 4096 else float(ink.max())
    if contrast < _LEAST_CONTRAST:
        return Sketch(np.zeros(level.shape, dtype=np.uint8), "photo")
    scaled = np.clip(ink * (255 / contrast), 0, 255)
    threshold = _otsu(scaled.astype(np.uint8))
    # A soft step keeps the anti-aliased rim of strokes: 0 well below the threshold, full ink well above.
    soft = np.clip((scaled - 0.6 * threshold) / max(1.0, 0.8 * threshold), 0, 1)
    return Sketch(np.rint(soft * 255).astype(np.uint8), "photo")


def _paper(ink: np.ndarray) -> np.ndarray:
    """Estimate the level of the paper everywhere: the darkest of a wide neighbourhood, smoothed."""
    small = Image.fromarray(np.clip(ink, 0, 255).astype(np.uint8)).resize(
        (max(1, ink.shape[1] // 8), max(1, ink.shape[0] // 8)), Image.Resampling.BOX
    )
    reach = max(3, (max(small.size) // 6) | 1)
    darkest = small.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.MinFilter(min(reach, 31)))
    smooth = darkest.filter(ImageFilter.GaussianBlur(reach / 2))
    paper: np.ndarray = np.asarray(smooth.resize((ink.shape[1], ink.shape[0]), Image.Resampling.BILINEAR), np.float32)
    return paper


def _otsu(image: np.ndarray) -> float:
    """Return the threshold that separates two classes of grey best: the largest variance between them."""
    counts = np.bincount(image.ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256)
    below = np.cumsum(counts)
    above = below[-1] - below
    mean_below = np.cumsum(counts * levels) / np.maximum(below, 1)
    mean_above = (np.sum(counts * levels) - np.cumsum(counts * levels)) / np.maximum(above, 1)
    between = below * above * (mean_below - mean_above) ** 2
    best = np.flatnonzero(between == between.max())
    return float(best.mean()) + 1  # the middle of a gap without any pixels


def split_digits(sketch: Sketch) -> tuple[Sketch, ...]:
    """Cut a sketch into its digits, in reading order; one digit, or none, comes back as it is.

    Connected ink belongs together, and so do pieces that lie above one another (the bar of a 5). Dust is dropped.
    """
    boxes = _merge(_components(sketch.ink))
    if len(boxes) <= 1:
        return (sketch,)
    if len(boxes) > MAX_DIGITS:
        raise InputError(f"The picture has {len(boxes)} separate pieces, more than {MAX_DIGITS}: cut out the digits.")
    return tuple(_cut(sketch, box) for box in _reading_order(boxes))


Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two are one beyond


def _components(ink: np.ndarray) -> list[Box]:
    from scipy import ndimage  # 0.2 s to import

    labels, count = ndimage.label(ink >= max(SEEN, 96), structure=np.ones((3, 3), dtype=bool))
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    slices = ndimage.find_objects(labels)
    if not count:
        return []
    large = areas >= max(4.0, _SPECK * float(areas.max()))
    return [
        (rows.start, columns.start, rows.stop, columns.stop)
        for (rows, columns), keep in zip(slices, large, strict=True)
        if keep
    ]


def _merge(boxes: list[Box]) -> list[Box]:
    """Join boxes whose columns overlap by half of the narrower one and that lie close above one another."""
    merged = sorted(boxes)
    height = float(np.median([bottom - top for top, _, bottom, _ in merged])) if merged else 0.0
    changed = True
    while changed:
        changed = False
        for first in range(len(merged)):
            for second in range(first + 1, len(merged)):
                if _belong(merged[first], merged[second], reach=0.5 * height):
                    merged[first] = _join(merged[first], merged.pop(second))
                    changed = True
                    break
            if changed:
                break
    return merged


def _belong(one: Box, two: Box, *, reach: float) -> bool:
    shared = min(one[3], two[3]) - max(one[1], two[1])
    narrower = min(one[3] - one[1], two[3] - two[1])
    gap = max(one[0], two[0]) - min(one[2], two[2])
    return shared >= 0.5 * narrower and gap <= reach


def _join(one: Box, two: Box) -> Box:
    return min(one[0], two[0]), min(one[1], two[1]), max(one[2], two[2]), max(one[3], two[3])


def _reading_order(boxes: list[Box]) -> list[Box]:
    """Sort by line, then from left to right; a box belongs to a line if its middle lies within it."""
    lines: list[list[Box]] = []
    for box in sorted(boxes):
        middle = (box[0] + box[2]) / 2
        for line in lines:
            if min(b[0] for b in line) <= middle <= max(b[2] for b in line):
                line.append(box)
                break
        else:
            lines.append([box])
    return [box for line in lines for box in sorted(line, key=lambda b: b[1])]


def _cut(sketch: Sketch, box: Box) -> Sketch:
    """Lend the piece a square canvas of its own with some paper around."""
    top, left, bottom, right = box
    piece = sketch.ink[top:bottom, left:right]
    margin = max(piece.shape) // 5 + 2
    side = max(piece.shape) + 2 * margin
    paper = np.zeros((side, side), dtype=np.uint8)
    down, across = (side - piece.shape[0]) // 2, (side - piece.shape[1]) // 2
    paper[down : down + piece.shape[0], across : across + piece.shape[1]] = piece
    return Sketch(paper, sketch.origin)
