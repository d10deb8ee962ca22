"""Numbers in texts: no share is rounded to 0 or 100 %, durations and sizes have units, and plurals are correct."""

import ast
import math
import re
from datetime import UTC, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from lab.formatting import (
    LAST_MOMENT,
    format_bytes,
    format_count,
    format_duration,
    format_loss,
    format_moment,
    format_percent,
    format_range,
    format_short,
    format_wide_percent,
    percent_number,
    plural,
    unbroken,
)
from lab.strict_json import finite_or_none, float_text, with_names

ROOT = Path(__file__).resolve().parent.parent
# A percentage written without `format_percent`; lengths on the screen and axes of charts, which show no result, may be.
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
def test_a_share_is_written_as_a_percentage_and_never_rounded_to_0_or_100(
    share: object, digits: int, text: str
) -> None:
    assert format_percent(share, digits=digits) == text


@pytest.mark.parametrize(
    ("share", "number"),
    [(0.9831, 98.31), (1.0, 100.0), (0.99999, 99.99), (0.00001, 0.01), (0.0, 0.0), (None, None), (math.nan, None)],
)
def test_the_number_in_a_column_equals_that_in_the_text(share: object, number: float | None) -> None:
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
def test_a_duration_is_written_with_its_units(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_number_and_its_unit_stay_on_one_line_and_words_do_not() -> None:
    text = "10.00 % of 3.34 MB and 27.07 M in 4 min 05 s, ∞ %; 5 smiles, 3 Maps, lr 0.1 Time, 2 minutes, 7 s"
    assert unbroken(text) == (
        "10.00\u00a0% of 3.34\u00a0MB and 27.07\u00a0M in 4\u00a0min 05\u00a0s, ∞\u00a0%; "
        "5 smiles, 3 Maps, lr 0.1 Time, 2 minutes, 7\u00a0s"
    )


def test_a_date_and_its_time_of_day_stay_on_one_line() -> None:
    assert unbroken("submitted 2026-11-30 20:07 by ann") == "submitted 2026-11-30\u00a020:07 by ann"


def test_a_range_names_both_ends_unless_they_are_written_alike() -> None:
    assert format_range(25.2, 61) == "25 s to 1 min 01 s"
    assert format_range(25.2, 25.4) == "25 s"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.00123, "0.12 %"),
        (1e-5, "0.001 %"),
        (9.9e-6, "1e-03 %"),
        (0.2208, "22 %"),
        (2.0, "200 %"),
        (-0.5, "-50 %"),
        (123.45, "12,000 %"),
        (9.9e3, "990,000 %"),
        (1e20, "1e+22 %"),
    ],
)
def test_a_share_that_spans_powers_of_ten_has_two_digits(share: float, text: str) -> None:
    assert format_wide_percent(share) == text


def test_one_is_singular_and_thousands_have_commas() -> None:
    assert [plural(n, "drawing") for n in (0, 1, 2, 1000)] == [
        "0 drawings",
        "1 drawing",
        "2 drawings",
        "1,000 drawings",
    ]
    assert plural(2, "class", "classes") == "2 classes"
    assert format_count(27_074_432) == "27.07 M"


def test_only_the_formatting_module_writes_percentages_and_plurals() -> None:
    wrong = []
    for path in [*(ROOT / "lab").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), *(ROOT / "pages").rglob("*.js")]:
        if path.name == "formatting.py":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if _OWN_PLURAL.search(line) or (_OWN_PERCENT.search(line) and "%," not in line and "width" not in line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert wrong == [], "\n".join(wrong)


def test_results_are_read_from_the_headline_and_not_from_the_last_epochs_summary() -> None:
    """The summary holds the last epoch's numbers; only the selection rule and the engine may read them."""
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


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        (0.0, "1970-01-01 00:00 UTC"),
        (1_795_880_400.5, "2026-11-28 15:40 UTC"),
        (None, "–"),
        (math.nan, "–"),
        (-1.0, "–"),
        (LAST_MOMENT + 1, "–"),
    ],
)
def test_a_moment_is_a_date_and_a_time_of_day_or_a_dash(stamp: float | None, text: str) -> None:
    assert format_moment(stamp, UTC) == text


def test_a_moment_is_written_in_the_readers_time_zone() -> None:
    assert format_moment(1_795_880_400, timezone(timedelta(hours=5, minutes=30))) == "2026-11-28 21:10"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0.0 kB"), (2_560, "2.6 kB"), (3_337_216, "3.34 MB"), (100_000_000, "100.00 MB"), (7_608_472_576, "7.61 GB")],
)
def test_bytes_are_counted_in_thousands(number: float, text: str) -> None:
    assert format_bytes(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.08291, "0.0829"),
        (2.3026, "2.3026"),
        (15.26, "15.3"),
        (155_699.4, "155,699"),
        (4.4e15, "4.4e+15"),
        (5e-5, "5e-05"),
        (0.0, "0.0000"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
    ],
)
def test_a_loss_is_written_with_its_significant_digits(value: float, text: str) -> None:
    assert format_loss(value) == text


def test_a_short_number_is_written_with_a_unit_prefix() -> None:
    texts = [format_short(value) for value in (2.5e12, -1.2e6, 4321.0, 0.0431, 3.1e18, 69.0)]
    assert texts == ["2.5T", "-1.2M", "4.32k", "0.0431", "3.1e+18", "69"]


def test_json_has_names_for_numbers_that_are_not_finite() -> None:
    values = {"a": [math.nan, np.inf, -math.inf, 0.1], "b": np.array([1.5, np.nan]), 3: ("x", np.int64(7))}
    assert with_names(values) == {"a": ["NaN", "Infinity", "-Infinity", 0.1], "b": [1.5, "NaN"], "3": ["x", 7]}
    assert [float_text(value) for value in (0.1, -0.0, math.nan)] == ["0.1", "-0.0", "NaN"]
    assert [finite_or_none(value) for value in (1.5, math.nan, math.inf, "NaN", None, 3)] == [
        1.5,
        None,
        None,
        "NaN",
        None,
        3,
    ]
