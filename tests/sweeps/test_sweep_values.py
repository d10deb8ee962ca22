"""SPEC, records, studies and usual ranges of sweeps, value by value and at both ends of each limit."""

from dataclasses import replace
from typing import Any

import pytest

from lab.config import FIELDS, RunConfig
from lab.errors import ConfigError, UnknownNameError
from lab.presets import get_preset
from lab.sweeps.presets import SWEEP_PRESETS, get_sweep_preset
from lab.sweeps.records import SweepRecord, SweepState, TrialState
from lab.sweeps.space import SWEEPABLE, params_key, read_parameter, read_space
from lab.sweeps.spec import SweepSpec, read_minutes, read_spec
from lab.sweeps.suggest import planned, suggest
from lab.sweeps.usual_ranges import usual_range

SPEC: dict[str, Any] = {
    "base": {"dataset": "digits", "epochs": 8},
    "space": {"lr": {"values": [0.1, 0.01]}},
    "trials": 2,
}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"on": "x" * 17}, "but it must name an executor, such as local"),
        ({"on": 3}, "on is '3', but it must name an executor"),
        ({"seed": True}, "seed is True, but it must be a whole number"),
        ({"seed": 1.0}, "seed is 1.0, but"),
        ({"trials": True}, "trials is True, but"),
        ({"minutes": True}, "minutes is True, but"),
        ({"minutes": float("inf")}, "minutes is inf, but"),
        ({"minutes": "3"}, "minutes is '3', but"),
        ({"method": ["tpe"]}, "which is not a method"),
        ({"halving": {"factor": True}}, "halving.factor is True, but it must be a whole number from 2"),
        ({"halving": {"first_epochs": 1.0}}, "halving.first_epochs is 1.0, but"),
        ({"space": {"lr": {"values": "0.1"}}}, "lr has the values '0.1', but it needs a list"),
        ({"space": {"lr": {"low": 0.1, "high": 0.2, "log": 1}}}, "lr has log 1, but it must be true or false"),
        ({"space": {"lr": {"high": 0.2}}}, "lr has no low"),
        ({"space": {"lr": {"low": 0.1, "high": 0.3, "step": 0.21}}}, "above 0 and at most 0.2"),
        ({"space": {"lr": {"low": 0.1, "high": 0.3, "step": True}}}, "lr has the step True"),
        ({"space": {"lr": {"low": 0.1, "high": 0.3, "when": ["sgd"]}}}, "lr has the condition"),
        ({"space": {"momentum": {"values": [0.5], "when": {"optimizer": []}}}}, "needs a list of at least one"),
        ({"space": {"momentum": {"values": [0.5], "when": {"momentum": [0.5]}}}}, "can depend only on a choice"),
        ({"space": {"optimizer": {"values": ["sgd"], "when": {"optimizer": "sgd"}}}}, "can depend only on a choice"),
        ({"space": {"momentum": {"values": [0.5], "when": {"init_from": "x"}}}}, "can depend only on a choice"),
        (
            {
                "space": {
                    "optimizer": {"values": ["sgd"], "when": {"schedule": "cosine"}},
                    "momentum": {"values": [0.5], "when": {"optimizer": "sgd"}},
                }
            },
            "momentum depends on optimizer, which has a condition itself: give both conditions to momentum",
        ),
        ({"space": {"max_steps": {"values": [5]}}, "halving": {}}, "max_steps may end a run before its rung"),
        ({"space": []}, "The space is empty"),
    ],
)
def test_an_invalid_value_of_a_spec_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_spec({**SPEC, **changes})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(("on", "read"), [("local", ""), ("", ""), ("slurm", "slurm"), ("x" * 16, "x" * 16)])
def test_a_sweep_that_is_trained_in_the_slots_of_the_lab_names_no_executor(on: str, read: str) -> None:
    spec = read_spec({**SPEC, "on": on})
    assert spec.on == read
    assert ("on" in spec.as_dict()) is bool(read)


@pytest.mark.parametrize("schema", [0, 2, True, 1.0, "1", None])
def test_a_stored_spec_of_another_schema_is_refused(schema: object) -> None:
    stored = read_spec(SPEC).as_dict()
    assert stored["schema"] == 1
    with pytest.raises(ConfigError, match=f"The sweep has schema {schema!r}, but this release reads 1 to 1"):
        SweepSpec.from_dict({**stored, "schema": schema})


def test_minutes_are_any_number_above_zero() -> None:
    assert (read_minutes(1e-9), read_minutes(3)) == (1e-9, 3.0)
    assert type(read_minutes(3)) is float
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="it must be a number above 0"):
            read_minutes(wrong)


def test_a_grid_needs_no_limit_and_other_methods_need_trials_or_minutes() -> None:
    assert read_spec({**SPEC, "method": "grid", "trials": None}).trials is None
    assert read_spec({**SPEC, "trials": None, "minutes": 1}).trials is None
    assert planned(read_spec({**SPEC, "trials": None, "minutes": 1})) is None
    assert planned(read_spec({**SPEC, "trials": 7})) == 7
    assert planned(read_spec({**SPEC, "method": "grid", "trials": 7})) == 2


def test_a_trial_has_the_base_with_its_own_settings_and_rungs_up_to_its_own_epochs() -> None:
    spec = read_spec({**SPEC, "halving": {"factor": 2, "first_epochs": 2}})
    assert spec.config({"lr": 0.1}) == RunConfig(dataset="digits", epochs=8, lr=0.1)
    assert (spec.rungs({}), spec.rungs({"epochs": 5})) == ((2, 4, 8), (2, 4, 5))
    assert [spec.pause_epoch({}, rung) for rung in range(4)] == [2, 4, None, None]
    assert replace(spec, halving=None).rungs({"epochs": 5}) == (5,)


def test_an_extended_sweep_is_checked_like_a_new_one() -> None:
    spec = read_spec(SPEC)
    assert spec.extended().as_dict() == spec.as_dict()
    with pytest.raises(ConfigError, match="trials is 100001, but it must be a whole number from 1 to 100,000"):
        spec.extended(trials=99_999)
    narrow = spec.extended(space=read_space({"lr": {"values": [0.01]}}))
    assert (narrow.trials, narrow.space.as_dict()) == (2, {"lr": {"values": [0.01]}})


def test_a_grid_suggests_its_first_untried_value_whatever_the_number_of_the_trial() -> None:
    spec = read_spec({**SPEC, "method": "grid", "trials": None})
    assert suggest(spec, (), 1) == {"lr": 0.1}
    assert suggest(spec, (), 9) == {"lr": 0.1}  # whatever its number: no trial was created yet


def test_equal_parameters_have_the_same_key_in_any_order() -> None:
    assert params_key({"lr": 0.1, "epochs": 3}) == params_key({"epochs": 3, "lr": 0.1}) == '{"epochs": 3, "lr": 0.1}'
    assert params_key({"lr": 0.1}) != params_key({"lr": 0.2})


def test_parameters_with_a_condition_come_last_and_the_others_in_the_order_of_the_form() -> None:
    space = read_space(
        {
            "batch_size": {"values": [8], "when": {"optimizer": "sgd"}},
            "lr": {"values": [0.1]},
            "optimizer": {"values": ["sgd"]},
        }
    )
    names = [parameter.name for parameter in space]
    assert names[-1] == "batch_size"
    assert names[:2] == sorted(("lr", "optimizer"), key=list(FIELDS).index)
    assert list(space)[-1].when == {"optimizer": ("sgd",)}  # a single value is a list of one


@pytest.mark.parametrize(
    ("space", "changes"),
    [
        ({"loss": {"values": [FIELDS["loss"].default]}}, True),
        ({"output": {"values": [FIELDS["output"].default]}}, True),
        ({"label_smoothing": {"values": [0.0]}}, True),
        ({"lr": {"values": [0.1]}, "optimizer": {"values": ["sgd"]}}, False),
    ],
)
def test_a_space_knows_whether_it_changes_the_loss(space: dict[str, Any], changes: bool) -> None:
    assert read_space(space).changes_loss is changes


def test_a_range_has_bounds_and_single_values_have_none() -> None:
    assert read_parameter("lr", {"low": 0.1, "high": 0.2}).bounds == (0.1, 0.2)
    with pytest.raises(ValueError, match="lr has values and no range"):
        _ = read_parameter("lr", {"values": [0.1]}).bounds
    assert (read_parameter("lr", {"values": [0.1]}).whole, read_parameter("epochs", {"values": [3]}).whole) == (
        False,
        True,
    )


USUAL = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "batch_size": {"values": [16, 32, 64, 128]},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "momentum": {"low": 0.5, "high": 0.99},
    "beta1": {"low": 0.8, "high": 0.99},
    "beta2": {"low": 0.9, "high": 0.9999},
    "label_smoothing": {"low": 0.0, "high": 0.2},
    "warmup_epochs": {"low": 0.0, "high": 2.0},
    "gamma": {"low": 0.05, "high": 0.9},
    "grad_clip": {"values": [0.0, 1.0, 5.0]},
    "epochs": {"values": [5, 10, 20]},
    "seed": {"values": [0, 1, 2, 3, 4]},
}


@pytest.mark.parametrize("name", [name for name in SWEEPABLE if name not in ("arch_options", "init_from")])
def test_each_setting_has_its_usual_range(name: str) -> None:
    spec = FIELDS[name]
    values = list(spec.choices) if spec.choices else [False, True] if spec.kind is bool else [spec.default]
    assert usual_range(name).as_dict() == USUAL.get(name, {"values": values})


STUDIES = {
    "c-batch": ("C", "c-basic-cnn", {"batch_size": [50, 100, 200]}),
    "c-epochs": ("C", "c-basic-cnn", {"epochs": [10, 20, 100]}),
    "c-lr": ("C", "c-basic-cnn", {"lr": [0.001, 0.01, 0.05]}),
    "b-lr": ("B", "b-wide-cnn", {"lr": [0.0001, 0.0005, 0.001, 0.01]}),
}


def test_a_study_of_a_report_varies_one_setting_of_its_preset_with_a_tenth_held_out() -> None:
    assert set(SWEEP_PRESETS) == set(STUDIES)
    for name, (report, preset, space) in STUDIES.items():
        study = get_sweep_preset(name)
        spec = read_spec(study.spec())
        assert (study.report, spec.method.value, spec.trials, spec.halving) == (report, "grid", None, None)
        assert {one.name: list(one.values) for one in spec.space} == space
        assert spec.base == RunConfig.from_dict({**get_preset(preset).config().as_dict(), "val_fraction": 0.1})
        assert spec.name == study.title
    changed = read_spec(get_sweep_preset("c-lr").spec(name="mine", method="random", trials=3))
    assert (changed.name, changed.method.value, changed.trials) == ("mine", "random", 3)
    with pytest.raises(UnknownNameError, match=r"There is no sweep preset 'c-rl'\. Did you mean 'c-lr'\?"):
        get_sweep_preset("c-rl")


def test_reading_the_spec_of_a_damaged_sweep_raises_its_problem() -> None:
    record = SweepRecord(
        id="a", number=1, name="n", spec=None, state=SweepState.RUNNING, problem="The sweep is damaged."
    )
    with pytest.raises(ValueError, match="The sweep is damaged"):
        _ = record.asked
    spec = read_spec(SPEC)
    assert replace(record, spec=spec).asked is spec


def test_queued_and_running_trials_are_live() -> None:
    assert [state for state in TrialState if state.live] == [TrialState.QUEUED, TrialState.RUNNING]
