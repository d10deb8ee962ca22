"""Traces a data set's pictures to the centre lines of their strokes (thinning of Zhang and Suen 1984) and redraws them.

The redrawn digits have another pen, size, position and slant.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lab.sketch.normalise import stroke_width
from lab.sketch.render import Hand, place_strokes
from lab.sketch.sketch import CANVAS, Sketch, Stroke, sketch_from_strokes

_TRACE_SIDE = 84  # three times a picture's resolution: centre lines are accurate to a third of a pixel
_SOLID = 112  # ink level that counts as stroke
_PRUNE = 5  # pixels at that resolution; shorter branches are artefacts of thinning


def trace_lines(image: np.ndarray) -> list[list[tuple[float, float]]]:
    """Return the centre lines of a picture's strokes (uint8, light on black) as polylines in pixels of the picture.

    A picture without ink gives [].
    """
    large = Image.fromarray(image).resize((_TRACE_SIDE, _TRACE_SIDE), Image.Resampling.BICUBIC)
    thin = _thin(np.asarray(large) >= _SOLID)
    scale = image.shape[0] / _TRACE_SIDE
    return [[(x * scale, y * scale) for x, y in line] for line in _follow(thin)]


def trace_fidelity(image: np.ndarray, lines: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Return how well traced lines, drawn with the picture's own pen width, cover its ink.

    The value is the ink in common divided by the ink of either, from 0 to 1. Blots have no centre line that preserves
    their shape, so their trace is another drawing.
    """
    large = Image.fromarray(image).resize((_TRACE_SIDE, _TRACE_SIDE), Image.Resampling.BICUBIC)
    solid = np.asarray(large) >= _SOLID
    pen = stroke_width(np.where(solid, 255, 0).astype(np.uint8)) * CANVAS / _TRACE_SIDE
    scale = CANVAS / image.shape[0]
    strokes = [Stroke(tuple((x * scale, y * scale) for x, y in line), pen) for line in lines]
    drawn = sketch_from_strokes(strokes, side=_TRACE_SIDE).ink >= 128
    return float((drawn & solid).sum() / max(1, (drawn | solid).sum()))


def _thin(solid: np.ndarray) -> np.ndarray:
    """Return ink thinned to lines one pixel wide (Zhang and Suen 1984); each pass handles all pixels in parallel."""
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
    """Return the lines of a thinned picture, first those with ends, then the rest (rings)."""
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
    """Return a line, followed as straight as possible from `start`; its pixels are removed from `free`."""
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
    """Return a data set's picture redrawn as strokes of another hand; a picture without ink gives a blank sketch."""
    lines = trace_lines(image)
    return sketch_from_strokes(place_strokes(lines, hand) if lines else (), origin="canvas")
