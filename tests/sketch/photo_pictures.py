"""Pictures for the tests of photos: digits drawn as polylines, and photos without digits."""

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from lab.sketch.render import Hand, draw_digit

SIZE = (420, 560)  # height and width of the pictures without digits
HAND = Hand(pen=14, height=160)
Random = np.random.Generator


def crop(digit: str) -> np.ndarray:
    """Return the ink of a digit, uint8, without paper around it."""
    ink = draw_digit(digit, HAND).ink
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def pushed_together(digits: str) -> np.ndarray:
    """Return a sheet's ink, uint8, with digits pushed to the left until they touch, plus 4 pixels."""
    sheet = np.zeros((240, 200 + 140 * len(digits)), np.uint8)
    left = 40
    for each in map(crop, digits):
        tall, wide = each.shape
        place = left
        while left > 40 and not (sheet[32 : 32 + tall, place : place + wide].astype(int) + each > 300).any():
            place -= 1
        place -= 4 if left > 40 else 0
        part = sheet[32 : 32 + tall, place : place + wide]
        np.maximum(part, each, out=part)
        left = place + wide + 10
    return sheet


def digit_image(digit: str, *, slant: float = 0.1) -> np.ndarray:
    """Return a polyline digit as a data set has it: uint8 (28, 28), light on black."""
    drawn = draw_digit(digit, Hand(pen=26, height=200, slant=slant)).ink
    return np.asarray(Image.fromarray(drawn).resize((28, 28), Image.Resampling.BOX))


def file_of(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Return a grey or colour array as the bytes of a picture file."""
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, kind)
    return out.getvalue()


def _sheet(
    draw: Callable[[np.ndarray], object], random: Random, *, paper: float = 238, blur: float = 0.8
) -> np.ndarray:
    sheet = np.full(SIZE, paper, np.float32)
    draw(sheet)
    return cv2.GaussianBlur(sheet, (0, 0), blur) + random.normal(0, 2, SIZE).astype(np.float32)


def _table(random: Random, *, turn: float) -> np.ndarray:
    table = np.full(SIZE, random.uniform(20, 90), np.float32)
    size = (random.uniform(260, 360), random.uniform(200, 280))
    corners = cv2.boxPoints(((SIZE[1] / 2, SIZE[0] / 2), size, turn))
    cv2.fillPoly(table, [corners.astype(np.int32)], 240.0)
    return cv2.GaussianBlur(table, (0, 0), 1.0) + random.normal(0, 3, SIZE).astype(np.float32)


def blank(random: Random) -> np.ndarray:
    """An empty sheet, light or dim."""
    return _sheet(lambda s: None, random, paper=float(random.uniform(60, 245)))


def shaded(random: Random) -> np.ndarray:
    """An empty sheet across which the light falls off."""
    return blank(random) * np.linspace(1, random.uniform(0.3, 0.8), SIZE[1], dtype=np.float32)[None]


def shadows(random: Random) -> np.ndarray:
    """An empty sheet under two shadows that cross."""
    sheet = blank(random)
    rows, columns = np.indices(SIZE)
    for _ in range(2):
        angle = random.uniform(0, 2 * np.pi)
        depth = (rows - SIZE[0] / 2) * np.sin(angle) + (columns - SIZE[1] / 2) * np.cos(angle) - random.uniform(-60, 60)
        sheet = sheet * (1 - 0.45 / (1 + np.exp(np.clip(-depth / random.uniform(1, 8), -50, 50))))
    return sheet


def sheet_on_table(random: Random) -> np.ndarray:
    """An empty sheet on a dark table."""
    return _table(random, turn=float(random.uniform(-14, 14)))


def scanner_edge(random: Random) -> np.ndarray:
    """An empty scan with a dark strip at two sides."""
    sheet = blank(random)
    sheet[:, : int(random.integers(4, 24))] = 20
    sheet[-int(random.integers(4, 24)) :] = 30
    return sheet


def frame(random: Random) -> np.ndarray:
    """A rectangle, thin or thick, turned by up to 30 degrees."""
    size = (random.uniform(110, 260), random.uniform(110, 260))
    corners = cv2.boxPoints(((SIZE[1] / 2, SIZE[0] / 2), size, float(random.uniform(-30, 30)))).astype(np.int32)
    thick = int(random.integers(2, 15))
    return _sheet(lambda s: cv2.polylines(s, [corners], True, 30.0, thick), random)


def grid(random: Random) -> np.ndarray:
    """Squared paper."""
    step, thick, off = random.uniform(16, 60), int(random.integers(1, 4)), random.uniform(0, 10)

    def draw(sheet: np.ndarray) -> None:
        for at in np.arange(off, max(SIZE) * 1.1, step):
            cv2.line(sheet, (0, int(at)), (SIZE[1], int(at - off)), 70.0, thick)
            cv2.line(sheet, (int(at), 0), (int(at + off), SIZE[0]), 70.0, thick)

    return _sheet(draw, random)


def lines(random: Random) -> np.ndarray:
    """Ruled paper."""
    step, thick = random.uniform(25, 70), int(random.integers(1, 4))

    def draw(sheet: np.ndarray) -> None:
        for at in np.arange(14, SIZE[0], step):
            cv2.line(sheet, (0, int(at)), (SIZE[1], int(at + 4)), 90.0, thick)

    return _sheet(draw, random)


def table_of_fields(random: Random) -> np.ndarray:
    """A form's grid in the middle of a sheet."""
    count, thick = int(random.integers(2, 6)), int(random.integers(2, 7))
    step = 280 // count

    def draw(sheet: np.ndarray) -> None:
        for i in range(count + 1):
            cv2.line(sheet, (120 + i * step, 60), (120 + i * step, 60 + count * step), 40.0, thick)
            cv2.line(sheet, (120, 60 + i * step), (120 + count * step, 60 + i * step), 40.0, thick)

    return _sheet(draw, random)


NO_DIGITS: dict[str, Callable[[Random], np.ndarray]] = {
    f.__name__: f for f in (blank, shaded, shadows, sheet_on_table, scanner_edge, frame, grid, lines, table_of_fields)
}
