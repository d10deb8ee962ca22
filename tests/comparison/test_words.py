"""The text of a verdict, word for word, for every answer, design and sign."""

from dataclasses import replace

import pytest

from lab.comparison.runs import Comparison
from lab.comparison.sides import Side
from lab.comparison.verdict import Answer, Design, Verdict
from lab.comparison.words import FOLD_NOTE, notes_of, p_text, points, sampling_note, verdict_text, verdict_words


def _few(n_a: int, n_b: int, design: Design = Design.GROUPS, chance: float | None = None) -> Verdict:
    return Verdict(Answer.FEW, None, None, None, n_a, n_b, None, "a test", design, chance)


def _judged(
    answer: Answer, difference: float, p: float, *, design: Design = Design.GROUPS, adjusted: float | None = None
) -> Verdict:
    low, high = difference - 0.01, difference + 0.02
    return Verdict(answer, difference, low, high, 5, 6, p, "a test", design, None, adjusted)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (_few(4, 4, Design.FOLDS), "Not enough folds (both sides have 4 in common): at least 5 are needed."),
        (_few(0, 7, chance=1.0), "Not enough runs (0 and 7): at least 5 of each are needed."),
        (_few(7, 0, chance=1.0), "Not enough runs (7 and 0): at least 5 of each are needed."),
        (
            _few(1, 1, chance=1.0),
            "Not enough runs (1 and 1): at least 5 of each are needed. One run each shows nothing: one of them is "
            "always better.",
        ),
        (
            _few(5, 5, Design.PAIRS, chance=1 / 16),
            "Not enough runs (5 pairs): at least 6 pairs are needed. Even if every run of one side were better than "
            "every run of the other, chance alone would do that 1 time in 16.",
        ),
        (
            _few(2, 3, chance=0.2),
            "Not enough runs (2 and 3): at least 5 of each are needed. Even if every run of one side were better than "
            "every run of the other, chance alone would do that 1 time in 5.",
        ),
        (
            _few(1, 2, chance=2 / 3),
            "Not enough runs (1 and 2): at least 5 of each are needed. Even if every run of one side were better than "
            "every run of the other, chance alone would do that 2 times in 3.",
        ),
        (
            _few(4, 7, chance=0.01),
            "Not enough runs (4 and 7): at least 5 of each are needed. Even if every run of one side were better than "
            "every run of the other, chance alone would do that 1 time in 100.",
        ),
        (
            _few(4, 9, chance=0.009),
            "Not enough runs (4 and 9): at least 5 of each are needed. So few runs do not show how much the results of "
            "their setting vary.",
        ),
        (
            _judged(Answer.YES, 0.03, 0.04),
            "Significant: B is better than A by 3.00 points (95 % interval 2.00 to 5.00; p = 0.04; a test, 5 and 6 runs).",
        ),
        (
            _judged(Answer.YES, -0.03, 5e-5),
            "Significant: A is better than B by 3.00 points (95 % interval 1.00 to 4.00; p < 0.0001; a test, 5 and 6 runs).",
        ),
        (
            _judged(Answer.NO, -0.005, 0.3, design=Design.IMAGES),
            "No difference shown: A is ahead by 0.50 points (95 % interval -1.50 to 1.50; p = 0.3; a test, the same "
            "test images). Any difference within the interval is still possible.",
        ),
        (
            replace(_judged(Answer.NO, -0.005, 0.4), low=-0.01, high=0.0),
            "No difference shown: A is ahead by 0.50 points (95 % interval 0.00 to 1.00; p = 0.4; a test, 5 and 6 "
            "runs). Any difference within the interval is still possible.",
        ),
        (
            replace(_judged(Answer.NO, 0.005, 0.05), low=-1e-6, high=0.01),
            "No difference shown: B is ahead by 0.50 points (95 % interval 0.00 to 1.00; p = 0.05; a test, 5 and 6 "
            "runs). Any difference within the interval is still possible.",
        ),
        (
            _judged(Answer.NO, 0.0, 1.0, design=Design.PAIRS),
            "No difference shown: both are equal on average (95 % interval -1.00 to 2.00; p = 1; a test, 5 pairs). "
            "Any difference within the interval is still possible.",
        ),
        (
            _judged(Answer.NO, 0.005, 0.02, design=Design.FOLDS, adjusted=0.06),
            "No difference shown: B is ahead by 0.50 points (95 % interval of this comparison alone -0.50 to 2.50; p "
            "after Holm's correction = 0.06; a test, 5 folds). Any difference within the interval is still possible.",
        ),
    ],
    ids=lambda part: part.design if isinstance(part, Verdict) else "",
)
def test_the_text_of_a_verdict(verdict: Verdict, text: str) -> None:
    assert verdict_text(verdict, a="A", b="B") == text


@pytest.mark.parametrize(
    ("difference", "error", "images", "noted"),
    [
        (0.0019, 0.002, 10_000, True),
        (-0.0019, 0.002, 10_000, True),
        (0.002, 0.002, 10_000, False),  # not smaller
        (-0.0021, 0.002, 10_000, False),
        (None, 0.002, 10_000, False),
        (0.001, None, 10_000, False),
        (0.001, 0.002, None, False),
    ],
)
def test_only_a_difference_below_the_sampling_error_is_noted(
    difference: float | None, error: float | None, images: int | None, noted: bool
) -> None:
    side = Side((), ("A note on A.",))
    verdict = Verdict(Answer.NO, difference, None, None, 5, 5, 0.5, "a test")
    found = sampling_note(Comparison(side, side, verdict, error, images))
    assert found == (
        "The difference is smaller than the sampling error of one accuracy on 10,000 test images (± 0.20 points): "
        "other images of the same kind may give another result."
        if noted
        else ""
    )
    notes = notes_of(Comparison(side, Side((), ()), verdict, error, images))
    assert notes[0] == "A note on A."
    assert (found in notes) is noted
    assert FOLD_NOTE not in notes


@pytest.mark.parametrize(
    ("p", "text"), [(None, "–"), (0.99e-4, "< 0.0001"), (1e-4, "0.0001"), (0.0316, "0.032"), (1.0, "1")]
)
def test_p_values_have_two_digits_down_to_a_ten_thousandth(p: float | None, text: str) -> None:
    assert p_text(p) == text


@pytest.mark.parametrize(("share", "text"), [(0.0042, "0.42"), (-0.0042, "-0.42"), (0.0, "0.00"), (-1.0, "-100.00")])
def test_differences_are_in_points(share: float, text: str) -> None:
    assert points(share) == text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (_judged(Answer.YES, 0.03, 0.04), "B is better"),
        (_judged(Answer.YES, -0.03, 0.04), "A is better"),
        (_judged(Answer.NO, 0.03, 0.4), "no difference shown"),
        (_few(1, 1), "not enough runs"),
    ],
)
def test_the_side_that_is_better_is_named_in_a_few_words(verdict: Verdict, words: str) -> None:
    assert verdict_words(verdict) == words
