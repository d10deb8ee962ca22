"""Ten digits as polylines, and drawings of them in different hands: for Home's samples, benchmarks and tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.errors import InputError
from lab.sketch.sketch import CANVAS, MAX_BRUSH, MIN_BRUSH, Sketch, Stroke, sketch_from_strokes


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float, n: int = 24) -> list[tuple[float, float]]:
    """Return points of an elliptical arc. Angles are in degrees, 0 to the right, clockwise on the screen."""
    angles = [math.radians(start + (end - start) * i / n) for i in range(n + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


# In a box of 100×160, stroke by stroke as written by hand.
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
    """How something is drawn.

    pen: width in canvas pixels. height: of the drawing, in canvas pixels. slant: tangent, to the right. turn: degrees.
    middle: centre of the drawing (x, y) in canvas pixels.
    """

    pen: float = 16.0
    height: float = 200.0
    slant: float = 0.0
    turn: float = 0.0
    middle: tuple[float, float] = (CANVAS / 2, CANVAS / 2)


def place_strokes(lines: Sequence[Sequence[tuple[float, float]]], hand: Hand) -> tuple[Stroke, ...]:
    """Return the strokes of polylines of any size, placed on the canvas as described by `hand`."""
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
    """Return the shift that moves the drawing's centre to the hand's, or as near as the edges of the canvas allow."""
    low, high = points.min(axis=0) - hand.pen / 2, points.max(axis=0) + hand.pen / 2
    target = np.array(hand.middle)
    slack = CANVAS - (high - low)
    inside = np.clip(target, -low, CANVAS - high)
    shift: np.ndarray = np.where(slack > 0, inside, CANVAS / 2 - (low + high) / 2)
    return shift


def draw_digit(digit: str, hand: Hand | None = None) -> Sketch:
    """Return a drawing of one of the ten polyline digits. Raises `InputError` for anything else."""
    if digit not in POLYLINES:
        raise InputError(f"There is no polyline for {digit!r}: choose one of {', '.join(POLYLINES)}.")
    return sketch_from_strokes(place_strokes(POLYLINES[digit], hand or Hand()))


def random_hand(random: np.random.Generator) -> Hand:
    """Return a random, plausible hand: pen 4 to 34, height 70 to 240, slant -20° to 30°, anywhere that fits."""
    height = float(random.uniform(70, 240))
    pen = float(random.uniform(4, min(34, height / 4)))
    slack = max(0.0, (CANVAS - height - pen) / 2)
    middle = CANVAS / 2 + random.uniform(-slack, slack, 2)
    slant = math.tan(math.radians(float(random.uniform(-20, 30))))
    return Hand(pen, height, slant, float(random.uniform(-12, 12)), (float(middle[0]), float(middle[1])))
