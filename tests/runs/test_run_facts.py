"""A run's facts as records: stored values are read back, impossible ones are left out, and nothing is invented."""

import math
from typing import Any

import numpy as np
import pytest

from lab.formatting import LAST_MOMENT
from lab.runs import facts
from lab.runs.facts import Kind
from lab.runs.run_facts import RunEnvironment, RunProgress, RunSummary


def test_facts_of_another_release_survive_reading_and_writing() -> None:
    stored = {"step": 7, "test_accuracy": 0.5, "of_a_later_release": 3.0, "outcome": "finished"}
    summary = RunSummary.read(stored)
    assert (summary.step, summary.outcome) == (7, "finished")
    assert summary.value("test_accuracy") == 0.5
    assert summary.value("of_a_later_release") == 3.0
    assert summary.as_dict() == stored
    assert list(summary.as_dict()) == sorted(stored)


def test_facts_with_impossible_values_are_left_out() -> None:
    assert RunSummary.read({"step": -1, "test_accuracy": 2.0**60, "params": 5, "note": "text"}).as_dict() == {
        "params": 5
    }
    assert RunProgress.read({"eta_seconds": -1.0, "phase": 3, "step": True}) == RunProgress()
    assert RunEnvironment.read({"normalization": [0.1, -1.0], "torch": "\x9b", "cores": 2}) == RunEnvironment(cores=2)
    for damaged in (None, 7, "text", []):
        assert RunSummary.read(damaged) == RunSummary()


def test_facts_that_are_nan_or_infinite_are_preserved() -> None:
    summary = RunSummary.read({"test_loss": math.inf, "val_accuracy": math.nan, "images_per_second": math.nan})
    assert summary.value("test_loss") == math.inf
    assert math.isnan(summary.value("val_accuracy"))
    assert summary.images_per_second is not None
    assert math.isnan(summary.images_per_second)


def test_the_newest_metrics_are_checked_like_all_facts() -> None:
    progress = RunProgress.read({"step": 1, "latest": {"test_accuracy": 0.5, "val_accuracy": 7.0}})
    assert progress.as_dict() == {"step": 1, "latest": {"test_accuracy": 0.5}}


def test_missing_facts_are_none_and_not_written() -> None:
    empty = RunEnvironment.read({})
    assert (empty.torch, empty.normalization, empty.value("anything"), empty.as_dict()) == (None, None, None, {})
    assert RunEnvironment.read({"normalization": []}).as_dict() == {"normalization": []}


@pytest.mark.parametrize(
    ("kind", "fitting", "unfitting"),
    [
        (facts.SHARE, [0, 0.0, 1, 1.0, 0.5, math.nan], [-1e-9, 1.0000001, math.inf, "0.5", None]),
        (facts.COUNT, [0, 1, 2**53 - 1], [-1, 2**53, 1.0, True, "1", None]),
        (facts.SPAN, [0, 1e10, 0.5], [-1e-9, 1.1e10, math.nan, math.inf, "1", True]),
        (facts.MOMENT, [0, 0.5, 1_700_000_000, LAST_MOMENT], [-1, LAST_MOMENT + 1, math.nan, True, None]),
        (facts.RATE, [0, 1e12, math.nan], [-1, 2e12, math.inf, "fast"]),
        (facts.NUMBER, [math.inf, -math.inf, math.nan, -(2**53) + 1, 2**53 - 1], [2**53, -(2**53), True, "1", None]),
        (facts.TEXT, ["", "any"], [None, 1, b"any"]),
        (facts.VERSION, ["2.9.1+cpu", "3", "a" * 60], ["", "+1", "a" * 61, "2.9 beta", "2.9\n", 3, None]),
        (
            facts.DEVICES,
            ["", "cpu", "cuda", "cuda:0", "cuda:999", "mps", "xpu:1"],
            ["cuda:", "cuda:1000", "tpu", "gpu:0", 0],
        ),
        (
            facts.NORMALIZATION,
            [[], [0.1, 0.3], (-999_999.0, 1e-9)],
            [[0.1], [0.1, 0.0], [0.1, 1e6], [-1e6, 1.0], [1, 2, 3], "ab", None, ["a", 1.0]],
        ),
        (
            facts.ANSWERS,
            [[], [[0, 0.0], [9, 1.0]], [[3, 0.5]] * 100],
            [[[3, 0.5]] * 101, [[3]], [[3, 0.5, 0]], [[-1, 0.5]], [[3, 1.1]], [(3, 0.5)], None],
        ),
        (facts.ANY, [None, "text", True, 1.5, 2**53 - 1], [2**53, [], {}]),
    ],
    ids=[
        "share",
        "count",
        "span",
        "moment",
        "rate",
        "number",
        "text",
        "version",
        "device",
        "normalization",
        "answers",
        "any",
    ],
)
def test_each_kind_of_fact_has_its_limits(kind: Kind, fitting: list[Any], unfitting: list[Any]) -> None:
    assert [value for value in fitting if not kind.fits(value)] == []
    assert [value for value in unfitting if kind.fits(value)] == []


def test_columns_with_impossible_values_are_read_as_unknown() -> None:
    assert (facts.usable_moment(5), facts.usable_moment(-1.0), facts.usable_moment("5")) == (5.0, None, None)
    assert facts.moment_or_nan(LAST_MOMENT) == LAST_MOMENT
    assert math.isnan(facts.moment_or_nan(None))
    assert facts.usable_span(2) == 2.0
    assert math.isnan(facts.usable_span(-2))
    assert (facts.usable_device("cuda:1"), facts.usable_device("the moon"), facts.usable_device(None)) == (
        "cuda:1",
        "",
        "",
    )
    assert facts.usable_texts(["a", 1, None, "b"]) == ("a", "b")
    assert facts.usable_texts("ab") == facts.usable_texts(None) == ()


@pytest.mark.parametrize(
    ("name", "column", "values", "fault"),
    [
        ("val/loss", "value", [-5.0, math.inf, math.nan], ""),
        ("val/loss", "time_s", [0.0, 1e10], ""),
        ("val/loss", "time_s", [0.0, -1.0], "has times that are not from 0 to 10,000,000,000 seconds"),
        ("val/loss", "time_s", [0.0, 1.1e10], "has times that are not from 0 to 10,000,000,000 seconds"),
        ("val/loss", "time_s", [math.nan], "has times that are not from 0 to 10,000,000,000 seconds"),
        ("val/accuracy", "value", [0.0, 1.0, math.nan], ""),
        ("val/accuracy", "value", [0.5, 1.5], "has values that are not from 0 to 1, or NaN"),
        ("val/accuracy", "value", [0.5, -0.5], "has values that are not from 0 to 1, or NaN"),
        ("val/accuracy", "step", [-7.0], ""),
    ],
)
def test_a_curve_with_impossible_numbers_is_reported_with_the_rule(
    name: str, column: str, values: list[float], fault: str
) -> None:
    assert facts.curve_fault(name, column, np.array(values)) == fault
