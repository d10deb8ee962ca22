"""A run's facts as records: what is stored comes back, what cannot be is left out, and nothing is invented."""

import math

from lab.runs.run_facts import RunEnvironment, RunProgress, RunSummary


def test_facts_of_another_release_survive_reading_and_writing() -> None:
    stored = {"step": 7, "test_accuracy": 0.5, "of_a_later_release": 3.0, "outcome": "finished"}
    summary = RunSummary.read(stored)
    assert (summary.step, summary.outcome) == (7, "finished")
    assert summary.value("test_accuracy") == 0.5
    assert summary.value("of_a_later_release") == 3.0
    assert summary.as_dict() == stored
    assert list(summary.as_dict()) == sorted(stored)


def test_facts_that_cannot_be_what_they_say_are_left_out() -> None:
    assert RunSummary.read({"step": -1, "test_accuracy": 2.0**60, "params": 5, "note": "text"}).as_dict() == {
        "params": 5
    }
    assert RunProgress.read({"eta_seconds": -1.0, "phase": 3, "step": True}) == RunProgress()
    assert RunEnvironment.read({"normalization": [0.1, -1.0], "torch": "\x9b", "cores": 2}) == RunEnvironment(cores=2)
    for damaged in (None, 7, "text", []):
        assert RunSummary.read(damaged) == RunSummary()


def test_facts_that_are_not_numbers_stay_what_they_are() -> None:
    summary = RunSummary.read({"test_loss": math.inf, "val_accuracy": math.nan, "images_per_second": math.nan})
    assert summary.value("test_loss") == math.inf
    assert math.isnan(summary.value("val_accuracy"))
    assert summary.images_per_second is not None
    assert math.isnan(summary.images_per_second)


def test_the_newest_metrics_are_checked_like_all_facts() -> None:
    progress = RunProgress.read({"step": 1, "latest": {"test_accuracy": 0.5, "val_accuracy": 7.0}})
    assert progress.as_dict() == {"step": 1, "latest": {"test_accuracy": 0.5}}


def test_unknown_facts_are_none_and_absent() -> None:
    empty = RunEnvironment.read({})
    assert (empty.torch, empty.normalization, empty.value("anything"), empty.as_dict()) == (None, None, None, {})
    assert RunEnvironment.read({"normalization": []}).as_dict() == {"normalization": []}
