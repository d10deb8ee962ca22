"""What the live chart is sent: strict JSON, only what is new, and everything again where it must be."""

import json
from typing import Any

import numpy as np
import pytest

from lab.charts.live import live_payload
from lab.errors import InputError
from tests.web.web_data import series


def _ask(points: dict[str, Any], since: str = "", *, lease: int = 1, complete: bool = False) -> dict[str, Any]:
    payload = live_payload(points, since=since, lease=lease, complete=complete)
    json.dumps(payload, allow_nan=False)
    return payload


def _points(count: int, **more: Any) -> dict[str, Any]:
    return {"batch/loss": series("batch/loss", np.linspace(2.3, 0.1, count)), **more}


def test_the_first_answer_is_everything_and_the_next_only_what_is_new() -> None:
    first = _ask(_points(100))
    assert first["replace"] is True
    assert len(first["series"]["batch/loss"]["step"]) == 100
    second = _ask(_points(130), first["since"])
    assert second["replace"] is False
    assert second["series"]["batch/loss"]["step"] == list(range(101, 131))
    assert second["total"] == 130


def test_nothing_new_is_an_answer_without_series_that_stays_where_it_was() -> None:
    first = _ask(_points(100))
    again = _ask(_points(100), first["since"])
    assert (again["series"], again["since"], again["replace"]) == ({}, first["since"], False)


def test_a_validation_point_that_arrives_after_later_steps_is_not_lost() -> None:
    first = _ask(_points(150))
    late = _ask(_points(150, **{"val/loss": series("val/loss", np.array([0.5]), first=120)}), first["since"])
    assert late["series"]["val/loss"]["step"] == [120]


def test_a_resumed_run_is_sent_whole_because_it_may_write_steps_again() -> None:
    first = _ask(_points(100))
    resumed = _ask(_points(90), first["since"], lease=2)
    assert resumed["replace"] is True
    assert len(resumed["series"]["batch/loss"]["step"]) == 90


def test_a_wider_bucket_replaces_everything_at_once() -> None:
    first = _ask(_points(2000))
    wider = _ask(_points(2001), first["since"])
    assert wider["replace"] is True
    assert wider["series"]["batch/loss"]["width"] == 4
    assert len(wider["series"]["batch/loss"]["mean"]["step"]) < 510


def test_nan_and_infinity_travel_as_gaps_with_their_names() -> None:
    values = np.array([1.0, np.nan, np.inf, -np.inf])
    part = _ask({"batch/loss": series("batch/loss", values)})["series"]["batch/loss"]
    assert part["value"] == [1.0, None, None, None]
    assert part["odd"] == [[2, "NaN"], [3, "Infinity"], [4, "-Infinity"]]


def test_a_run_without_points_is_a_case() -> None:
    empty = _ask({})
    assert (empty["total"], empty["series"]) == (0, {})
    assert _ask({}, empty["since"])["replace"] is False


@pytest.mark.parametrize(
    "since",
    ["7", "x_0-1", "1_0-1_0-1", "1" + "_0-1" * 8, "-1" + "_0-1" * 7, "1" + "_0-x" * 7, "²" + "_0-1" * 7],
)
def test_a_position_from_elsewhere_is_refused(since: str) -> None:
    with pytest.raises(InputError, match="not one this lab gave out"):
        _ask(_points(10), since)
