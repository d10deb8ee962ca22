"""What networks read in a photo: each digit that was found, and two or three that touch cut apart where that reads better.

A cut is taken only where a network that is unsure of the whole is sure of every part; what was cut stays unsure, for one in
ten is read wrongly. A whole that is sure, but like few training pictures of its class and as easily read as two, becomes
unsure.
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

_PART = 0.95  # least probability of each part of a cut that is taken
_POSSIBLE = 0.9  # the same of one that raises a doubt about the whole
_BOTH_WAYS = 0.99  # the same from which on a whole that is sure is doubted, if it is no wider than others of its class
# Things found in a photo, once for each network, up to which each may be cut apart, and up to which cut again: ten more
# digits to read, and up to fifty more.
_MOST_CUT = 8
_MOST_CUT_AGAIN = 2


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A network, how its data were made, and when it is unsure."""

    loaded: NetworkLike
    recipe: Recipe
    rule: UnsureRule

    @property
    def is_large(self) -> bool:
        """Whether its network takes too long for each picture to read so many parts in a second."""
        return sum(one.numel() for one in self.loaded.network.parameters()) > LARGE

    def picture(self, sketch: Sketch) -> np.ndarray:
        """Return what the network is given of a drawing, uint8 (side, side)."""
        return normalise(sketch, recipe=self.recipe)

    def read(self, sketch: Sketch) -> Answer:
        """Return the network's answer to a drawing."""
        return read_sketch(self.loaded, sketch, self.picture(sketch), rule=self.rule)


@dataclass(frozen=True, slots=True, eq=False)
class ReadDigit:
    """One digit of a photo: where it is on the sheet, and each reader's answer."""

    sketch: Sketch
    box: Box
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """A drawing cut apart, and one reader's answers to the parts."""

    parts: tuple[Sketch, ...]
    answers: tuple[Answer, ...]

    @property
    def least(self) -> float:
        """The least probability of a part's answer."""
        return min(answer.probability for answer in self.answers)

    @property
    def sure(self) -> bool:
        """Whether each part may be believed."""
        return self.least >= _PART and not any(answer.verdict.unsure for answer in self.answers)

    @property
    def label(self) -> str:
        """What is read, from left to right."""
        return "".join(answer.label for answer in self.answers)


def read_photo(
    photo: Photo, readers: Sequence[Reader], *, split: bool, before: Callable[[int], None] = lambda _number: None
) -> list[ReadDigit]:
    """Return what is read in a photo, in reading order.

    split: whether what was found may be several digits that touch; where much is found nothing is cut apart, nor by large
    networks. before: called with the number of each digit, from 1, before it is read.
    """
    count = len(photo.digits) * len(readers)
    split = split and count <= _MOST_CUT and not any(reader.is_large for reader in readers)
    found: list[list[ReadDigit]] = []
    for number, (sketch, box) in enumerate(zip(photo.digits, photo.boxes, strict=True), start=1):
        before(number)
        whole = ReadDigit(sketch, box, tuple(reader.read(sketch) for reader in readers))
        found.append(_apart(whole, readers, again=count <= _MOST_CUT_AGAIN) if split else [whole])
    # Parts stay as they are: they are unsure already, each with its reason.
    whole_ones = [digits[0].answers for digits in found if len(digits) == 1]
    by_reader = [doubt_crowd(answers) for answers in zip(*whole_ones, strict=True)]
    judged = zip(*by_reader, strict=True)
    return [
        digit if len(digits) > 1 else replace(digit, answers=tuple(next(judged)))
        for digits in found
        for digit in digits
    ]


def _apart(whole: ReadDigit, readers: Sequence[Reader], *, again: bool) -> list[ReadDigit]:
    """Return a digit, or its parts where most readers are unsure of it and sure of them."""
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
    """Return how a drawing may be cut apart so that each part is like a digit, the best first.

    None of one that is surely read, and like other pictures of its class, nor of one that is crossed out, which any cut
    makes a 1 of. again: whether into three where two are not sure.
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
    """Return ways to cut one of two parts again, where the other is surely read: three digits that touch."""
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
    """Return an answer to a whole that is unsure where the same ink is as easily read as two digits."""
    if answer.verdict.unsure or not ways or reader.rule.looks is None:
        return answer
    label = int(answer.probabilities.argmax())
    wide = reader.rule.looks.is_wide(reader.picture(sketch), label)
    best = ways[0]  # a sure one where there is one
    if not wide and not (best.sure and best.least >= _BOTH_WAYS):
        return answer
    return replace(answer, verdict=Verdict(True, (f"it may be {' and '.join(best.label)} that touch",)))


def _read_parts(reader: Reader, parts: Sequence[Sketch], ways: Sequence[_Way]) -> list[Answer]:
    """Return answers to the parts of what was cut apart: unsure, because the rest of a stroke makes another digit of some."""
    answers = [reader.read(part) for part in parts]
    read = "".join(answer.label for answer in answers)
    others = [" and ".join(way.label) for way in ways if way.sure and way.label != read]
    reason = f"it touches another one, and they may be {others[0]}" if others else "it touches another one"
    return [a if a.verdict.unsure else replace(a, verdict=Verdict(True, (reason,))) for a in answers]
