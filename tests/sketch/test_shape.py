"""Outlines that are not digits: frames, triangles, blots and lines, whatever a network answers to them."""

import math

import numpy as np
import pytest

from lab.data.recipes import RECIPES
from lab.sketch.normalise import normalise
from lab.sketch.reading import Answer, doubt_crowd
from lab.sketch.render import POLYLINES, draw_digit, random_hand
from lab.sketch.shape import Shape, is_frame, learn_limits, measure_shape, shape_reason
from lab.sketch.sketch import Sketch, Stroke, sketch_from_strokes
from lab.sketch.unsure import UnsureRule, Verdict, assess_answer

SURE = np.array([0.999, *[0.001 / 9] * 9])


def _polygon(corners: int, *, turn: float = 0.0, stretch: float = 1.0, pen: float = 14) -> Sketch:
    angles = [turn + 2 * math.pi * i / corners for i in range(corners + 1)]
    points = tuple((140 + 80 * math.cos(a), 140 + 80 * stretch * math.sin(a)) for a in angles)
    return sketch_from_strokes([Stroke(points, pen)])


def _box(wide: float, tall: float, pen: float) -> Sketch:
    x, y = wide / 2, tall / 2
    corners = [(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)]
    return sketch_from_strokes([Stroke(tuple((140 + a, 140 + b) for a, b in corners), pen)])


def _picture(sketch: Sketch) -> np.ndarray:
    return normalise(sketch, recipe=RECIPES["mnist"])


@pytest.mark.parametrize("pen", [4, 14, 28])
@pytest.mark.parametrize("size", [(200, 200), (90, 200), (220, 120)])
def test_a_frame_is_never_sure(size: tuple[float, float], pen: float) -> None:
    sketch = _box(*size, pen)
    verdict = assess_answer(SURE, rule=UnsureRule(), sketch=sketch, image=_picture(sketch))
    assert verdict == Verdict(True, ("it is a frame",))


@pytest.mark.parametrize("turn", [0.1, 0.4, 0.8])
def test_a_rotated_frame_is_a_frame_and_a_triangle_is_not(turn: float) -> None:
    assert shape_reason(_picture(_polygon(4, turn=turn)), Shape()) == "it is a frame"
    assert shape_reason(_picture(_polygon(3, turn=turn)), Shape()) == "it is a triangle"


def test_blots_and_lines_are_not_digits() -> None:
    blot = sketch_from_strokes([Stroke(((140, 140), (142, 140)), 80)])
    assert shape_reason(_picture(blot), Shape()) == "it is a blot"
    line = sketch_from_strokes([Stroke(((30, 140), (250, 140)), 12)])
    assert (shape_reason(_picture(line), Shape()) or "").startswith("it is a line, wider")
    assert shape_reason(np.zeros((28, 28), np.uint8), Shape()) is None


def test_the_measures_of_an_ellipse_agree_with_geometry() -> None:
    shape = measure_shape(_picture(_polygon(60, pen=8)))
    assert shape is not None
    assert shape.rectangle == pytest.approx(math.pi / 4, abs=0.03)
    assert shape.triangle == pytest.approx(math.pi / (3 * math.sqrt(3)), abs=0.03)
    assert shape.wide == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("digit", POLYLINES)
def test_drawn_digits_have_the_outlines_of_digits(digit: str) -> None:
    random = np.random.default_rng(int(digit))
    reasons = [shape_reason(_picture(draw_digit(digit, random_hand(random))), Shape()) for _ in range(30)]
    assert reasons == [None] * 30


def test_limits_are_learned_from_the_data_and_never_stricter_than_the_defaults() -> None:
    boxes = np.stack([_picture(_box(200, 200, 14)), _picture(_box(90, 200, 14))])
    assert shape_reason(boxes[0], learn_limits(boxes)) is None
    assert learn_limits(np.zeros((3, 28, 28), np.uint8)) == Shape()
    ones = np.stack([_picture(draw_digit("1")), _picture(draw_digit("7"))])
    assert learn_limits(ones) == Shape()


def test_a_frame_is_recognised_by_its_ink_at_any_size() -> None:
    ink = np.zeros((300, 400), np.uint8)
    ink[20:280, 30:370] = 1
    ink[40:260, 50:350] = 0
    assert is_frame(ink)
    assert not is_frame(np.asarray(draw_digit("0").ink > 100).astype(np.uint8))


def _answers(text: str) -> list[Answer]:
    """Return one answer for each mark: ! is sure, ? is unsure."""
    return [Answer(SURE, tuple("0123456789"), Verdict(m == "?", ("why",) if m == "?" else ())) for m in text]


@pytest.mark.parametrize(
    ("marks", "then"),
    [("", ""), ("!", "!"), ("?", "?"), ("!?", "!?"), ("!!?", "???"), ("!!!!?", "!!!!?"), ("!!!!!!!!??", "??????????")],
)
def test_no_answer_is_sure_if_many_of_several_are_unsure(marks: str, then: str) -> None:
    judged = doubt_crowd(_answers(marks))
    assert "".join("?" if a.verdict.unsure else "!" for a in judged) == then
    assert all(a.verdict.reasons for a in judged if a.verdict.unsure)


def _stroke(lean: float, *, pen: float = 14, length: float = 180) -> np.ndarray:
    """Return the picture of a straight stroke that leans by `lean` degrees, to the right if positive."""
    across, down = math.sin(math.radians(lean)) * length / 2, math.cos(math.radians(lean)) * length / 2
    return _picture(sketch_from_strokes([Stroke(((140 - across, 140 + down), (140 + across, 140 - down)), pen)]))


@pytest.mark.parametrize("pen", [6, 14, 20])
@pytest.mark.parametrize("lean", [55, 65, 80, -55, -65, -80])
def test_a_diagonal_line_leans_further_than_any_handwritten_one(lean: float, pen: float) -> None:
    picture = _stroke(lean, pen=pen)
    verdict = assess_answer(SURE, rule=UnsureRule(), image=picture)
    assert verdict.unsure
    assert verdict.reasons[0].startswith("it is a line")
    shape = measure_shape(picture)
    assert shape is not None
    assert shape.lean == pytest.approx(abs(lean), abs=2)


@pytest.mark.parametrize("lean", [0, 12, -12, 30, 45, -45])
def test_a_one_may_lean_as_far_as_handwriting_does(lean: float) -> None:
    picture = _stroke(lean)
    assert shape_reason(picture, Shape()) is None
    assert learn_limits(picture[None]) == Shape()


def test_data_that_leans_further_widens_the_limit() -> None:
    lying = _stroke(60)
    assert learn_limits(lying[None]).lean == pytest.approx(63, abs=2)
    assert shape_reason(lying, learn_limits(lying[None])) is None


@pytest.mark.parametrize("digit", [digit for digit in POLYLINES if digit != "1"])
def test_only_a_single_long_stroke_has_a_lean(digit: str) -> None:
    shape = measure_shape(_picture(draw_digit(digit)))
    assert shape is not None
    assert shape.lean == 0
