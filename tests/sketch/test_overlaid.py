"""Crossed-out digits and digits that touch: no answer to them is sure, and other handwriting is not affected."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lab.data.recipes import RECIPES
from lab.sketch.crossed import is_crossed_out
from lab.sketch.normalise import normalise
from lab.sketch.render import POLYLINES, Hand, draw_digit, random_hand
from lab.sketch.sketch import Sketch, Stroke, sketch_from_strokes
from lab.sketch.touching import _BEND, Looks, blurred_rows, cheapest_cuts, learn_looks, least_cut
from lab.sketch.unsure import Familiar, UnsureRule, assess_answer

SURE = np.array([0.999, *[0.001 / 9] * 9])
HAND = Hand(pen=14, height=160)


def _with_lines(digit: str, lines: Sequence[tuple[float, float]], pen: float) -> Sketch:
    """Return a digit crossed by strokes through its centre. lines: (degrees from the horizontal, length in pixels)."""
    ink = draw_digit(digit, HAND).ink.copy()
    for degrees, length in lines:
        x, y = math.cos(math.radians(degrees)) * length / 2, math.sin(math.radians(degrees)) * length / 2
        over = sketch_from_strokes([Stroke(((140 - x, 140 - y), (140 + x, 140 + y)), pen)]).ink
        ink = np.maximum(ink, over)
    return Sketch(ink, "canvas")


@pytest.mark.parametrize("pen", [6, 14])
@pytest.mark.parametrize("digit", ["0", "1", "3", "6", "8", "9"])
def test_a_digit_under_a_line_or_a_cross_is_never_sure(digit: str, pen: float) -> None:
    for lines in ([(0, 230)], [(-20, 230)], [(45, 250), (-45, 250)]):
        sketch = _with_lines(digit, lines, pen)
        verdict = assess_answer(SURE, rule=UnsureRule(), sketch=sketch)
        assert verdict.reasons == ("it looks crossed out: a line or a cross runs across it",)


@pytest.mark.parametrize("digit", POLYLINES)
def test_handwriting_is_not_taken_for_crossed_out(digit: str) -> None:
    random = np.random.default_rng([3, int(digit)])
    assert not any(is_crossed_out(draw_digit(digit, random_hand(random)).ink) for _ in range(5))


def test_a_bar_through_a_seven_and_an_empty_sheet_are_not_crossed_out() -> None:
    assert not is_crossed_out(_with_lines("7", [(0, 70)], 14).ink)
    assert not is_crossed_out(np.zeros((50, 50), np.uint8))


def _picture(sketch: Sketch) -> np.ndarray:
    return normalise(sketch, recipe=RECIPES["mnist"])


def _touching(left: str, right: str) -> np.ndarray:
    """Return the picture of two digits pushed together until they touch."""
    one, two = (np.pad(draw_digit(digit, HAND).ink > 127, ((0, 0), (0, 300))) for digit in (left, right))
    shift = next(by for by in range(280, 0, -1) if (one & np.roll(two, by - 4, axis=1)).any())
    ink = (one | np.roll(two, shift - 4, axis=1)).astype(np.uint8) * 255
    return _picture(Sketch(np.pad(ink, ((150, 150), (0, 0))), "photo"))


def test_the_least_cut_is_the_ink_that_joins_two_digits() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 6:9] = image[4:24, 18:21] = image[13:15, 9:18] = 255  # two bars, joined by one two pixels thick
    assert least_cut(image) == pytest.approx(2, abs=0.5)
    for padding in (((0, 20), (0, 0)), ((20, 0), (0, 0)), ((0, 0), (0, 20)), ((0, 0), (20, 0))):
        assert least_cut(np.pad(image, padding)) == least_cut(image)  # paper around it does not count
    image[20:24, 9:18] = 255
    assert least_cut(image) == pytest.approx(6, abs=1)
    image[:, 10:] = 0
    assert least_cut(image) == math.inf  # one side of the cut is not tall
    assert least_cut(np.zeros((28, 28), np.uint8)) == math.inf


def test_digits_that_touch_are_unsure_and_single_ones_are_not() -> None:
    random = np.random.default_rng(4)
    known = np.stack([_picture(draw_digit(d, random_hand(random))) for d in POLYLINES for _ in range(4)])
    classes = np.repeat(np.arange(10), 4)
    looks = learn_looks(known[::2], classes[::2], known[1::2], classes[1::2], share=0.05)
    rule = UnsureRule(looks=looks)
    for pair in ("97", "15", "47"):
        image = _touching(*pair)
        answer = np.roll(SURE, int(pair[0]))
        verdict = assess_answer(answer, rule=rule, sketch=draw_digit("8"), image=image)
        assert verdict.reasons == ("it may be two that touch",)
    for digit in POLYLINES:
        image = _picture(draw_digit(digit, HAND))
        assert not looks.may_touch(image, int(digit))


def test_a_picture_is_compared_with_its_own_class_only() -> None:
    bars = np.zeros((2, 28, 28), np.uint8)
    bars[0, 4:24, 6:9] = bars[0, 4:24, 18:21] = bars[0, 13:15, 9:18] = 255
    bars[1, 4:24, 13:16] = 255
    looks = learn_looks(bars, np.array([0, 1]), bars, np.array([0, 1]), share=0.5)
    assert looks.least == pytest.approx(1)
    looks = replace(looks, least=0.99)
    assert not looks.may_touch(bars[0], 0)
    assert looks.may_touch(bars[0], 1)
    assert not looks.may_touch(bars[0], 7)  # no picture of that class to compare with
    assert np.linalg.norm(blurred_rows(bars), axis=1) == pytest.approx(1)


@pytest.mark.parametrize(("reach", "cost"), [(0, 0), (_BEND, 0), (_BEND + 1, 1), (-_BEND, 0), (-_BEND - 2, 3)])
def test_a_cut_bends_by_one_column_per_row_up_to_a_limit_on_each_side(reach: int, cost: int) -> None:
    """The only gap in solid ink moves one column per row to one side and back; beyond the limit, ink has to be cut."""
    way = [30 + (1 if reach > 0 else -1) * min(row, 2 * abs(reach) - row) for row in range(2 * abs(reach) + 1)]
    ink = np.ones((len(way), 60), bool)
    ink[np.arange(len(way)), way] = False
    cuts, ways = cheapest_cuts(ink, np.array([30]), bend=_BEND)
    assert ways.tolist() == [cost]
    if not cost:
        assert cuts.tolist() == [way]


def test_a_strange_picture_that_is_wide_for_its_class_and_has_a_short_cut_is_unsure() -> None:
    """Each criterion alone applies to single digits too."""
    joined = np.zeros((28, 28), np.uint8)
    joined[4:24, 6:9] = joined[4:24, 18:21] = joined[13:15, 9:18] = 255  # 15 columns by 20 rows
    thick = joined.copy()
    thick[6:20, 9:18] = 255
    looks = Looks(blurred_rows(joined[None]), np.array([0]), least=-1.0, widths=np.array([0.5]))
    assert looks.is_like_two(joined, 0)
    assert not looks.is_like_two(thick, 0)
    assert not replace(looks, widths=np.array([0.8])).is_like_two(joined, 0)
    assert not looks.is_like_two(joined, 1)  # a class without known widths
    features = np.array([0.8, 0.6])
    for strange, classes, reasons in (
        (0.81, [0], ("it may be two that touch",)),
        (0.79, [0], ()),
        (0.81, [1], ()),
    ):
        rule = UnsureRule(
            familiar=Familiar(np.array([[1.0, 0.0]]), 0.7, strange), looks=replace(looks, classes=np.array(classes))
        )
        verdict = assess_answer(SURE, rule=rule, sketch=draw_digit("8"), image=joined, features_D=features)
        assert verdict.reasons == reasons
