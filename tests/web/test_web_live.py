"""The payload of a live chart: strict JSON, only new points, and everything again if necessary."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lab.charts.live import live_payload
from lab.errors import InputError
from lab.runs.records import Series
from tests.web.web_data import series


def _ask(points: dict[str, Any], since: str = "", *, lease: int = 1, complete: bool = False) -> dict[str, Any]:
    payload = live_payload(points, since=since, lease=lease, complete=complete)
    json.dumps(payload, allow_nan=False)
    return payload


def _points(count: int, **more: Any) -> dict[str, Any]:
    return {"batch/loss": series("batch/loss", np.linspace(2.3, 0.1, count)), **more}


def test_the_first_payload_has_all_points_and_the_next_only_new_ones() -> None:
    first = _ask(_points(100))
    assert first["replace"] is True
    assert len(first["series"]["batch/loss"]["step"]) == 100
    second = _ask(_points(130), first["since"])
    assert second["replace"] is False
    assert second["series"]["batch/loss"]["step"] == list(range(101, 131))
    assert second["total"] == 130


def test_without_new_points_a_payload_has_no_series_and_the_same_position() -> None:
    first = _ask(_points(100))
    again = _ask(_points(100), first["since"])
    assert (again["series"], again["since"], again["replace"]) == ({}, first["since"], False)
    assert "charts" in first
    assert "charts" not in again  # they depend on every point


def test_a_validation_point_that_arrives_after_later_steps_is_not_lost() -> None:
    first = _ask(_points(150))
    late = _ask(_points(150, **{"val/loss": series("val/loss", np.array([0.5]), first=120)}), first["since"])
    assert late["series"]["val/loss"]["step"] == [120]


def test_a_resumed_run_is_sent_completely_because_it_may_rewrite_steps() -> None:
    first = _ask(_points(100))
    resumed = _ask(_points(90), first["since"], lease=2)
    assert resumed["replace"] is True
    assert len(resumed["series"]["batch/loss"]["step"]) == 90


def test_a_resumed_run_that_is_already_further_is_sent_completely_too() -> None:
    first = _ask(_points(100))
    resumed = _ask(_points(120), first["since"], lease=2)
    assert resumed["replace"] is True
    assert len(resumed["series"]["batch/loss"]["step"]) == 120


def test_a_wider_bucket_replaces_everything_at_once() -> None:
    first = _ask(_points(2000))
    wider = _ask(_points(2001), first["since"])
    assert wider["replace"] is True
    assert wider["series"]["batch/loss"]["width"] == 4
    assert len(wider["series"]["batch/loss"]["mean"]["step"]) == 500  # steps 0 to 1,999 in buckets of four


def test_nan_and_infinity_are_sent_as_gaps_with_their_names() -> None:
    values = np.array([1.0, np.nan, np.inf, -np.inf])
    part = _ask({"batch/loss": series("batch/loss", values)})["series"]["batch/loss"]
    assert part["value"] == [1.0, None, None, None]
    assert part["non_finite"] == [[2, "NaN", 0.002], [3, "Infinity", 0.003], [4, "-Infinity", 0.004]]


def test_a_time_that_is_not_finite_is_sent_as_null() -> None:
    times = np.array([0.001, np.inf, np.nan, 0.004])
    values = np.array([1.0, np.nan, 1.0, 9e99])
    answer = _ask({"batch/loss": replace(series("batch/loss", values), time_s=times)})
    part = answer["series"]["batch/loss"]
    assert (part["time"], part["non_finite"]) == ([0.001, None, None, 0.004], [[2, "NaN", None]])
    late = replace(series("batch/loss", np.array([1.0, 1.0, 1.0, 9e99])), time_s=np.array([0.1, 0.2, 0.3, np.inf]))
    assert [mark[1:3] for mark in _ask({"batch/loss": late})["charts"]["loss"]["beyond"]] == [[4, None]]


def test_a_run_without_points_has_an_empty_payload() -> None:
    empty = _ask({})
    assert (empty["total"], empty["series"]) == (0, {})
    assert _ask({}, empty["since"])["replace"] is False


@pytest.mark.parametrize(
    "since",
    ["7", "x_0-1", "1_0-1_0-1", "1" + "_0-1" * 8, "-1" + "_0-1" * 7, "1" + "_0-x" * 7, "²" + "_0-1" * 7],
)
def test_a_position_that_the_lab_did_not_issue_is_refused(since: str) -> None:
    with pytest.raises(InputError, match="was not issued by this lab"):
        _ask(_points(10), since)


def test_an_axis_ends_at_the_last_sound_value_and_values_beyond_it_are_marked_and_noted() -> None:
    loss = np.concatenate([np.linspace(2.3, 2.0, 120), np.full(80, 2.5e12)])
    payload = _ask(
        {
            "batch/loss": series("batch/loss", loss),
            "val/loss": series("val/loss", np.array([2.3, 9e15]), first=0, every=150),
        }
    )
    low, high = payload["charts"]["loss"]["range"]
    assert low < 2.0
    assert 2.3 < high < 3
    assert payload["charts"]["loss"]["beyond"] == [
        ["batch/loss", 121, 0.121, "2.5T", True],
        ["val/loss", 150, 0.15, "9e+15", True],
    ]
    assert payload["remarks"]["range"] == "The batch loss leaves the chart at step 121 and reaches 2.5T."
    assert payload["charts"]["accuracy"]["range"] is None


def test_a_logarithmic_axis_reaches_down_to_the_lowest_value_of_all_series() -> None:
    loss = np.concatenate([np.linspace(2.3, 0.5, 120), np.full(80, 2.5e12)])
    payload = _ask(
        {"batch/loss": series("batch/loss", loss), "val/loss": series("val/loss", np.array([2.3, 2.2]), every=100)}
    )
    low, high = payload["charts"]["loss"]["log_range"]
    assert np.log10(0.3) < low < np.log10(0.5)
    assert np.log10(2.3) < high < np.log10(3)


def test_the_axes_of_a_sound_run_show_all_of_its_values() -> None:
    payload = _ask(_points(100))
    assert payload["charts"]["loss"] == {"range": None, "log_range": None, "beyond": [], "below": []}
    assert set(payload["remarks"].values()) == {""}


def test_values_that_a_logarithmic_axis_cannot_show_are_noted() -> None:
    start = {
        "val/loss": series("val/loss", np.array([2.31, 1.0]), first=0, every=100),
        "val/accuracy": series("val/accuracy", np.array([0.102, 0.7]), first=0, every=100),
    }
    payload = _ask({"batch/loss": series("batch/loss", np.array([0.5, -0.2, 0.1])), **start})
    assert payload["remarks"]["log_x"] == (
        "Step 0 (validation loss 2.31, validation accuracy 10.2 %) is not on a logarithmic axis."
    )
    assert payload["remarks"]["log_time"] == payload["remarks"]["log_x"]  # measured at 0 s
    assert payload["remarks"]["log_y"] == "Values of 0 or less (batch loss) are not on a logarithmic axis."
    assert payload["charts"]["loss"]["below"] == [["batch/loss", 2, 0.002, "-0.2", False]]


def test_a_first_value_measured_after_0_s_is_on_a_logarithmic_time_axis() -> None:
    start = Series("val/loss", np.array([0, 100]), np.array([2.31, 1.0]), np.array([0.488, 39.4]))
    remarks = _ask({"val/loss": start})["remarks"]
    assert (remarks["log_x"], remarks["log_time"]) == (
        "Step 0 (validation loss 2.31) is not on a logarithmic axis.",
        "",
    )


def test_the_newest_value_is_that_of_the_last_step_even_if_the_curve_is_thinned() -> None:
    values = np.ones(9001)
    values[-1] = 0.25
    payload = _ask({"batch/loss": series("batch/loss", values), "val/loss": series("val/loss", np.array([np.nan]))})
    assert payload["newest"] == {"batch/loss": [9001, "0.25"], "val/loss": [1, "NaN"]}


@pytest.mark.parametrize(("first", "words"), [(1, ""), (100, "The learning rate was recorded once per epoch")])
def test_a_learning_rate_that_was_recorded_once_per_epoch_is_noted(first: int, words: str) -> None:
    payload = _ask({"lr": series("lr", np.array([0.1, 0.2]), first=first, every=100)})
    assert payload["remarks"]["lr"].startswith(words)
    assert bool(payload["remarks"]["lr"]) is bool(words)


def test_the_note_on_values_beyond_a_chart_names_the_first_curve_to_leave_it_and_its_extreme() -> None:
    def remark(loss_from: int, val_from: int) -> str:
        loss, val = np.full(300, 2.0), np.full(30, 2.1)
        loss[loss_from - 1 :], val[val_from // 10 - 1 :] = 5e6, 7e9
        val[-1] = 9e12
        points = {"batch/loss": series("batch/loss", loss), "val/loss": series("val/loss", val, first=10, every=10)}
        return str(_ask(points)["remarks"]["range"])

    assert remark(180, 200) == "The batch loss leaves the chart at step 180 and reaches 5M."
    assert remark(250, 200) == "The validation loss leaves the chart at step 200 and reaches 9T."


def test_the_total_counts_the_steps_with_a_recorded_batch_loss() -> None:
    assert _ask({"batch/loss": series("batch/loss", np.ones(7), first=10, every=5)})["total"] == 7
    assert _ask({"val/loss": series("val/loss", np.ones(3), first=10, every=10)})["total"] == 0
