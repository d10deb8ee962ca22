"""Digits as pen strokes on a canvas, for benchmarks, tests and the guess game's hints.

Two sources: ten digits written down as polylines, and pictures of a data set traced back to the middle lines of their
strokes (thinned by Zhang and Suen 1984) and drawn again with another pen, size, place and slant.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lab.errors import InputError
from lab.sketch.normalise import stroke_width
from lab.sketch.sketch import CANVAS, MAX_BRUSH, MIN_BRUSH, Sketch, Stroke, sketch_from_strokes

_TRACE_SIDE = 84  # three times a picture's resolution: middle lines to a third of a pixel
_SOLID = 112  # ink level that counts as stroke
_PRUNE = 5  # pixels at that resolution: shorter side branches are thorns of thinning


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float, n: int = 24) -> list[tuple[float, float]]:
    """Return points of an ellipse; degrees, 0 to the right, clockwise on the screen."""
    angles = [math.radians(start + (end - start) * i / n) for i in range(n + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


# In a box of 100×160, as people write them: stroke by stroke.
POLYLINES: dict[str, list[list[tuple[float, float]]]] = {
    "0": [_arc(50, 80, 46, 78, -80, 285, 40)],
    "1": [[(22, 40), (56, 4), (56, 156)]],
    "2": [[*_arc(50, 45, 42, 42, 190, 395), (10, 154), (94, 154)]],
    "3": [[*_arc(46, 43, 38, 40, 205, 445), *_arc(44, 115, 46, 40, -85, 150)]],
    "4": [[(66, 4), (8, 100), (98, 100)], [(70, 52), (70, 158)]],
    "5": [[(86, 6), (24, 6), (18, 66), *_arc(46, 106, 46, 48, -115, 140)]],
    "6": [[(76, 6), (44, 36), *_arc(50, 112, 40, 44, 190, 540)]],
    "7": [[(8, 8), (92, 8), (40, 156)]],
    "8": [[*_arc(50, 42, 34, 38, 30, -210), *_arc(50, 118, 42, 40, -60, 240), (76, 62)]],
    "9": [[*_arc(48, 46, 38, 42, 10, -350), (86, 54), (80, 112), (62, 156)]],
}


@dataclass(frozen=True, slots=True)
class Hand:
    """How something is drawn: pen width and height of the drawing in canvas pixels, slant (tangent, to the right),
    turn in degrees, and where its middle lies (canvas pixels)."""

    pen: float = 16.0
    height: float = 200.0
    slant: float = 0.0
    turn: float = 0.0
    middle: tuple[float, float] = (CANVAS / 2, CANVAS / 2)


def place_strokes(lines: Sequence[Sequence[tuple[float, float]]], hand: Hand) -> tuple[Stroke, ...]:
    """Lay polylines of any size onto the canvas as `hand` would draw them."""
    points = np.array([point for line in lines for point in line])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = hand.height / max(1e-6, float((high - low).max()))
    turn = math.radians(hand.turn)
    cos, sin = math.cos(turn), math.sin(turn)
    slanted = np.array([[1.0, -hand.slant], [0.0, 1.0]])
    matrix = np.array([[cos, -sin], [sin, cos]]) @ slanted
    placed = [(np.array(line) - (low + high) / 2) * scale @ matrix.T for line in lines]
    shift = _fit(np.concatenate(placed), hand)
    pen = min(max(hand.pen, MIN_BRUSH), MAX_BRUSH)
    return tuple(Stroke(tuple((float(x), float(y)) for x, y in line + shift), pen) for line in placed)


def _fit(points: np.ndarray, hand: Hand) -> np.ndarray:
    """Return the shift that brings the drawing's middle to the hand's, or as near as the canvas's edges allow."""
    low, high = points.min(axis=0) - hand.pen / 2, points.max(axis=0) + hand.pen / 2
    target = np.array(hand.middle)
    slack = CANVAS - (high - low)
    inside = np.clip(target, -low, CANVAS - high)
    shift: np.ndarray = np.where(slack > 0, inside, CANVAS / 2 - (low + high) / 2)
    return shift


def draw_digit(digit: str, hand: Hand | None = None) -> Sketch:
    """Draw one of the ten polyline digits."""
    if digit not in POLYLINES:
        raise InputError(f"There is no polyline for {digit!r}: choose one of {', '.join(POLYLINES)}.")
    return sketch_from_strokes(place_strokes(POLYLINES[digit], hand or Hand()))


def random_hand(random: np.random.Generator) -> Hand:
    """Draw a hand as people have them: pens 4 to 34, digits 70 to 240 high, slants of -20° to 30°, anywhere that fits."""
    height = float(random.uniform(70, 240))
    pen = float(random.uniform(4, min(34, height / 4)))
    slack = max(0.0, (CANVAS - height - pen) / 2)
    middle = CANVAS / 2 + random.uniform(-slack, slack, 2)
    slant = math.tan(math.radians(float(random.uniform(-20, 30))))
    return Hand(pen, height, slant, float(random.uniform(-12, 12)), (float(middle[0]), float(middle[1])))


def trace_lines(image: np.ndarray) -> list[list[tuple[float, float]]]:
    """Return the middle lines of a picture's strokes (uint8, light on black) as polylines in its own pixels.

    A picture without ink gives [].
    """
    large = Image.fromarray(image).resize((_TRACE_SIDE, _TRACE_SIDE), Image.Resampling.BICUBIC)
    thin = _thin(np.asarray(large) >= _SOLID)
    scale = image.shape[0] / _TRACE_SIDE
    return [[(x * scale, y * scale) for x, y in line] for line in _follow(thin)]


def trace_fidelity(image: np.ndarray, lines: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Return how well traced lines, drawn with the picture's own pen, cover its ink: shared ink over all ink, 0 to 1.

    Blots have no middle line that keeps their shape; what is traced from them is another drawing.
    """
    large = Image.fromarray(image).resize((_TRACE_SIDE, _TRACE_SIDE), Image.Resampling.BICUBIC)
    solid = np.asarray(large) >= _SOLID
    pen = stroke_width(np.where(solid, 255, 0).astype(np.uint8)) * CANVAS / _TRACE_SIDE
    scale = CANVAS / image.shape[0]
    strokes = [Stroke(tuple((x * scale, y * scale) for x, y in line), pen) for line in lines]
    drawn = sketch_from_strokes(strokes, side=_TRACE_SIDE).ink >= 128
    return float((drawn & solid).sum() / max(1, (drawn | solid).sum()))


def _thin(solid: np.ndarray) -> np.ndarray:
    """Thin to lines one pixel wide (Zhang and Suen 1984), all pixels of a pass at once."""
    ink = np.pad(solid, 1)
    while True:
        before = ink.sum()
        for first in (True, False):
            around = _neighbours(ink)
            count = around.sum(axis=0)
            rises = (~around & np.roll(around, -1, axis=0)).sum(axis=0)
            north, east, south, west = around[0], around[2], around[4], around[6]
            pair = (
                ~(north & east & south) & ~(east & south & west)
                if first
                else ~(north & east & west) & ~(north & south & west)
            )
            ink = ink & ~((count >= 2) & (count <= 6) & (rises == 1) & pair)
        if ink.sum() == before:
            return ink[1:-1, 1:-1]


_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # clockwise from the north


def _neighbours(ink: np.ndarray) -> np.ndarray:
    return np.stack([np.roll(ink, (-dy, -dx), axis=(0, 1)) for dy, dx in _AROUND])


def _follow(thin: np.ndarray) -> list[list[tuple[float, float]]]:
    """Walk the lines of a thinned picture from their ends, then what is left (rings)."""
    free = {(int(x), int(y)) for y, x in np.argwhere(thin)}
    ends = [point for point in sorted(free) if len(_next(point, free)) == 1]
    lines = []
    for start in [*ends, *sorted(free)]:
        while start in free or _next(start, free):
            line = _walk(start, free)
            if len(line) < 2:
                break
            lines.append(line)
    long = [line for line in lines if len(line) >= _PRUNE] or lines
    return [_smooth(line) for line in long]


def _next(point: tuple[int, int], free: set[tuple[int, int]]) -> list[tuple[int, int]]:
    x, y = point
    return [
        (x + dx, y + dy) for dy, dx in sorted(_AROUND, key=lambda d: abs(d[0]) + abs(d[1])) if (x + dx, y + dy) in free
    ]


def _walk(start: tuple[int, int], free: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Follow a line as straight as it goes, taking its pixels out of `free`."""
    line = [start]
    free.discard(start)
    while candidates := _next(line[-1], free):
        x, y = line[-1]
        back = line[max(0, len(line) - 5)]
        ahead = (x - back[0], y - back[1])
        best = max(candidates, key=lambda c: ahead[0] * (c[0] - x) + ahead[1] * (c[1] - y))
        line.append(best)
        free.discard(best)
    return line


def _smooth(line: list[tuple[int, int]]) -> list[tuple[float, float]]:
    points = np.array(line, dtype=np.float64) + 0.5
    if len(points) >= 5:
        padded = np.pad(points, ((2, 2), (0, 0)), mode="edge")
        points = np.mean([padded[i : i + len(points)] for i in range(5)], axis=0)
    return [(float(x), float(y)) for x, y in points]


def redraw_image(image: np.ndarray, hand: Hand) -> Sketch:
    """Draw a data set's picture again as strokes of another hand; a picture without ink gives a blank sketch."""
    lines = trace_lines(image)
    return sketch_from_strokes(place_strokes(lines, hand) if lines else (), origin="canvas")
