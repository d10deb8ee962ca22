"""SPEC: its space is what is searched, every invalid one is refused in one sentence, and a stored one is read back."""

import json
import math
from typing import Any

import pytest

from lab.config import FIELDS, RunConfig
from lab.errors import ConfigError
from lab.sweeps.rungs import Halving
from lab.sweeps.space import SWEEPABLE, read_space
from lab.sweeps.spec import SweepSpec, read_spec
from lab.sweeps.suggest import planned, suggest

SPEC: dict[str, Any] = {
    "name": "n",
    "base": {"arch": "lenet5", "dataset": "digits", "epochs": 20},
    "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "batch_size": {"values": [32, 64]}},
    "method": "random",
    "trials": 16,
    "minutes": None,
    "halving": {"factor": 4, "first_epochs": 1},
}


def test_a_spec_is_read_back_from_the_store() -> None:
    spec = read_spec(
        {**SPEC, "space": {**SPEC["space"], "momentum": {"values": [0.5, 0.9], "when": {"optimizer": "sgd"}}}}
    )
    stored = json.loads(json.dumps(spec.as_dict()))
    assert SweepSpec.from_dict(stored) == spec
    assert SweepSpec.from_dict({**stored, "of a later release": 1}) == spec
    with pytest.raises(ConfigError, match="has schema 99, but this release reads 1 to 1: update ConvLab"):
        SweepSpec.from_dict({**stored, "schema": 99})


def test_every_part_of_a_spec_is_read_and_written() -> None:
    given = {**SPEC, "name": "mine", "minutes": 2.5, "seed": 7, "on": "slurm"}
    spec = read_spec(given)
    assert (spec.name, spec.trials, spec.minutes, spec.seed, spec.on) == ("mine", 16, 2.5, 7, "slurm")
    assert (read_spec(SPEC).seed, read_spec(SPEC).on, read_spec(SPEC).minutes) == (0, "", None)
    assert {name: value for name, value in spec.as_dict().items() if name in given and name != "base"} == {
        name: value for name, value in given.items() if name != "base"
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"space": {}}, "The space is empty: name at least one setting"),
        ({"space": {"learning_rat": {"values": [1]}}}, "There is no setting 'learning_rat' to vary. "),
        ({"space": {"optimiser": {"values": ["sgd"]}}}, "Did you mean 'optimizer'?"),
        ({"space": {"lr": {"low": 0.1, "high": 0.01}}}, "lr has low 0.1 and high 0.01: low must be below high."),
        ({"space": {"lr": {"low": 0.1, "high": 0.1}}}, "low must be below high"),
        ({"space": {"momentum": {"low": 0.0, "high": 0.9, "log": True}}}, "momentum has low 0 on a logarithmic scale"),
        ({"space": {"lr": {"low": -1, "high": 0.1}}}, "lr is -1, but it must be above 0"),
        ({"space": {"lr": {"values": []}}}, "lr has the values [], but it needs a list of at least one"),
        ({"space": {"lr": {"values": [0.1, "x"]}}}, "lr is 'x', but it must be a number"),
        ({"space": {"lr": {"values": [0.1, 0.1]}}}, "lr has the value 0.1 twice"),
        ({"space": {"lr": {"values": [0.1], "low": 0.1}}}, "lr has values and low: give either"),
        ({"space": {"lr": {"low": 0.1}}}, "lr has no high: give its values, or low and high"),
        ({"space": {"lr": 0.1}}, "lr is 0.1, but it must be"),
        ({"space": {"lr": {"low": 0.1, "high": 0.2, "logs": True}}}, "lr has no 'logs'. Did you mean 'log'?"),
        ({"space": {"lr": {"low": 0.1, "high": 0.2, "step": 0}}}, "lr has the step 0, but it must be above 0"),
        ({"space": {"batch_size": {"low": 1, "high": 9, "step": 1.5}}}, "must be a whole number"),
        ({"space": {"lr": {"low": 0.1, "high": 0.2, "step": 0.1, "log": True}}}, "both log and step"),
        ({"space": {"optimizer": {"low": 1, "high": 2}}}, "optimizer has a range, but it is not a number"),
        ({"space": {"optimizer": {"values": ["sdg"]}}}, "Did you mean 'sgd'?"),
        ({"space": {"momentum": {"values": [0.5], "when": {"optimiser": "sgd"}}}}, "Did you mean 'optimizer'?"),
        ({"space": {"momentum": {"values": [0.5], "when": {"lr": 0.1}}}}, "can depend only on a choice"),
        ({"space": {"dataset": {"values": ["mnist"]}}}, "dataset determines the images on which trials are compared"),
        ({"space": {"device": {"values": ["cpu"]}}}, "device does not change the result"),
        ({"space": {"epochs": {"values": [5, 10]}}}, "epochs is in the space, but halving cuts one length"),
        ({"trials": 0}, "trials is 0, but it must be a whole number from 1"),
        ({"trials": 2.5}, "trials is 2.5, but it must be a whole number from 1"),
        ({"trials": None}, "The sweep would never end: give trials, minutes, or both"),
        ({"minutes": 0}, "minutes is 0, but it must be a number above 0"),
        ({"minutes": math.nan}, "minutes is nan, but"),
        ({"method": "tpa"}, "method is 'tpa', which is not a method. Did you mean 'tpe'?"),
        ({"method": "grid"}, "lr is a range without a step, so its grid would be infinite"),
        ({"halving": {"factor": 1}}, "halving.factor is 1, but it must be a whole number from 2"),
        ({"halving": {"first_epochs": 20}}, "halving.first_epochs is 20, but the runs have 20 epochs"),
        ({"halving": {"faktor": 3}}, "halving has no key 'faktor'. Did you mean 'factor'?"),
        ({"halving": 4}, "halving is '4', but it must be null or such as"),
        ({"seed": -1}, "seed is -1, but it must be a whole number from 0"),
        ({"base": {"val_fraction": 0}}, "val_fraction is 0 in base, but a sweep chooses by the validation set"),
        ({"base": {"max_steps": 10}}, "max_steps may end a run before its rung"),
        ({"base": {"epoch": 3}}, "Did you mean 'epochs'?"),
        ({"base": 3}, "base is '3', but it must be an object of settings"),
        ({"name": 3}, "name is '3', but it must be text"),
        ({"trails": 3}, "A sweep has no key 'trails'. Did you mean 'trials'?"),
    ],
)
def test_an_invalid_spec_is_refused_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_spec({**SPEC, **changes})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", [None, [], "x", 3])
def test_a_spec_that_is_not_an_object_is_refused(spec: object) -> None:
    with pytest.raises(ConfigError, match="but it must be a JSON object with base and space"):
        read_spec(spec)


def test_rungs_grow_by_the_factor_up_to_the_last_epoch() -> None:
    assert Halving(4, 1).rungs(20) == (1, 4, 16, 20)
    assert Halving(4, 1).rungs(16) == (1, 4, 16)
    assert Halving(3, 2).rungs(50) == (2, 6, 18, 50)


def test_a_parameter_without_effect_is_left_out() -> None:
    space = read_space(
        {
            "momentum": {"values": [0.5, 0.9]},
            "optimizer": {"values": ["sgd", "adam"]},
            "batch_size": {"values": [8, 16], "when": {"optimizer": ["adam"]}},
        }
    )
    found = space.grid(RunConfig())
    assert found == (
        {"optimizer": "sgd", "momentum": 0.5},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adam", "batch_size": 8},
        {"optimizer": "adam", "batch_size": 16},
    )
    assert all(space.contains(params) for params in found)
    assert not space.contains({"optimizer": "muon"})


def test_random_values_are_inside_their_range_and_spread_over_it() -> None:
    spec = read_spec(
        {
            **SPEC,
            "space": {
                "lr": {"low": 1e-4, "high": 1e-1, "log": True},
                "momentum": {"low": 0.1, "high": 0.9, "step": 0.2, "when": {"optimizer": "sgd"}},
                "batch_size": {"low": 2, "high": 1000, "log": True},
                "optimizer": {"values": ["sgd", "adam"]},
            },
        }
    )
    drawn = [suggest(spec, (), number) or {} for number in range(400)]
    assert drawn == [suggest(spec, (), number) for number in range(400)]
    assert all(spec.space.contains(params) for params in drawn)
    assert 0.4 < sum(params["lr"] < 10**-2.5 for params in drawn) / 400 < 0.6
    assert 0.4 < sum(params["batch_size"] < 45 for params in drawn) / 400 < 0.6
    assert {params["momentum"] for params in drawn if "momentum" in params} == {0.1, 0.3, 0.5, 0.7, 0.9}
    assert all(("momentum" in params) == (params["optimizer"] == "sgd") for params in drawn)


def test_steps_are_exact_and_a_value_between_two_steps_is_outside() -> None:
    (momentum,) = read_space({"momentum": {"low": 0.12345, "high": 0.9, "step": 0.1}})
    assert momentum.grid()[:3] == (0.12345, 0.22345, 0.32345)
    assert all(momentum.contains(value) for value in momentum.grid())
    assert not momentum.contains(0.2)


def test_the_number_of_planned_trials_of_a_grid_is_its_size_or_its_limit() -> None:
    grid = {**SPEC, "method": "grid", "trials": None, "space": {"batch_size": {"low": 10, "high": 50, "step": 10}}}
    assert planned(read_spec(grid)) == 5
    assert planned(read_spec({**grid, "trials": 3})) == 3


def test_trials_with_different_losses_are_compared_by_accuracy() -> None:
    assert read_spec(SPEC).objective == "val/loss"
    smoothing = {"label_smoothing": {"values": [0.0, 0.1]}}
    assert read_spec({**SPEC, "space": smoothing}).objective == "val/accuracy"


def test_every_setting_can_be_varied_or_is_refused_with_the_reason() -> None:
    for name, spec in FIELDS.items():
        if name in SWEEPABLE:
            assert read_space({name: {"values": [spec.default]}})
        else:
            with pytest.raises(ConfigError, match=f"{name} (determines|does not change).*: set it in base"):
                read_space({name: {"values": [spec.default]}})


def test_a_sweep_is_extended_only_in_what_limits_it() -> None:
    spec = read_spec(SPEC).extended(trials=4, space=read_space({"lr": {"values": [0.1]}}))
    assert (spec.trials, list(spec.space.as_dict())) == (20, ["lr"])
    with pytest.raises(ConfigError, match="no limit of minutes, so there is nothing to add to: add trials"):
        spec.extended(minutes=3)
    grid = read_spec({**SPEC, "method": "grid", "trials": None, "space": {"lr": {"values": [0.1, 0.01]}}})
    with pytest.raises(ConfigError, match=r"no limit of trials, .*: it ends with its grid, so give it a wider space"):
        grid.extended(trials=8)
