"""Removes printed lines, grids, frames and boxes around handwriting, which are found as long, thin, straight lines.

Where a stroke crosses a line, its ink is kept: the parts on both sides of the line are joined again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lab.sketch.pieces import Pieces, longer
from lab.sketch.shape import spread

_THIN = 0.014  # maximum width of a line, as a share of the longer side
_WIDEST = 15  # maximum width of a line in pixels
_ASKEW = 0.1  # sine of twice the maximum angle between lines that are parallel or perpendicular
_ROUNDS = (0.3, 0.3, 0.12)  # least lengths of lines in successive searches, as shares of the shorter side
_EDGE = 0.03  # a line that ends within this share of the longer side from the edge runs off the sheet
_FRAME_SIDE = 0.62  # least length of a frame's line, as a share of the frame's side
_NEAR_SIDE = 0.14  # maximum distance of a frame's line from the frame's side, as a share of that side
_MIN_FRAME = 24  # pixels; smaller pieces are not frames
_AT_ONCE = 25_000  # maximum ink pixels in a search; a picture with more is reduced
_SEARCHED = 120_000  # maximum ink pixels in all searches of one picture
_AREAS = 8  # maximum pixels searched, as a multiple of the picture's
_LEFT = 3  # maximum size of a line's remains, in line widths
_LEFT_OF_MANY = 10  # maximum size of the remains of a grid or of ruled paper, in line widths
_MANY = 6  # least number of lines on ruled paper
_FRAMES = 8  # the number of largest pieces that are checked for frames
_FITTED_TO = 12_000  # maximum ink pixels that lines are fitted to
_MAX_LINES = 500
_MAX_FITTED = 150
_SAME = 3.5  # lines within this many pixels are the same
_HATCH = 3  # least number of parallel straight strokes in a hatching
_STRAIGHT = 8.0  # least spread along / spread across such a stroke
_LEANS = 20.0  # least degrees from the vertical; upright strokes may be a row of 1s
_ALIKE = 1.0  # maximum difference in degrees; handwriting varies more


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line between two points, in pixels."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def length(self) -> float:
        """Distance between its ends."""
        return math.hypot(self.x1 - self.x0, self.y1 - self.y0)

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Its two ends."""
        return (self.x0, self.y0), (self.x1, self.y1)

    @property
    def angle(self) -> float:
        """Direction in radians."""
        return math.atan2(self.y1 - self.y0, self.x1 - self.x0)


@dataclass(frozen=True, slots=True, eq=False)
class _Erased:
    """The rest of a mask, the band of the removed lines (both uint8 (H, W)), those lines, and their maximum width."""

    rest: np.ndarray
    band: np.ndarray
    lines: tuple[Line, ...]
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Unruled:
    """An ink mask without its lines.

    mask, band: the remaining ink and the place of the lines, both uint8 (H, W). width: maximum width of the lines.
    many: whether there were enough lines for a grid or ruled paper.
    """

    mask: np.ndarray
    band: np.ndarray
    width: int
    many: bool

    def without_scrap(self, pieces: Pieces, numbers: Sequence[int]) -> list[int]:
        """Return the pieces that are not remains of lines.

        On ruled paper remains may be larger, but a piece that touches no line is never one.
        """
        scrap = _LEFT * self.width
        large = [i for i in numbers if longer(pieces.boxes[i]) > scrap]
        if not self.many:
            return large
        scrap = _LEFT_OF_MANY * self.width
        near = cv2.dilate(self.band, np.ones((5, 5), np.uint8)) > 0
        on_lines = set(np.unique(pieces.labels[near]).tolist())
        return [i for i in large if longer(pieces.boxes[i]) > scrap or i + 1 not in on_lines]


def remove_lines(mask: np.ndarray, strength: np.ndarray) -> Unruled:
    """Return an ink mask uint8 (H, W) without its printed lines.

    strength: contrast, float32 (H, W), which distinguishes ink from paler lines.
    """
    done = _Erased(mask, np.zeros_like(mask), (), 0)
    search = _Search(mask.size)
    for length in _ROUNDS:
        thin = _thin_part(done.rest)
        found = search.find(thin, length * min(mask.shape))
        depth = _depth(done.rest)
        lines = [line for line in found if _runs_off(line, mask.shape) or _joins(line, done, depth)]
        done = _erase(done, _extended(lines, thin), strength)
        done = _erase(done, _frame_lines(done.rest, search), strength)
    return Unruled(done.rest, done.band, done.width, len(done.lines) >= _MANY)


def without_hatching(pieces: Pieces, numbers: Sequence[int]) -> list[int]:
    """Return the pieces that are not part of a hatching: several straight strokes with the same slant."""
    leans = {}
    for number in numbers:
        top, left, bottom, right = pieces.boxes[number]
        longest, lean = spread((pieces.labels[top:bottom, left:right] == number + 1).astype(np.uint8))
        if longest >= _STRAIGHT and abs(lean) >= _LEANS:
            leans[number] = lean
    alike = {one: sum(abs(lean - other) <= _ALIKE for other in leans.values()) for one, lean in leans.items()}
    return [number for number in numbers if alike.get(number, 0) < _HATCH]


def _thin_part(mask: np.ndarray) -> np.ndarray:
    """Return the part of a mask that is thin enough to be a line."""
    width = min(_WIDEST, max(3, round(_THIN * max(mask.shape)))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    thick = cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), np.ones((3, 3), np.uint8))
    return cv2.bitwise_and(mask, cv2.bitwise_not(thick))


class _Search:
    """Finds straight lines, with a limit on the total work for one picture."""

    def __init__(self, pixels: int) -> None:
        self._points = _SEARCHED
        self._pixels = _AREAS * pixels

    def find(self, mask: np.ndarray, length: float) -> list[Line]:
        """Return lines of at least `length` pixels; none once the limit is reached.

        They are found by the probabilistic Hough transform (Matas et al. 2000), in a reduced picture if there is much
        ink.
        """
        self._pixels -= mask.size
        count = int(np.count_nonzero(mask)) if self._pixels > 0 else 0
        scale = min(1.0, math.sqrt(_AT_ONCE / max(1, count)))
        self._points -= min(count, _AT_ONCE)
        if count == 0 or self._points < 0:
            return []
        if scale < 1:
            mask = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        least = max(8.0, length * scale)
        found = cv2.HoughLinesP(
            mask, 1, math.pi / 360, round(0.4 * least), minLineLength=least, maxLineGap=max(3.0, 0.12 * least)
        )
        if found is None:
            return []
        return [Line(*row) for row in (found.reshape(-1, 4)[:_MAX_LINES] / scale).tolist()]


def _runs_off(line: Line, shape: tuple[int, int]) -> bool:
    """Whether a line reaches the edge of the sheet with one of its ends."""
    near = max(4.0, _EDGE * max(shape))
    return any(min(x, y, shape[1] - 1 - x, shape[0] - 1 - y) <= near for x, y in line.ends)


def _joins(line: Line, done: _Erased, depth: np.ndarray) -> bool:
    """Whether a line connects two removed ones, is as thin as they are, and parallel or perpendicular to one."""
    if not done.lines:
        return False
    reach = round(max(4.0, _EDGE * max(done.rest.shape)) / 2)
    if not all(_is_near(done.band, x, y, reach) for x, y in line.ends):
        return False
    if not any(abs(math.sin(2 * (line.angle - other.angle))) <= _ASKEW for other in done.lines):
        return False
    return _width_along([line], depth) <= 1.5 * done.width


def _is_near(erased: np.ndarray, x: float, y: float, reach: int) -> bool:
    """Whether anything was removed within `reach` pixels."""
    row, column = round(y), round(x)
    return bool(erased[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1].any())


def _extended(lines: list[Line], thin: np.ndarray) -> list[Line]:
    """Return the lines without duplicates, fitted to their ink and extended across the whole sheet."""
    if not lines:
        return []
    rows, columns = np.nonzero(thin)
    step = 1 + len(rows) // _FITTED_TO
    points = np.column_stack((columns[::step], rows[::step])).astype(np.float32)
    out: list[Line] = []
    for line in sorted(lines, key=lambda each: -each.length):
        if len(out) >= _MAX_FITTED:
            break
        if not _lies_on_one(line, out):
            for near in (4.0, 2.5):
                line = _fitted(line, points, near, thin.shape)
            out.append(line)
    return out


def _lies_on_one(line: Line, others: list[Line]) -> bool:
    """Whether both ends of a line are within `_SAME` pixels of one of the others."""
    if not others:
        return False
    rows = np.array([(o.x0, o.y0, (o.y1 - o.y0) / o.length, (o.x0 - o.x1) / o.length) for o in others])
    away = [np.abs((x - rows[:, 0]) * rows[:, 2] + (y - rows[:, 1]) * rows[:, 3]) for x, y in line.ends]
    return bool((np.maximum(*away) <= _SAME).any())


def _fitted(line: Line, points: np.ndarray, near: float, shape: tuple[int, int]) -> Line:
    """Return a line fitted to the ink near another (robust least squares), from edge to edge."""
    nx, ny = (line.y1 - line.y0) / line.length, (line.x0 - line.x1) / line.length
    along = ((points[:, 0] - line.x0) * -ny + (points[:, 1] - line.y0) * nx) / line.length
    away = np.abs((points[:, 0] - line.x0) * nx + (points[:, 1] - line.y0) * ny)
    close = points[(away <= near) & (along >= -0.1) & (along <= 1.1)]
    if len(close) < 8:
        return line
    dx, dy, x, y = (float(v) for v in cv2.fitLine(close, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel())
    reach = float(max(shape)) * 1.5
    inside, (x0, y0), (x1, y1) = cv2.clipLine(
        (0, 0, shape[1], shape[0]),
        (round(x - reach * dx), round(y - reach * dy)),
        (round(x + reach * dx), round(y + reach * dy)),
    )
    return Line(x0, y0, x1, y1) if inside and (x0, y0) != (x1, y1) else line


def _frame_lines(mask: np.ndarray, search: _Search) -> list[Line]:
    """Return the lines of pieces that are frames: with a line along at least three sides of their box."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    thin = _thin_part(mask)
    lines: list[Line] = []
    sides = np.minimum(stats[:, 2], stats[:, 3])
    possible = np.flatnonzero((sides >= _MIN_FRAME) & (stats[:, 4] <= 0.5 * stats[:, 2] * stats[:, 3]))
    possible = possible[possible > 0]
    for index in possible[np.argsort(-sides[possible], kind="stable")][:_FRAMES]:
        left, top, wide, tall, _ = stats[index].tolist()
        piece = np.where(labels[top : top + tall, left : left + wide] == index, 255, 0).astype(np.uint8)
        straight = cv2.bitwise_and(piece, thin[top : top + tall, left : left + wide])
        found = search.find(np.asarray(straight), _FRAME_SIDE * min(wide, tall))
        if _sides(found, wide, tall) >= 3:
            lines += [Line(f.x0 + left, f.y0 + top, f.x1 + left, f.y1 + top) for f in found if _upright(f)]
    return lines


def _upright(line: Line) -> bool:
    """Whether a line is within 12 degrees of the sheet's axes."""
    across, down = abs(line.x1 - line.x0), abs(line.y1 - line.y0)
    return min(across, down) <= 0.21 * max(across, down)


def _sides(lines: list[Line], wide: int, tall: int) -> int:
    """Return how many sides of a box have a line along most of their length."""
    near_x, near_y = max(3.0, _NEAR_SIDE * min(wide, tall)), max(3.0, _NEAR_SIDE * min(wide, tall))
    sides = set()
    for line in lines:
        x, y = (line.x0 + line.x1) / 2, (line.y0 + line.y1) / 2
        across, down = abs(line.x1 - line.x0), abs(line.y1 - line.y0)
        if not _upright(line):
            continue
        if across > down and across >= _FRAME_SIDE * min(wide, tall):
            sides |= {"top"} if y <= near_y else {"bottom"} if y >= tall - near_y else set()
        elif down > across and down >= _FRAME_SIDE * tall:
            sides |= {"left"} if x <= near_x else {"right"} if x >= wide - near_x else set()
    return len(sides)


def _erase(done: _Erased, lines: list[Line], strength: np.ndarray) -> _Erased:
    """Return the mask after removing lines from the rest, except where strokes cross them."""
    if not lines:
        return done
    mask, core = done.rest, _drawn(lines, done.rest.shape)
    width = _width_along(lines, _depth(mask))
    band = cv2.dilate(core, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width + 2, width + 2)))
    on = (core > 0) & (mask > 0)
    usual = float(np.median(strength[on])) if on.any() else 0.0
    dark = np.where(strength > 1.5 * usual, 255, 0).astype(np.uint8)  # ink over a paler line
    rest = cv2.bitwise_and(mask, cv2.bitwise_or(cv2.bitwise_not(band), dark))
    bridge = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width + 6, width + 6))
    crossed = cv2.bitwise_and(cv2.morphologyEx(rest, cv2.MORPH_CLOSE, bridge), mask)
    left = cv2.bitwise_or(rest, crossed)
    return _Erased(left, cv2.bitwise_or(done.band, band), (*done.lines, *lines), max(done.width, width))


def _drawn(lines: list[Line], shape: tuple[int, ...]) -> np.ndarray:
    """Return an empty mask uint8 (H, W) with lines drawn one pixel wide."""
    core = np.zeros(shape, np.uint8)
    for line in lines:
        cv2.line(core, (round(line.x0), round(line.y0)), (round(line.x1), round(line.y1)), 255, 1)
    return core


def _depth(mask: np.ndarray) -> np.ndarray:
    """Return, for each pixel, the greatest depth in the ink within its 3×3 neighbourhood, float32 (H, W)."""
    return cv2.dilate(cv2.distanceTransform(mask, cv2.DIST_L2, 3), np.ones((3, 3), np.uint8))


def _width_along(lines: list[Line], depth: np.ndarray) -> int:
    """Return the usual width of lines, from the depth along their centre."""
    on = depth[_drawn(lines, depth.shape) > 0] if len(lines) > 1 else _along(lines[0], depth)
    on = on[on > 0]
    if not len(on):
        return 3
    return int(min(_WIDEST, max(2, round(2 * float(np.percentile(on, 75))))))


def _along(line: Line, depth: np.ndarray) -> np.ndarray:
    """Return the values of an array (H, W) along a line."""
    steps = np.linspace(0, 1, 2 + round(line.length))
    rows = np.clip(np.rint(line.y0 + steps * (line.y1 - line.y0)).astype(int), 0, depth.shape[0] - 1)
    columns = np.clip(np.rint(line.x0 + steps * (line.x1 - line.x0)).astype(int), 0, depth.shape[1] - 1)
    return np.asarray(depth[rows, columns])
