"""Reads the digits found in a photo, and cuts two or three that touch apart if that gives a better reading.

A cut is used only if a network that is unsure of the whole is sure of every part; the parts are still reported as
unsure, because one in ten is read wrongly. A whole that is sure, but resembles few training pictures of its class and
reads as easily as two digits, becomes unsure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lab.data.recipes import Recipe
from lab.sketch.boxes import Box
from lab.sketch.normalise import normalise
from lab.sketch.photo import Photo
from lab.sketch.reading import LARGE, Answer, NetworkLike, doubt_crowd, read_sketch
from lab.sketch.sketch import Sketch
from lab.sketch.splitting import box_of_part, find_cuts
from lab.sketch.unsure import CROSSED_OUT, UnsureRule, Verdict

_PART = 0.95  # least probability of each part of a cut that is used
_POSSIBLE = 0.9  # least probability of each part of a cut that casts doubt on the whole
_BOTH_WAYS = 0.99  # the same for a whole that is sure and not wider than others of its class
# Maximum digits found in a photo, times networks, for cutting each one apart (ten more digits to read) and for cutting
# parts again (up to fifty more).
_MAX_CUT = 8
_MAX_CUT_AGAIN = 2


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A network, the recipe of its data set, and its rule for unsure answers."""

    loaded: NetworkLike
    recipe: Recipe
    rule: UnsureRule

    @property
    def is_large(self) -> bool:
        """Whether its network is too slow to read all parts within a second."""
        return sum(one.numel() for one in self.loaded.network.parameters()) > LARGE

    def picture(self, sketch: Sketch) -> np.ndarray:
        """Return the network's input for a drawing, uint8 (side, side)."""
        return normalise(sketch, recipe=self.recipe)

    def read(self, sketch: Sketch) -> Answer:
        """Return the network's answer to a drawing."""
        return read_sketch(self.loaded, sketch, self.picture(sketch), rule=self.rule)


@dataclass(frozen=True, slots=True, eq=False)
class ReadDigit:
    """One digit of a photo: its drawing, its box on the sheet, and each reader's answer."""

    sketch: Sketch
    box: Box
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """One way to cut a drawing apart, with one reader's answers to the parts."""

    parts: tuple[Sketch, ...]
    answers: tuple[Answer, ...]

    @property
    def least(self) -> float:
        """Least probability among the parts' answers."""
        return min(answer.probability for answer in self.answers)

    @property
    def sure(self) -> bool:
        """Whether the answers to all parts are sure."""
        return self.least >= _PART and not any(answer.verdict.unsure for answer in self.answers)

    @property
    def label(self) -> str:
        """The labels of the parts, from left to right."""
        return "".join(answer.label for answer in self.answers)


def read_photo(
    photo: Photo, readers: Sequence[Reader], *, split: bool, before: Callable[[int], None] = lambda _number: None
) -> list[ReadDigit]:
    """Return the digits of a photo with their answers, in reading order.

    split: whether to cut touching digits apart; ignored if many digits were found or a network is large. before: called
    with the number of each digit, from 1, before it is read.
    """
    count = len(photo.digits) * len(readers)
    split = split and count <= _MAX_CUT and not any(reader.is_large for reader in readers)
    found: list[list[ReadDigit]] = []
    for number, (sketch, box) in enumerate(zip(photo.digits, photo.boxes, strict=True), start=1):
        before(number)
        whole = ReadDigit(sketch, box, tuple(reader.read(sketch) for reader in readers))
        found.append(_apart(whole, readers, again=count <= _MAX_CUT_AGAIN) if split else [whole])
    # Parts are left out: they are already unsure, each with its own reason.
    whole_ones = [digits[0].answers for digits in found if len(digits) == 1]
    by_reader = [doubt_crowd(answers) for answers in zip(*whole_ones, strict=True)]
    judged = zip(*by_reader, strict=True)
    return [
        digit if len(digits) > 1 else replace(digit, answers=tuple(next(judged)))
        for digits in found
        for digit in digits
    ]


def _apart(whole: ReadDigit, readers: Sequence[Reader], *, again: bool) -> list[ReadDigit]:
    """Return a digit, or its parts if most readers are unsure of the whole and sure of the parts."""
    each_reader = zip(readers, whole.answers, strict=True)
    ways = [_find_ways(reader, whole.sketch, answer, again=again) for reader, answer in each_reader]
    votes = [
        next((way for way in each if way.sure), None) if answer.verdict.unsure else None
        for each, answer in zip(ways, whole.answers, strict=True)
    ]
    wanted = [way for way in votes if way is not None]
    if 2 * len(wanted) <= len(readers):
        by_reader = zip(readers, whole.answers, ways, strict=True)
        doubted = (_doubt_whole(reader, whole.sketch, answer, each) for reader, answer, each in by_reader)
        return [replace(whole, answers=tuple(doubted))]
    parts = max(wanted, key=lambda way: way.least).parts
    read = [_read_parts(reader, parts, each) for reader, each in zip(readers, ways, strict=True)]
    return [
        ReadDigit(part, box_of_part(whole.box, whole.sketch, part), answers)
        for part, answers in zip(parts, zip(*read, strict=True), strict=True)
    ]


def _find_ways(reader: Reader, sketch: Sketch, answer: Answer, *, again: bool) -> list[_Way]:
    """Return the ways to cut a drawing apart into likely digits, best first.

    There are none for a drawing that is surely read and typical of its class, nor for a crossed-out one, whose parts
    would read as 1s. again: also try three parts if no cut into two is sure.
    """
    if answer.verdict.reasons == (CROSSED_OUT,):
        return []
    looks, label = reader.rule.looks, int(answer.probabilities.argmax())
    if not answer.verdict.unsure and (looks is None or looks.is_typical(reader.picture(sketch), label)):
        return []
    found: list[_Way] = []
    almost: list[_Way] = []
    for cut in find_cuts(sketch):
        way = _Way(cut, tuple(map(reader.read, cut)))
        (found if way.least >= _POSSIBLE else almost).append(way)
    if again and not any(way.sure for way in found):
        found += [longer for way in (*found, *almost) for longer in _cut_again(reader, way)]
    return sorted(found, key=lambda way: (way.sure, way.least), reverse=True)


def _cut_again(reader: Reader, way: _Way) -> list[_Way]:
    """Return the sure ways to cut one of two parts again, if the other part is sure: three digits that touch."""
    sure = [not answer.verdict.unsure and answer.probability >= _PART for answer in way.answers]
    if sum(sure) != 1:
        return []
    again, kept = (1, 0) if sure[0] else (0, 1)
    out = []
    for cut in find_cuts(way.parts[again]):
        answers = tuple(map(reader.read, cut))
        parts = (way.parts[kept], *cut) if again else (*cut, way.parts[kept])
        longer = _Way(parts, (way.answers[kept], *answers) if again else (*answers, way.answers[kept]))
        if longer.sure:
            out.append(longer)
    return out


def _doubt_whole(reader: Reader, sketch: Sketch, answer: Answer, ways: Sequence[_Way]) -> Answer:
    """Return the answer to a whole, made unsure if the same ink reads as easily as two digits."""
    if answer.verdict.unsure or not ways or reader.rule.looks is None:
        return answer
    label = int(answer.probabilities.argmax())
    wide = reader.rule.looks.is_wide(reader.picture(sketch), label)
    best = ways[0]  # a sure one, if there is any
    if not wide and not (best.sure and best.least >= _BOTH_WAYS):
        return answer
    return replace(answer, verdict=Verdict(True, (f"it may be {' and '.join(best.label)} that touch",)))


def _read_parts(reader: Reader, parts: Sequence[Sketch], ways: Sequence[_Way]) -> list[Answer]:
    """Return the answers to parts, all unsure: the rest of a cut stroke may turn a part into another digit."""
    answers = [reader.read(part) for part in parts]
    read = "".join(answer.label for answer in answers)
    others = [" and ".join(way.label) for way in ways if way.sure and way.label != read]
    reason = f"it touches another one, and they may be {others[0]}" if others else "it touches another one"
    return [a if a.verdict.unsure else replace(a, verdict=Verdict(True, (reason,))) for a in answers]
