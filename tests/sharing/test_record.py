"""A run's record in a bundle: every field is read into the run, and has a rule that refuses invalid values."""

import json
from typing import Any

import pytest

from lab.config import RunConfig
from lab.errors import InputError
from lab.runs.records import RunState
from lab.sharing.bundle.record import WeightsEntry, known_end, read_record

CONFIG = RunConfig(dataset="digits", lr=0.02).as_dict()
RECORD: dict[str, Any] = {
    "name": "mine",
    "config": CONFIG,
    "fingerprint": "ab" * 32,
    "state": "stopped",
    "reason": "two\nlines",
    "created_at": 1.0,
    "started_at": 2.0,
    "finished_at": 3.0,
    "seconds": 4.0,
    "device": "cuda:1",
    "note": "a\nnote",
    "tags": ["a", "b"],
    "summary": {"test_accuracy": 0.5, "outcome": "finished", "final_epoch": 2},
    "environment": {"torch": "2.9.1", "cores": 2, "device": "cuda:1"},
    "notices": ["notice"],
    "weights": [{"step": 10, "epoch": 1, "created_at": 1.5}, {"step": 20, "epoch": 2, "created_at": 2.5}],
}


def _read(**changes: Any) -> Any:
    return read_record(json.dumps({**RECORD, **changes}).encode(), "r")


def test_a_record_is_read_field_by_field() -> None:
    found = _read()
    assert found.config == RunConfig(dataset="digits", lr=0.02)
    assert (found.name, found.fingerprint, found.state) == ("mine", "ab" * 32, RunState.STOPPED)
    assert (found.reason, found.note, found.device) == ("two\nlines", "a\nnote", "cuda:1")
    assert (found.created_at, found.started_at, found.finished_at, found.seconds) == (1.0, 2.0, 3.0, 4.0)
    assert (found.tags, found.notices) == (("a", "b"), ("notice",))
    assert found.summary.as_dict() == RECORD["summary"]
    assert found.environment.as_dict() == RECORD["environment"]
    assert found.weights == (WeightsEntry(10, 1, 1.5), WeightsEntry(20, 2, 2.5))
    never = _read(started_at=None, finished_at=None, weights=[], notices=[], tags=[], device="")
    assert (never.started_at, never.finished_at, never.weights, never.device) == (None, None, (), "")


def test_an_end_before_the_start_is_dropped() -> None:
    assert _read(finished_at=2.0).finished_at == 2.0
    assert _read(finished_at=1.9).finished_at is None
    assert _read(started_at=None, finished_at=0.5).finished_at == 0.5
    assert [known_end(2.0, 2.0), known_end(2.0, 1.9), known_end(None, 1.9), known_end(2.0, None)] == [
        2.0,
        None,
        1.9,
        None,
    ]


@pytest.mark.parametrize(
    ("field", "valid", "invalid"),
    [
        ("name", ["", "x" * 200], [" mine", "x" * 201, "a\nb", "a\u202eb", 3, None]),
        ("reason", ["x" * 2_000], ["x" * 2_001, None]),
        ("fingerprint", [], ["AB" * 32, "ab" * 31, "ab" * 33, "", None]),
        ("state", ["finished", "failed"], ["running", "queued", "stopping", "done", 3]),
        ("created_at", [0, 253402128000.0], [None, -1, "now", 253402128001.0]),
        ("started_at", [0.0], [-0.5, "now"]),
        ("seconds", [0, 1e10], [-1, 1.1e10, None]),
        ("device", ["cpu", "mps"], ["tpu", "cuda:1000", None]),
        (
            "tags",
            [["a"], [f"{n:03}" for n in range(200)]],
            [["b", "a"], ["a", "a"], ["a", ""], "ab", ["a" * 61], [f"{n:03}" for n in range(201)]],
        ),
        (
            "summary",
            [{"test_accuracy": 1.0, "test_loss": 1e300}],
            [{"test_accuracy": 1.5}, {"note": "text"}, {"step": -1}, {"a b": 1}, []],
        ),
        (
            "environment",
            [{"normalization": [0.1, 0.3]}, {"name": "x" * 500}],
            [{"torch": "2.9 beta"}, {"cores": 2.0}, {"name": "x" * 501}, None],
        ),
        ("notices", [["notice"] * 200, ["x" * 2_000]], [["notice"] * 201, ["x" * 2_001], "notice", [3]]),
        (
            "weights",
            [[{"step": 1, "epoch": 1, "created_at": 0.0}]],
            [
                [{"step": 20, "epoch": 2, "created_at": 0.0}, {"step": 10, "epoch": 1, "created_at": 0.0}],
                [{"step": 10, "epoch": 1, "created_at": 0.0}] * 2,
                [{"step": 10**9, "epoch": 1, "created_at": 0.0}],
                [{"step": 1, "epoch": 1}],
                [{"step": 1, "epoch": 1, "created_at": 0.0, "more": 1}],
            ],
        ),
        (
            "config",
            [{**CONFIG, "device": "cuda:3"}, {**CONFIG, "fork_of": "ab" * 6, "fork_epoch": 2}],
            [
                {name: value for name, value in CONFIG.items() if name != "schema"},
                {**CONFIG, "arch": "lenet9"},
                {**CONFIG, "dataset": "nowhere"},
                {**CONFIG, "lr": -1.0},
                {**CONFIG, "arch": "lenet-bn", "arch_options": {"depth": 3}},
                {**CONFIG, "init_from": "../other"},
                {**CONFIG, "fork_of": "x", "fork_epoch": 2},
                {**CONFIG, "device": "tpu"},
                {**CONFIG, "unknown": 1},
                [],
            ],
        ),
    ],
)
def test_each_field_accepts_valid_values_and_refuses_all_others(
    field: str, valid: list[Any], invalid: list[Any]
) -> None:
    for value in valid:
        _read(**{field: value})
    for value in invalid:
        with pytest.raises(InputError, match=r" in r |weights in r|list of weights"):
            _read(**{field: value})


def test_no_fact_may_mention_an_epoch_beyond_those_of_its_run() -> None:
    epochs = RunConfig().epochs
    for fact in ("epoch", "epochs", "best_epoch", "final_epoch"):
        assert _read(summary={fact: epochs}).summary.as_dict() == {fact: epochs}
        with pytest.raises(InputError, match="r mentions epoch 999, but its run has 5 epochs"):
            _read(summary={fact: 999})
    with pytest.raises(InputError, match="r mentions epoch 6, but its run has 5 epochs"):
        _read(weights=[{"step": 10, "epoch": epochs + 1, "created_at": 1.5}])


def test_missing_and_unknown_fields_are_refused() -> None:
    for field in RECORD:
        without = {name: value for name, value in RECORD.items() if name != field}
        with pytest.raises(InputError, match=f"r lacks '{field}'"):
            read_record(json.dumps(without).encode(), "r")
    with pytest.raises(InputError, match="r has the unknown field 'more'"):
        _read(more=1)
