"""Parameters and spaces in numbers: the value at a fraction of a range, what is inside, and what fits into a grid."""

import json
import math
from typing import Any

import pytest

from lab.config import RunConfig
from lab.errors import ConfigError
from lab.sweeps.optuna_study import distributions, frozen, history
from lab.sweeps.records import Measured, TrialRecord, TrialState
from lab.sweeps.rungs import MAX_FACTOR, Halving, check_halving
from lab.sweeps.space import MAX_GRID, Parameter, read_parameter, read_space
from lab.sweeps.spec import MAX_TRIALS, NAME_LIMIT, read_spec


def lr(**changes: object) -> Parameter:
    return read_parameter("lr", {"low": 0.001, "high": 0.1, **changes})


def test_a_fraction_of_a_range_is_linear_in_the_value_or_in_its_logarithm() -> None:
    assert [lr().at(share) for share in (0.0, 0.5, 0.75)] == [0.001, 0.0505, 0.07525]
    assert [lr(log=True).at(share) for share in (0.0, 0.5, 0.75)] == [0.001, 0.01, 0.03162]
    assert [lr(step=0.033).at(share) for share in (0.0, 0.25, 0.5, 0.999)] == [0.001, 0.034, 0.067, 0.1]
    size = read_parameter("batch_size", {"low": 1, "high": 4})
    assert [size.at(share) for share in (0.0, 0.24, 0.25, 0.5, 0.75, 0.999)] == [1, 1, 2, 3, 4, 4]
    by_log = read_parameter("batch_size", {"low": 1, "high": 4, "log": True})  # 1 from 0.5 to 1.5: half of ln 9
    assert [by_log.at(share) for share in (0.0, 0.49, 0.51, 0.72, 0.74, 0.999)] == [1, 1, 2, 2, 3, 4]
    words = read_parameter("optimizer", {"values": ["sgd", "adam"]})
    assert [words.at(share) for share in (0.0, 0.49, 0.5, 0.999)] == ["sgd", "sgd", "adam", "adam"]


def test_values_of_a_range_have_four_significant_digits_and_stay_inside() -> None:
    assert lr().rounded(0.0123456) == 0.01235
    assert lr().rounded(0.5) == 0.1
    assert lr().rounded(0.0) == 0.001
    narrow = read_parameter("lr", {"low": 0.0123456, "high": 0.0123459})
    assert narrow.rounded(0.0123457) == 0.0123459
    size = read_parameter("batch_size", {"low": 10, "high": 20})
    assert (size.rounded(12.6), type(size.rounded(12.6))) == (13, int)


def test_a_range_contains_its_ends_and_nothing_beyond_them() -> None:
    assert [lr().contains(value) for value in (0.001, 0.1, 0.0999)] == [True] * 3
    assert [lr().contains(value) for value in (0.00099, 0.1001, "0.01", None)] == [False] * 4
    stepped = lr(step=0.033)
    assert [stepped.contains(value) for value in (0.001, 0.034, 0.1)] == [True] * 3
    assert [stepped.contains(value) for value in (0.035, 0.0505)] == [False] * 2
    assert [read_parameter("batch_size", {"values": [8, 16]}).contains(value) for value in (8, 12, 16)] == [
        True,
        False,
        True,
    ]


def test_a_grid_contains_both_ends_and_has_a_maximum_size() -> None:
    assert lr(step=0.033).grid() == (0.001, 0.034, 0.067, 0.1)
    assert lr(step=0.04).grid() == (0.001, 0.041, 0.081)
    assert read_parameter("batch_size", {"low": 2, "high": 5}).grid() == (2, 3, 4, 5)
    most = read_parameter("seed", {"low": 1, "high": MAX_GRID})
    assert len(most.grid()) == MAX_GRID
    with pytest.raises(ConfigError, match="seed has 100,001 values, but a grid takes at most 100,000: give fewer"):
        read_parameter("seed", {"low": 0, "high": MAX_GRID}).grid()
    over = read_space({"seed": {"low": 0, "high": MAX_GRID // 2}, "batch_size": {"values": [8, 16]}})
    with pytest.raises(ConfigError, match="The grid has 100,002 combinations, but at most 100,000 fit"):
        over.grid(RunConfig())


def test_a_condition_is_met_by_any_of_its_values_and_all_conditions_must_be() -> None:
    space = read_space(
        {
            "optimizer": {"values": ["sgd", "adam", "rmsprop"]},
            "schedule": {"values": ["constant", "cosine"]},
            "batch_size": {"values": [8], "when": {"optimizer": ["sgd", "adam"], "schedule": "cosine"}},
        }
    )
    combinations = {
        (params["optimizer"], params["schedule"]) for params in space.grid(RunConfig()) if "batch_size" in params
    }
    assert combinations == {("sgd", "cosine"), ("adam", "cosine")}
    assert ("optimizer" in space, "lr" in space) == (True, False)
    assert space.of_config(RunConfig(optimizer="sgd", schedule="cosine", batch_size=8)) == {
        "optimizer": "sgd",
        "schedule": "cosine",
        "batch_size": 8,
    }
    assert space.of_config(RunConfig(optimizer="sgd", batch_size=8)) == {"optimizer": "sgd", "schedule": "constant"}


def test_values_of_a_spec_are_accepted_up_to_their_limits_and_no_further() -> None:
    base = {"dataset": "digits", "epochs": 4}
    usual = {"base": base, "space": {"lr": {"values": [0.1]}}, "trials": 1}
    assert read_spec({**usual, "trials": MAX_TRIALS}).trials == MAX_TRIALS
    with pytest.raises(ConfigError, match="trials is 100001, but"):
        read_spec({**usual, "trials": MAX_TRIALS + 1})
    assert read_spec({**usual, "name": "n" * NAME_LIMIT}).name == "n" * NAME_LIMIT
    with pytest.raises(ConfigError, match="text of at most 120 characters"):
        read_spec({**usual, "name": "n" * (NAME_LIMIT + 1)})
    assert (read_spec(usual).name, read_spec({**usual, "name": "  a "}).name) == ("sweep", "a")
    assert read_spec({**usual, "seed": 2**31 - 1}).seed == 2**31 - 1
    with pytest.raises(ConfigError, match="seed is 2147483648, but"):
        read_spec({**usual, "seed": 2**31})
    assert (read_spec(usual).seed, read_spec(usual).method.value, read_spec(usual).halving) == (0, "tpe", None)
    assert read_spec({**usual, "halving": {}}).halving == Halving(factor=4, first_epochs=1)
    assert read_spec({**usual, "halving": {"first_epochs": 3}}).halving == Halving(4, 3)
    assert check_halving(MAX_FACTOR, 1, epochs=4) == Halving(100, 1)
    for factor, first, words in ((MAX_FACTOR + 1, 1, "from 2 to 100"), (2, 0, "at least 1"), (2, 4, "have 4 epochs")):
        with pytest.raises(ConfigError, match=words):
            check_halving(factor, first, epochs=4)


def test_extending_a_spec_adds_minutes_and_trials() -> None:
    spec = read_spec({"base": {"dataset": "digits"}, "space": {"lr": {"values": [0.1]}}, "trials": 3, "minutes": 1.5})
    more = spec.extended(trials=2, minutes=0.5)
    assert (more.trials, more.minutes, more.seconds) == (5, 2.0, 120.0)
    assert spec.extended(trials=2).minutes == 1.5
    assert spec.extended(minutes=1).trials == 3
    with pytest.raises(ConfigError, match="trials is 0, but"):
        spec.extended(trials=0)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("lr", {"low": 0.001, "high": 0.1}),
        ("lr", {"low": 0.001, "high": 0.1, "log": True}),
        ("momentum", {"low": 0.1, "high": 0.9, "step": 0.2}),
        ("batch_size", {"low": 8, "high": 64, "step": 8, "when": {"optimizer": ["sgd", "adam"]}}),
        ("optimizer", {"values": ["sgd", "adam"]}),
        ("shuffle", {"values": [False, True], "when": {"schedule": ["step"]}}),
    ],
)
def test_a_parameter_is_stored_as_given(name: str, given: dict[str, Any]) -> None:
    parameter = read_parameter(name, given)
    assert parameter.as_dict() == given
    assert read_parameter(name, json.loads(json.dumps(parameter.as_dict()))) == parameter


# -- conversion to Optuna ----------------------------------------------------------------------------------------------

_SPEC = read_spec(
    {
        "base": {"dataset": "digits", "epochs": 4},
        "space": {
            "lr": {"low": 1e-4, "high": 1e-1, "log": True},
            "batch_size": {"low": 8, "high": 64, "step": 8},
            "optimizer": {"values": ["sgd", "adam"]},
            "momentum": {"low": 0.1, "high": 0.9, "step": 0.2},
        },
        "method": "gp",
        "trials": 8,
        "halving": {"factor": 2, "first_epochs": 1},
    }
)
_PARAMS = {"lr": 0.01, "batch_size": 16, "optimizer": "sgd", "momentum": 0.5}


def test_distributions_have_the_bounds_scales_and_steps_of_the_space() -> None:
    found = {name: one._asdict() for name, one in distributions(_SPEC.space, _PARAMS).items()}
    assert found["lr"] == {"low": 1e-4, "high": 1e-1, "log": True, "step": None}
    assert found["batch_size"] == {"low": 8, "high": 64, "log": False, "step": 8}
    assert found["momentum"] == {"low": 0.1, "high": 0.9, "log": False, "step": 0.2}
    assert found["optimizer"] == {"choices": ("sgd", "adam")}
    assert list(distributions(_SPEC.space, {"lr": 0.01})) == ["lr"]


def test_a_whole_number_without_a_step_takes_every_value() -> None:
    space = read_space({"batch_size": {"low": 3, "high": 9}})
    assert distributions(space, {"batch_size": 4})["batch_size"]._asdict() == {
        "low": 3,
        "high": 9,
        "log": False,
        "step": 1,
    }


def test_a_gaussian_process_learns_from_the_first_rung_of_all_trials_but_diverged_ones() -> None:
    values = (Measured(1, 0.5, 0.8), Measured(2, 0.3, 0.9))
    paused = TrialRecord(number=1, run="a", params=_PARAMS, rung=1, values=values, state=TrialState.PAUSED)
    early = TrialRecord(number=2, run="b", params=_PARAMS, values=(Measured(3, 0.2, 0.9),), state=TrialState.FINISHED)
    diverged = TrialRecord(number=3, run="c", params=_PARAMS, values=(Measured(1, math.inf, 0.1),))
    unmeasured = TrialRecord(number=4, run="d", params=_PARAMS)
    copy = TrialRecord(number=5, run="a", params=_PARAMS, values=values, state=TrialState.COPY)
    found = history(_SPEC, (paused, early, diverged, unmeasured, copy))
    assert [one.value for one in found] == [0.5, 0.2]
    assert found[0].params == _PARAMS


def test_a_finished_trial_has_its_final_value_and_those_of_its_rungs() -> None:
    values = (Measured(1, 0.5, 0.8), Measured(2, 0.3, 0.9), Measured(4, 0.4, 0.9))
    trial = TrialRecord(
        number=1, run="a", params=_PARAMS, rung=2, values=values, state=TrialState.FINISHED, decision="words"
    )
    found = frozen(_SPEC, trial)
    assert found is not None
    assert (found.value, found.intermediate_values) == (0.4, {1: 0.5, 2: 0.3, 4: 0.4})
    assert found.user_attrs == {"run": "a", "decision": "words"}
