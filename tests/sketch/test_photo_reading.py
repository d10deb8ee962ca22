"""Digits that touch are cut apart if a network is unsure of the whole and sure of the parts; others stay whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lab.data.recipes import RECIPES
from lab.sketch.normalise import normalise
from lab.sketch.photo import find_digits
from lab.sketch.photo_reading import Reader, _cut_again, _doubt_whole, _Way, read_photo
from lab.sketch.reading import Answer
from lab.sketch.render import POLYLINES, draw_digit
from lab.sketch.sketch import Sketch
from lab.sketch.splitting import box_of_part, find_cuts
from lab.sketch.touching import Looks, blurred_rows, width_by_height
from lab.sketch.unsure import CROSSED_OUT, UnsureRule, Verdict
from tests.sketch.conftest import Loaded
from tests.sketch.photo_pictures import HAND, crop, pushed_together

RECIPE = RECIPES["mnist"]


class _Templates(nn.Module):
    """Answers by the cosine similarity to one picture of each digit."""

    def __init__(self, pictures: np.ndarray) -> None:
        super().__init__()
        flat = torch.from_numpy(pictures.reshape(10, -1)).float()
        self.register_buffer("pictures", flat / flat.norm(dim=1, keepdim=True))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        flat = x_BCHW.flatten(1)
        alike: torch.Tensor = flat @ self.pictures.T / flat.norm(dim=1, keepdim=True).clamp(min=1e-6)
        return 40 * alike


@pytest.fixture(scope="module")
def reader() -> Reader:
    pictures = np.stack([normalise(draw_digit(digit, HAND), recipe=RECIPE) for digit in POLYLINES])
    looks = Looks(blurred_rows(pictures), np.arange(10), 0.8, 0.9, np.array(list(map(width_by_height, pictures))))
    return Reader(Loaded(_Templates(pictures)), RECIPE, UnsureRule(probability=0.9, looks=looks))


def _read(ink: np.ndarray, reader: Reader, *, readers: int = 1, split: bool = True) -> list[tuple[str, bool]]:
    found = read_photo(find_digits(255 - ink), [reader] * readers, split=split)
    return [(digit.answers[0].label, digit.answers[0].verdict.unsure) for digit in found]


def _alike(one: Sketch, other: Sketch) -> float:
    first, second = blurred_rows(np.stack([normalise(each, recipe=RECIPE) for each in (one, other)]))
    return float(first @ second)


@pytest.mark.parametrize("pair", ["35", "38", "42"])
def test_a_cut_recovers_the_two_digits_that_were_pushed_together(pair: str) -> None:
    whole = Sketch(pushed_together(pair), "photo")
    cuts = find_cuts(whole)
    for left, right in cuts:
        assert not (left.ink & right.ink).any()
        assert (left.ink | right.ink).sum() <= whole.ink.sum()
    assert max(min(map(_alike, cut, (draw_digit(digit, HAND) for digit in pair))) for cut in cuts) > 0.9


def test_narrow_and_empty_drawings_are_not_cut() -> None:
    assert find_cuts(draw_digit("1", HAND)) == []
    assert find_cuts(Sketch(np.zeros((60, 60), np.uint8), "photo")) == []


def test_the_box_of_a_part_lies_in_that_of_the_whole() -> None:
    ink = np.zeros((50, 60), np.uint8)
    ink[10:40, 5:25] = ink[12:30, 30:55] = 255
    part = Sketch(np.where(np.arange(60)[None] < 27, 0, ink).astype(np.uint8), "photo")
    assert box_of_part((110, 205, 140, 255), Sketch(ink, "photo"), part) == (112, 230, 130, 255)
    assert box_of_part((1, 2, 3, 4), Sketch(ink, "photo"), Sketch(0 * ink, "photo")) == (1, 2, 3, 4)


@pytest.mark.parametrize("digits", ["35", "42", "472"])
def test_digits_that_touch_are_read_one_by_one(digits: str, reader: Reader) -> None:
    ink = pushed_together(digits)
    assert len(find_digits(255 - ink).digits) == 1
    assert _read(ink, reader) == [(digit, True) for digit in digits]
    assert len(_read(ink, reader, split=False)) == 1


@pytest.mark.parametrize("order", ["47|2", "2|47"])
def test_the_unsure_one_of_two_parts_is_cut_again_in_its_position(order: str, reader: Reader) -> None:
    sketches = (
        Sketch(pushed_together(part), "photo") if len(part) > 1 else draw_digit(part, HAND) for part in order.split("|")
    )
    one, other = sketches
    way = _Way((one, other), (reader.read(one), reader.read(other)))
    assert [answer.verdict.unsure for answer in way.answers] == [len(part) > 1 for part in order.split("|")]
    longer = _cut_again(reader, way)
    assert longer
    assert {"".join(answer.label for answer in each.answers) for each in longer} == {order.replace("|", "")}
    uncut = order.replace("|", "").index("2")
    assert all(each.parts[uncut] is (other if order.endswith("2") else one) for each in longer)


def test_each_digit_is_announced_by_its_number_before_it_is_read(reader: Reader) -> None:
    found = find_digits(255 - pushed_together("35"))
    announced: list[int] = []
    many = replace(found, digits=found.digits * 3, boxes=found.boxes * 3)
    assert len(read_photo(many, [reader], split=True, before=announced.append)) == 6
    assert announced == [1, 2, 3]


def test_a_crossed_out_digit_is_not_cut_apart(reader: Reader) -> None:
    ink = np.pad(crop("0"), 60)
    middle = len(ink) // 2
    ink[middle - 4 : middle + 4, 25:-25] = 255
    [digit] = read_photo(find_digits(255 - ink), [reader, reader], split=True)
    assert any(way for way in find_cuts(digit.sketch))
    assert digit.answers[1].verdict.reasons == (CROSSED_OUT,)


def test_nothing_is_cut_apart_if_there_are_many_digits_or_readers(reader: Reader) -> None:
    found = find_digits(255 - pushed_together("35"))
    many = replace(found, digits=found.digits * 9, boxes=found.boxes * 9)
    assert [len(read_photo(each, [reader], split=True)) for each in (found, many)] == [2, 9]
    assert len(read_photo(found, [reader] * 9, split=True)) == 1


def test_parts_that_are_unsure_do_not_make_the_other_digits_of_a_photo_unsure(reader: Reader) -> None:
    found = find_digits(255 - pushed_together("35"))
    others = tuple(draw_digit(digit, HAND) for digit in "074")
    photo = replace(found, digits=(others[0], *found.digits, *others[1:]), boxes=found.boxes * 4)
    read = [
        (digit.answers[0].label, digit.answers[0].verdict.unsure) for digit in read_photo(photo, [reader], split=True)
    ]
    assert read == [("0", False), ("3", True), ("5", True), ("7", False), ("4", False)]


def test_each_part_has_its_own_box_on_the_sheet(reader: Reader) -> None:
    one, two = read_photo(find_digits(255 - pushed_together("35")), [reader], split=True)
    assert one.box[3] <= two.box[1] + 20
    assert one.box[1] < 60
    assert abs(one.box[0] - two.box[0]) < 20


def test_single_digits_stay_whole(reader: Reader) -> None:
    for digit in "0469":
        assert _read(np.pad(crop(digit), 60), reader) == [(digit, False)]


def test_the_majority_of_readers_decides_and_all_readers_answer_the_parts(reader: Reader) -> None:
    ink = pushed_together("35")
    certain = replace(reader, rule=UnsureRule(probability=0.0, entropy=99.0))  # never unsure, so it votes for the whole
    for readers, count in (([reader, certain, reader], 2), ([certain, reader], 1), ([certain], 1)):
        digits = read_photo(find_digits(255 - ink), readers, split=True)
        assert [len(digit.answers) for digit in digits] == [len(readers)] * count


def test_a_sure_whole_is_doubted_if_it_reads_as_easily_as_two_digits(reader: Reader) -> None:
    looks = reader.rule.looks
    assert looks is not None
    ink = pushed_together("35")
    for rule, unsure in (
        (UnsureRule(probability=0.0, entropy=99.0, looks=replace(looks, least=0.0)), True),
        (UnsureRule(probability=0.0, entropy=99.0, looks=replace(looks, least=0.0, typical=0.0)), False),
    ):
        [(_, doubted)] = _read(ink, replace(reader, rule=rule))
        assert doubted is unsure


def test_only_a_cut_with_sure_parts_raises_doubt_about_the_whole(reader: Reader) -> None:
    whole = draw_digit("4", HAND)
    sure, unsure = (
        Answer(_likeliest(p), tuple(POLYLINES), Verdict(bool(r), r)) for p, r in ((0.995, ()), (1.0, ("a dot",)))
    )
    looks = reader.rule.looks
    assert looks is not None
    never_wide = replace(reader, rule=replace(reader.rule, looks=replace(looks, widths=np.full(10, 9.0))))
    ways = [_Way((whole, whole), (sure, sure)), _Way((whole, whole), (unsure, unsure))]
    doubted = _doubt_whole(never_wide, whole, sure, ways)
    assert doubted.verdict.reasons == ("it may be 4 and 4 that touch",)
    assert not _doubt_whole(never_wide, whole, sure, ways[1:]).verdict.unsure


def _likeliest(probability: float) -> np.ndarray:
    """Return ten probabilities, the highest for the digit 4."""
    rest = np.full(10, (1 - probability) / 9)
    rest[4] = probability
    return rest
