"""A verdict in a few sentences, shared by the pages, the command line and the reports."""

from fractions import Fraction

from lab.comparison.runs import Comparison
from lab.comparison.verdict import MIN_FOLDS, MIN_PAIRS, MIN_RUNS, Answer, Design, Verdict
from lab.formatting import format_percent, plural

_MIN_P = 1e-4
_RARE = 0.01  # a chance below it is not the reason why the runs are too few
FOLD_NOTE = (
    "Folds compare the validation accuracy after the last epoch, each on images that it was not trained on. The "
    "verdict applies to the settings on other images of this kind. The test set is not used, so it can still measure "
    "the setting that is chosen."
)
MCNEMAR_NOTE = "This compares these two networks only; comparing their settings takes several seeds of each."


def verdict_text(verdict: Verdict, *, a: str, b: str) -> str:
    """Return the verdict as sentences. a, b: the names of the two sides."""
    if verdict.verdict is Answer.FEW:
        return _few(verdict)
    difference = verdict.difference or 0.0
    better, other = (b, a) if difference > 0 else (a, b)
    numbers = f"({_interval(verdict)}; {_p_words(verdict)}; {verdict.test}, {_counts(verdict)})"
    if verdict.verdict is Answer.YES:
        return f"Significant: {better} is better than {other} by {points(abs(difference))} points {numbers}."
    seen = f"{better} is ahead by {points(abs(difference))} points" if difference else "both are equal on average"
    return f"No difference shown: {seen} {numbers}. Any difference within the interval is still possible."


def verdict_words(verdict: Verdict) -> str:
    """Return the verdict in a few words, such as "B is better"; which side is better follows from B − A."""
    if verdict.verdict is not Answer.YES:
        return verdict.verdict.value
    return "B is better" if (verdict.difference or 0.0) > 0 else "A is better"


def notes_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the notes on a verdict: on runs that do not count, the sampling error, and the use of folds."""
    fold_note = FOLD_NOTE if comparison.verdict.design is Design.FOLDS else ""
    return (*comparison.notes, *filter(None, [sampling_note(comparison), fold_note]))


def sampling_note(comparison: Comparison) -> str:
    """Return a note that the difference is smaller than the test set's sampling error; "" if it is not, or unknown."""
    difference, error, images = comparison.verdict.difference, comparison.sampling_error, comparison.test_images
    if error is None or images is None or difference is None or abs(difference) >= error:
        return ""
    return (
        f"The difference is smaller than the sampling error of one accuracy on {images:,} test images "
        f"(± {points(error)} points): other images of the same kind may give another result."
    )


def _few(verdict: Verdict) -> str:
    if verdict.design is Design.FOLDS:
        return f"Not enough folds (both sides have {verdict.n_a} in common): at least {MIN_FOLDS} are needed."
    needed = f"{MIN_PAIRS} pairs" if verdict.design is Design.PAIRS else f"{MIN_RUNS} of each"
    text = f"Not enough runs ({_few_counts(verdict)}): at least {needed} are needed."
    if not verdict.n_a or not verdict.n_b:
        return text
    chance = verdict.chance or 0.0
    if chance == 1.0:
        return f"{text} One run each shows nothing: one of them is always better."
    if chance < _RARE:
        return f"{text} So few runs do not show how much the results of their setting vary."
    odds = Fraction(chance).limit_denominator(1_000)
    return (
        f"{text} Even if every run of one side were better than every run of the other, chance alone would do that "
        f"{plural(odds.numerator, 'time')} in {odds.denominator:,}."
    )


def _interval(verdict: Verdict) -> str:
    low, high = (100 * (bound or 0.0) for bound in (verdict.low, verdict.high))
    if (verdict.difference or 0.0) < 0:  # from the point of view of the side that is ahead
        low, high = -high, -low
    alone = "" if verdict.adjusted is None else " of this comparison alone"
    return f"95 % interval{alone} {low:z.2f} to {high:z.2f}"  # z: "0.00", never "-0.00"


def _p_words(verdict: Verdict) -> str:
    if verdict.adjusted is None:
        return f"p {_with_sign(p_text(verdict.p))}"
    return f"p after Holm's correction {_with_sign(p_text(verdict.adjusted))}"


def _with_sign(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"


def p_text(p: float | None) -> str:
    """Return a p-value such as "0.032" or "< 0.0001", or a dash for None."""
    if p is None:
        return "–"
    return f"< {_MIN_P}" if p < _MIN_P else f"{p:.2g}"


def _counts(verdict: Verdict) -> str:
    if verdict.design is Design.IMAGES:
        return "the same test images"
    if verdict.design is Design.FOLDS:
        return plural(verdict.n_a, "fold")
    if verdict.design is Design.PAIRS:
        return plural(verdict.n_a, "pair")
    return f"{verdict.n_a} and {plural(verdict.n_b, 'run')}"


def _few_counts(verdict: Verdict) -> str:
    return _counts(verdict) if verdict.design is Design.PAIRS else f"{verdict.n_a} and {verdict.n_b}"


def points(share: float) -> str:
    """Return a difference of shares in percentage points, such as "-0.42"; a nonzero one is never rounded to 0."""
    return ("-" if share < 0 else "") + format_percent(abs(share)).removesuffix(" %")
