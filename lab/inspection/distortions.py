"""How well a network recognises images that were distorted: the registry of distortions, and what was measured.

`lab.inspection.distort` applies them. This module needs no torch, so that pages and charts import it freely.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lab.formatting import format_percent

_CLOSE = 0.05  # the accuracy counts as kept while it loses no more than this


@dataclass(frozen=True, slots=True)
class Distortion:
    """A distortion of images at several levels, in the order in which they are shown.

    neutral: the level that leaves an image unchanged, one of `levels`. start: the level chosen first. format: a level
    with its unit.
    """

    title: str
    help: str
    levels: tuple[float, ...]
    neutral: float
    start: float
    format: Callable[[float], str]

    @property
    def labels(self) -> tuple[str, ...]:
        """The levels with their unit."""
        return tuple(self.format(level) for level in self.levels)


def _signed(unit: str) -> Callable[[float], str]:
    """Return a format with a sign, such as "+30°"; zero has none."""
    return lambda level: f"{level:+g}{unit}".replace("-", "−") if level else f"0{unit}"


def _plain(unit: str) -> Callable[[float], str]:
    return lambda level: f"{level:g}{unit}".replace("-", "−")


DISTORTIONS: Mapping[str, Distortion] = {
    "rotation": Distortion(
        "Rotation",
        "Rotated about the centre; positive angles are counterclockwise.",
        (-90, -75, -60, -45, -30, -15, 0, 15, 30, 45, 60, 75, 90),
        neutral=0,
        start=45,
        format=_signed("°"),
    ),
    "shift": Distortion(
        "Shift",
        "Moved to the left (negative) or right, in per cent of the width.",
        (-40, -30, -20, -10, 0, 10, 20, 30, 40),
        neutral=0,
        start=20,
        format=_signed(" %"),
    ),
    "size": Distortion(
        "Size",
        "Made smaller or larger, in per cent of the original size.",
        (40, 60, 80, 100, 120, 140, 160),
        neutral=100,
        start=60,
        format=_plain(" %"),
    ),
    "slant": Distortion(
        "Slant",
        "Sheared horizontally by an angle; positive angles lean to the right.",
        (-60, -45, -30, -15, 0, 15, 30, 45, 60),
        neutral=0,
        start=45,
        format=_signed("°"),
    ),
    "stroke": Distortion(
        "Stroke width",
        "Bright strokes are made thinner (negative) or thicker by a number of pixels: erosion and dilation.",
        (-2, -1, 0, 1, 2, 3),
        neutral=0,
        start=2,
        format=_signed(" px"),
    ),
    "blur": Distortion(
        "Blur",
        "Blurred by a Gaussian filter, whose standard deviation is given in pixels.",
        (0, 0.5, 1, 1.5, 2, 3, 4),
        neutral=0,
        start=2,
        format=_plain(" px"),
    ),
    "noise": Distortion(
        "Noise",
        "Gaussian noise is added to each pixel; its standard deviation is given in per cent of the range of values.",
        (0, 10, 20, 30, 40, 60, 80),
        neutral=0,
        start=40,
        format=_plain(" %"),
    ),
    "contrast": Distortion(
        "Contrast",
        "The difference of each pixel from mid-grey is multiplied; −100 % inverts the image.",
        (100, 75, 50, 25, 10, -10, -25, -50, -100),
        neutral=100,
        start=-50,
        format=_plain(" %"),
    ),
    "occlusion": Distortion(
        "Occlusion",
        "A black square covers the centre; its side is given in per cent of the image's.",
        (0, 10, 20, 30, 40, 50, 60),
        neutral=0,
        start=30,
        format=_plain(" %"),
    ),
}


@dataclass(frozen=True, slots=True)
class Robustness:
    """The accuracy of a network at each level of a distortion, in [0, 1]. images: the number it is measured with."""

    distortion: str
    accuracies: tuple[float, ...]
    images: int


def read_robustness(measured: Robustness) -> str:
    """Return in one sentence from which level to which the accuracy is kept, and where it is lowest."""
    distortion = DISTORTIONS[measured.distortion]
    labels, values = distortion.labels, measured.accuracies
    neutral = distortion.levels.index(distortion.neutral)
    kept = _kept(values, neutral)
    lowest = int(np.argmin(values))
    unchanged = f"The accuracy is {format_percent(values[neutral], digits=1)} without distortion"
    floor = f"{format_percent(values[lowest], digits=1)} at {labels[lowest]}"
    if values[lowest] == values[neutral]:
        return f"{unchanged} and falls at no level."
    if len(kept) == len(values):
        return f"{unchanged} and falls by at most {_points(values[neutral] - values[lowest])}, to {floor}."
    span = f"from {labels[kept[0]]} to {labels[kept[-1]]}" if len(kept) > 1 else "at no other level"
    return f"{unchanged}. It stays within 5 percentage points of that {span}, and is lowest, {floor}."


def _kept(values: Sequence[float], neutral: int) -> list[int]:
    """Return the indices around `neutral` without a gap at which the accuracy is kept."""
    limit = values[neutral] - _CLOSE
    first = last = neutral
    while first > 0 and values[first - 1] >= limit:
        first -= 1
    while last + 1 < len(values) and values[last + 1] >= limit:
        last += 1
    return list(range(first, last + 1))


def _points(difference: float) -> str:
    return f"{100 * difference:.1f} percentage points"
