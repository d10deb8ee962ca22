"""A drawing: light ink on black, of any size. Both pads, photos and files are converted to it."""

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lab.errors import InputError

CANVAS = 280  # side of both pads' coordinate system, in pixels
MAX_SIDE = 4096  # maximum side of a picture, in pixels
MAX_STROKES = 400
MAX_POINTS = 20_000  # in all strokes together: an hour of scribbling
MIN_BRUSH, MAX_BRUSH = 1.0, 80.0  # width of a stroke in canvas pixels
MIN_PEN, MAX_PEN = 4, 40  # widths that the pads offer
SEEN = 24  # lower ink levels come from anti-aliasing and do not count as ink


@dataclass(frozen=True, slots=True)
class Stroke:
    """One line drawn without lifting the pen: points (x, y) and the pen's width, in canvas pixels."""

    points: tuple[tuple[float, float], ...]
    width: float


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """One drawing.

    ink: uint8 (H, W), 0 is paper and 255 full ink. origin: "live", "canvas", "photo", "file" or "saved".
    """

    ink: np.ndarray
    origin: str
    strokes: tuple[Stroke, ...] = field(default=())

    @property
    def blank(self) -> bool:
        """Whether the drawing is empty."""
        return not bool((self.ink >= SEEN).any())


def sketch_from_strokes(strokes: Sequence[Stroke], *, side: int = CANVAS, origin: str = "live") -> Sketch:
    """Return strokes drawn with round pens onto a square canvas of `side` pixels, anti-aliased.

    The strokes' coordinates run from 0 to `CANVAS`, regardless of `side`.
    """
    fine = 2 * side
    scale = fine / CANVAS
    picture = Image.new("L", (fine, fine))
    draw = ImageDraw.Draw(picture)
    for stroke in strokes:
        points = [(x * scale, y * scale) for x, y in stroke.points]
        width = max(1.0, stroke.width * scale)
        if len(points) > 1:
            draw.line(points, fill=255, width=round(width))
        _dots(draw, points, width / 2)
    return Sketch(np.asarray(picture.reduce(2)), origin, tuple(strokes))


def _dots(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], radius: float) -> None:
    """Draw round ends and corners; points within half a radius of the last dot are skipped."""
    last: tuple[float, float] | None = None
    for x, y in points:
        if last is None or (x, y) == points[-1] or math.dist(last, (x, y)) > radius / 2:
            # Pillow's bounding boxes include the last pixel.
            draw.ellipse((x - radius, y - radius, x + radius - 1, y + radius - 1), fill=255)
            last = (x, y)


def parse_strokes(text: str) -> tuple[Stroke, ...]:
    """Return the strokes that a pad sent as JSON, `[[width, x, y, x, y, …], …]`. Raises `InputError` for other text."""
    if len(text) > 16 * MAX_POINTS:
        raise InputError(f"The drawing has {len(text):,} characters, more than a pad sends: clear it and draw again.")
    try:
        rows = json.loads(text)
        strokes = tuple(_stroke(row) for row in rows) if isinstance(rows, list) else None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"The drawing cannot be read ({error}): clear the pad and draw again.") from error
    if strokes is None or len(strokes) > MAX_STROKES or sum(len(s.points) for s in strokes) > MAX_POINTS:
        raise InputError(f"A drawing has at most {MAX_STROKES} strokes and {MAX_POINTS:,} points: clear the pad.")
    return strokes


def _stroke(row: Any) -> Stroke:
    if not isinstance(row, list) or len(row) < 3 or len(row) % 2 == 0:
        raise ValueError("a stroke is a width and pairs of coordinates")
    width, *numbers = (float(number) for number in row)
    if not all(-CANVAS <= number <= 2 * CANVAS for number in numbers):  # "not inside", so that NaN fails too
        raise ValueError("a point lies far outside the canvas")
    if not MIN_BRUSH <= width <= MAX_BRUSH:
        raise ValueError(f"the pen's width is not between {MIN_BRUSH:g} and {MAX_BRUSH:g}")
    return Stroke(tuple(zip(numbers[::2], numbers[1::2], strict=True)), width)


def dump_strokes(strokes: Sequence[Stroke]) -> str:
    """Return strokes as text for `parse_strokes`, rounded to a tenth of a pixel."""
    rows = [[s.width, *(round(value, 1) for point in s.points for value in point)] for s in strokes]
    return json.dumps(rows, allow_nan=False, separators=(",", ":"))


def sketch_from_png(data: bytes) -> Sketch:
    """Return the ink (alpha channel) of a canvas saved as PNG. Raises `InputError` for anything else."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if max(picture.size) > MAX_SIDE:
                raise InputError(f"The canvas is {picture.size}, larger than {MAX_SIDE} pixels: clear it.")
            alpha = picture.convert("RGBA").getchannel("A")
    except (ValueError, OSError, SyntaxError) as error:
        raise InputError(f"The canvas cannot be read ({error}): clear it and draw again.") from error
    return Sketch(np.asarray(alpha), "canvas")
