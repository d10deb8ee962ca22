"""Numbers as people read them: what is not certain never looks certain, and one image is not "1 images"."""

import ast
import math
import re
from pathlib import Path

import pytest

from lab.formatting import format_count, format_duration, format_percent, format_range, percent_number, plural

ROOT = Path(__file__).resolve().parent.parent
# Per cent written without `format_percent`: lengths on the screen and charts' own axes, which no result is read from.
_OWN_PERCENT = re.compile(r"100 ?\* ?[^{}]*:\.\d+f\} ?%|\{[^{}]*:\.\d%\}|toFixed\(\d\)\} %")
_OWN_PLURAL = re.compile(r"(['\"])\1 if [^{}]+ else (['\"])s\2|(['\"])s\3 if [^{}]+ else (['\"])\4")


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.9831, 2, "98.31 %"),
        (1.0, 2, "100.00 %"),
        (1, 1, "100.0 %"),
        (0.0, 2, "0.00 %"),
        (0.99999, 2, ">99.99 %"),
        (0.99996, 1, ">99.9 %"),
        (0.9996, 0, ">99 %"),
        (0.9994, 1, "99.9 %"),
        (0.00001, 2, "<0.01 %"),
        (0.0004, 1, "<0.1 %"),
        (0.004, 0, "<1 %"),
        (0.1, 0, "10 %"),
        (None, 2, "–"),
        ("0.5", 2, "–"),
        (math.nan, 2, "NaN"),
        (math.inf, 2, "∞"),
        (-math.inf, 2, "-∞"),
        (1e300, 2, "1e+302 %"),
        (10**400, 2, "∞"),
    ],
)
def test_a_share_is_written_as_per_cent_without_becoming_certain(share: object, digits: int, text: str) -> None:
    assert format_percent(share, digits=digits) == text


@pytest.mark.parametrize(
    ("share", "number"),
    [(0.9831, 98.31), (1.0, 100.0), (0.99999, 99.99), (0.00001, 0.01), (0.0, 0.0), (None, None), (math.nan, None)],
)
def test_a_number_column_says_what_the_text_says(share: object, number: float | None) -> None:
    assert percent_number(share) == number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (42.4, "42 s"),
        (59.7, "1 min"),
        (250, "4 min 10 s"),
        (7500, "2 h 05 min"),
        (725, "12 min 05 s"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_a_duration_reads_the_same_everywhere(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_range_names_both_ends_unless_they_read_alike() -> None:
    assert format_range(25.2, 61) == "25 s to 1 min 01 s"
    assert format_range(25.2, 25.4) == "25 s"


def test_one_is_singular_and_thousands_have_commas() -> None:
    assert [plural(n, "drawing") for n in (0, 1, 2, 1000)] == [
        "0 drawings",
        "1 drawing",
        "2 drawings",
        "1,000 drawings",
    ]
    assert plural(2, "class", "classes") == "2 classes"
    assert format_count(27_074_432) == "27.07 M"


def test_nothing_else_writes_per_cent_or_plurals_of_its_own() -> None:
    wrong = []
    for path in [*(ROOT / "lab").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), *(ROOT / "pages").rglob("*.js")]:
        if path.name == "formatting.py":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if _OWN_PLURAL.search(line) or (_OWN_PERCENT.search(line) and "%," not in line and "width" not in line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert wrong == [], "\n".join(wrong)


def test_results_are_read_from_the_headline_and_not_from_the_last_epochs_summary() -> None:
    """The summary holds the last epoch's numbers; only the rule itself, the engine and the store may read them."""
    allowed = {"lab/runs/headline.py", "lab/training/engine.py"}
    names = {"test_accuracy", "val_accuracy", "test_loss", "val_loss", "best_epoch"}
    wrong = []
    for path in [*(ROOT / "lab").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Subscript | ast.Call) else ""
            found = re.fullmatch(r"(?:\w+\.)*summary(?:\.get\(|\[)'(\w+)'.*", text)
            if found and found[1] in names and str(path.relative_to(ROOT)) not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text}")
    assert wrong == [], "\n".join(wrong)
