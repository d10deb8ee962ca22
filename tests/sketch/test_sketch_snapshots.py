"""Drawings of a few strokes in numbers: their measures, and the picture that each data set's network gets."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from lab.data.recipes import RECIPES
from lab.errors import InputError
from lab.sketch.normalise import ALL_STEPS, STEPS, measure, normalise, normalise_steps
from lab.sketch.shape import Shape, learn_limits, measure_shape, shape_reason, solidity, spread
from lab.sketch.sketch import Sketch, Stroke, dump_strokes, parse_strokes, sketch_from_strokes
from tests.snapshots import check, flat

Points = Sequence[tuple[float, float]]
RING = [(140 + 70 * math.cos(at / 8 * math.pi), 150 + 90 * math.sin(at / 8 * math.pi)) for at in range(17)]
DRAWINGS: dict[str, list[tuple[float, Points]]] = {
    "one": [(20.0, [(140, 40), (140, 240)])],
    "leaning": [(20.0, [(200, 40), (90, 240)])],
    "seven": [(18.0, [(80, 60), (200, 60), (120, 230)]), (18.0, [(110, 150), (190, 150)])],
    "ring": [(16.0, RING)],
    "hair": [(1.0, [(60, 60), (200, 70), (110, 200)])],
    "fat": [(70.0, [(100, 90), (180, 200)])],
    "frame": [(10.0, [(60, 60), (220, 60), (220, 220), (60, 220), (60, 60)])],
    "triangle": [(10.0, [(140, 40), (240, 220), (40, 220), (140, 40)])],
    "flat": [(12.0, [(30, 140), (250, 150)])],
    "dot": [(30.0, [(50, 220)])],
    "corner": [(14.0, [(10, 10), (60, 20), (20, 70)])],
}


def sketch(name: str) -> Sketch:
    return sketch_from_strokes([Stroke(tuple(points), width) for width, points in DRAWINGS[name]])


def sums(picture: np.ndarray) -> str:
    """Return a picture's shape and the sums of its rows and columns."""
    rows, columns = picture.sum(axis=1, dtype=int).tolist(), picture.sum(axis=0, dtype=int).tolist()
    return (
        f"{picture.shape[0]}×{picture.shape[1]} rows {' '.join(map(str, rows))} columns {' '.join(map(str, columns))}"
    )


@pytest.mark.parametrize("name", ["seven", "leaning", "hair", "fat", "corner"])
def test_the_networks_input_for_a_drawing(name: str) -> None:
    drawn = sketch(name)
    found = measure(drawn)
    assert found is not None
    place = {"top": found.top, "left": found.left, "canvas": found.canvas, "width": found.width, "mass": found.mass}
    lines = [flat({**place, "longest": found.longest, "crop": found.crop.shape, "ink": int(drawn.ink.sum())})]
    for id, recipe in RECIPES.items():
        lines.append(f"{id} {sums(normalise(drawn, recipe=recipe))}")
        lines += [
            f"  {step.step} | {step.title} | {step.note} | {int(step.picture.sum())}"
            for step in normalise_steps(drawn, recipe=recipe)
        ]
    for left_out in STEPS:
        pictures = [normalise(drawn, recipe=recipe, steps=ALL_STEPS - {left_out}) for recipe in RECIPES.values()]
        without = normalise_steps(drawn, recipe=RECIPES["mnist"], steps=ALL_STEPS - {left_out})
        lines.append(f"without {left_out}: {[_place(picture) for picture in pictures]} {[one.step for one in without]}")
    check(f"sketch/{name}.txt", "\n".join(lines))


def _place(picture: np.ndarray) -> tuple[int, ...]:
    """Return the sum of a picture and the sums of its ink by row and by column number."""
    at = np.arange(len(picture))
    return (
        int(picture.sum()),
        int((picture.sum(axis=1, dtype=int) * at).sum()),
        int((picture.sum(axis=0, dtype=int) * at).sum()),
    )


def test_the_measures_of_a_drawings_outline() -> None:
    lines = []
    for name in DRAWINGS:
        picture = normalise(sketch(name), recipe=RECIPES["mnist"])
        shape = measure_shape(picture)
        assert shape is not None
        longest, degrees = spread((picture > 100).astype(np.uint8))
        measured = [round(each, 2) for each in (shape.rectangle, shape.triangle, shape.blot, shape.wide)]
        rest = [
            round(longest, 1),
            round(degrees),
            round(shape.lean),
            round(solidity((picture > 100).astype(np.uint8)), 2),
        ]
        lines.append(f"{name}: {measured} {rest} {shape_reason(picture, Shape())}")
    pictures = np.stack([normalise(sketch(name), recipe=RECIPES["mnist"]) for name in DRAWINGS])
    lines.append(flat({key: round(value, 1) for key, value in zip(Shape.__slots__, _limits(pictures), strict=True)}))
    assert measure_shape(np.zeros((28, 28), np.uint8)) is None
    assert shape_reason(np.zeros((28, 28), np.uint8), Shape()) is None
    check("sketch/outlines.txt", "\n".join(lines))


def _limits(pictures: np.ndarray) -> list[float]:
    found = learn_limits(pictures)
    return [getattr(found, name) for name in Shape.__slots__]


REFUSED = [
    "[1]",
    "{}",
    "[[5]]",
    "[[5, 1]]",
    "[[5, 1, 2, 3]]",
    "[[0.5, 1, 2]]",
    "[[81, 1, 2]]",
    "[[5, -281, 2]]",
    "[[5, 1, 561]]",
    "[[5, NaN, 2]]",
    '[["x", 1, 2]]',
    "nonsense",
    "[" * 100_000,
    f"[{', '.join(['[5, 1, 2]'] * 401)}]",
    f"[[5, {', '.join(['1'] * 40_002)}]]",
    " " * 320_001,
]


def test_invalid_messages_are_refused_and_valid_ones_survive_a_round_trip() -> None:
    for text in REFUSED:
        with pytest.raises(InputError, match=r"(clear it and draw again|clear the pad( and draw again)?)\.$"):
            parse_strokes(text)
    ends = [Stroke(((-280.0, 560.0),), 1.0), Stroke(((0.0, 0.25), (1.06, 2.0)), 80.0)]
    assert dump_strokes(ends) == "[[1.0,-280.0,560.0],[80.0,0.0,0.2,1.1,2.0]]"
    assert parse_strokes(dump_strokes(ends))[0] == ends[0]
    assert len(parse_strokes(f"[{', '.join(['[5, 1, 2]'] * 400)}]")) == 400
