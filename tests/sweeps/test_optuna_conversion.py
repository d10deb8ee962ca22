"""Conversion of a sweep to Optuna: states, values, spaces that contain every trial, and a journal that Optuna reads."""

import logging
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FixedTrial

from lab.sweeps.importance import _axis, _value, importances
from lab.sweeps.optuna_study import _suggest, _widened, ask, frozen, history, quiet, word, write_journal
from lab.sweeps.records import MIN_TRIALS, Measured, TrialRecord, TrialState
from lab.sweeps.space import read_parameter, read_space
from lab.sweeps.spec import SweepSpec, read_spec

SPEC: SweepSpec = read_spec(
    {
        "base": {"dataset": "digits", "epochs": 4},
        "space": {
            "lr": {"low": 1e-3, "high": 1e-1, "log": True},
            "batch_size": {"low": 8, "high": 64, "step": 8},
            "optimizer": {"values": ["sgd", "adam"]},
        },
        "method": "tpe",
        "trials": 8,
        "halving": {"factor": 2, "first_epochs": 1},
    }
)
PARAMS: dict[str, Any] = {"lr": 0.01, "batch_size": 16, "optimizer": "sgd"}
VALUES = (Measured(1, 0.5, 0.8), Measured(2, 0.3, 0.9))


def trial(number: int = 1, *values: Measured, state: TrialState = TrialState.PAUSED, **changes: Any) -> TrialRecord:
    return replace(
        TrialRecord(number=number, run=f"r{number}", params=PARAMS, values=values, state=state, decision="why"),
        **changes,
    )


@pytest.mark.parametrize(
    ("state", "measured", "unmeasured", "exported"),
    [
        (TrialState.QUEUED, "PRUNED", "RUNNING", "WAITING"),
        (TrialState.RUNNING, "PRUNED", "RUNNING", "RUNNING"),
        (TrialState.PAUSED, "PRUNED", "RUNNING", "WAITING"),
        (TrialState.HELD, "PRUNED", "RUNNING", "WAITING"),
        (TrialState.INTERRUPTED, "PRUNED", "RUNNING", "WAITING"),
        (TrialState.FINISHED, "COMPLETE", None, None),
        (TrialState.STOPPED, "PRUNED", None, None),
        (TrialState.FAILED, "PRUNED", None, None),
    ],
)
def test_a_trial_is_complete_if_finished_pruned_if_measured_otherwise_running_waiting_or_left_out(
    state: TrialState, measured: str, unmeasured: str | None, exported: str | None
) -> None:
    converted = frozen(SPEC, trial(1, *VALUES, state=state))
    assert converted is not None
    assert (converted.state.name, converted.value) == (measured, 0.3 if measured == "COMPLETE" else converted.value)
    assert converted.intermediate_values == {1: 0.5, 2: 0.3}
    assert converted.params == PARAMS
    assert converted.user_attrs == {"run": "r1", "decision": "why"}
    for waiting, name in ((False, unmeasured), (True, exported)):
        found = frozen(SPEC, trial(1, state=state), waiting=waiting)
        assert (None if found is None else found.state.name) == name
    for_export = frozen(SPEC, trial(1, *VALUES, state=state), waiting=True)
    assert for_export is not None
    assert for_export.state.name == measured


def test_a_study_that_goes_on_elsewhere_trains_the_waiting_trials_first(tmp_path: Path) -> None:
    held = trial(2, state=TrialState.HELD, params={**PARAMS, "lr": 0.05})
    path = tmp_path / "study.log"
    write_journal(SPEC, "mine", [trial(1, *VALUES, state=TrialState.FINISHED), held], path)
    with quiet():
        study = optuna.load_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="mine")
        next_trial = study.ask()
        assert (next_trial.number, next_trial.suggest_float("lr", 1e-3, 1e-1, log=True)) == (1, 0.05)
        study.tell(next_trial, 0.2)
        assert study.ask().number == 2
    assert ask(SPEC, [held], 3) != held.params


@pytest.mark.parametrize("loss", [math.inf, math.nan])
def test_a_finished_trial_that_diverged_is_pruned_and_has_no_value(loss: float) -> None:
    converted = frozen(SPEC, trial(1, VALUES[0], Measured(4, loss, 0.1), state=TrialState.FINISHED))
    assert converted is not None
    assert (converted.state.name, converted.intermediate_values) == ("PRUNED", {1: 0.5, 4: math.inf})


def test_a_sampler_learns_only_from_trials_inside_the_space_that_are_not_copies() -> None:
    trials = (
        trial(1, *VALUES),
        trial(2, *VALUES, state=TrialState.COPY),
        trial(3, *VALUES, params={}),
        trial(4, *VALUES, params={**PARAMS, "lr": 0.5}),
        trial(5, state=TrialState.FAILED),
        trial(6, *VALUES, params={"lr": 0.02}),
    )
    assert [one.user_attrs["run"] for one in history(SPEC, trials)] == ["r1", "r6"]


def test_the_seeds_of_two_sweeps_are_a_prime_apart() -> None:
    other = replace(SPEC, seed=1)
    assert ask(other, (), 0) == ask(SPEC, (), 7_919)
    assert ask(other, (), 3) == ask(SPEC, (), 7_922)
    assert ask(SPEC, (), 0) != ask(SPEC, (), 1)
    last = replace(SPEC, seed=2**31 - 2)  # beyond the largest seed: it wraps around
    assert ask(last, (), 1) == ask(SPEC, (), (last.seed * 7_919 + 1) % (2**31 - 1))


def test_a_suggestion_is_rounded_as_it_is_stored_and_a_choice_keeps_its_value_and_type() -> None:
    given = FixedTrial({"lr": 0.0123456, "batch_size": 24, "momentum": 0.5, "optimizer": "adam", "epochs": 7})
    for name, parameter, value in (
        ("lr", {"low": 1e-3, "high": 1e-1, "log": True}, 0.01235),
        ("batch_size", {"low": 8, "high": 64, "step": 8}, 24),
        ("momentum", {"low": 0.1, "high": 0.9, "step": 0.2}, 0.5),
        ("optimizer", {"values": ["sgd", "adam"]}, "adam"),
        ("epochs", {"low": 1, "high": 9}, 7),
    ):
        found = _suggest(given, read_parameter(name, parameter))  # type: ignore[arg-type]
        assert (found, type(found)) == (value, type(value))
    options = {"widths": [3, 4]}
    assert word(options) == "{'widths': [3, 4]}"
    assert [word(value) for value in ("a", 3, 0.5, True)] == ["a", 3, 0.5, True]


# -- spaces that contain every trial -----------------------------------------------------------------------------------


def test_a_space_is_widened_only_by_values_of_trials_outside_it() -> None:
    trials = (
        trial(1, params={"lr": 0.5, "batch_size": 12, "optimizer": "muon", "momentum": 0.3}),
        trial(2, params={"lr": 0.01, "batch_size": 64, "optimizer": "muon", "momentum": 0.5}),
        trial(3, params={"momentum": 0.3}),
    )
    wide = _widened(SPEC.space, trials).as_dict()
    assert wide == {
        "optimizer": {"values": ["sgd", "adam", "muon"]},
        "batch_size": {"low": 8, "high": 64, "step": 8},
        "lr": {"low": 1e-3, "high": 0.5, "log": True},
        "momentum": {"values": [0.3, 0.5]},
    }
    assert list(wide)[-1] == "momentum"  # of an earlier space
    assert _widened(SPEC.space, ()) == SPEC.space
    outside = _widened(SPEC.space, (trial(1, params={"batch_size": 100, "lr": 0.0}),)).as_dict()
    assert outside["batch_size"] == {"low": 8, "high": 100}  # not a multiple of the step
    assert outside["lr"] == {"low": 0.0, "high": 0.1}  # zero has no logarithm
    assert _widened(SPEC.space, (trial(1, params={"batch_size": 2}),)).as_dict()["batch_size"] == {"low": 2, "high": 64}


def test_a_journal_contains_every_trial_that_was_measured_waits_or_is_running(tmp_path: Path) -> None:
    trials = (
        trial(1, *VALUES, Measured(4, 0.25, 0.9), state=TrialState.FINISHED),
        trial(2, Measured(1, math.nan, 0.1), state=TrialState.STOPPED),
        trial(3, *VALUES, state=TrialState.COPY),
        trial(4, state=TrialState.FAILED),
        trial(5, params={}, state=TrialState.QUEUED),
        trial(6, state=TrialState.QUEUED, params={**PARAMS, "lr": 0.5}),
    )
    path = tmp_path / "sweep.log"
    write_journal(SPEC, "mine", trials, path)
    with quiet():
        study = optuna.load_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="mine")
        converted = study.trials
    assert (study.direction.name, study.user_attrs) == ("MINIMIZE", {"objective": "val/loss"})
    assert [(one.user_attrs["run"], one.state.name, one.intermediate_values) for one in converted] == [
        ("r1", "COMPLETE", {1: 0.5, 2: 0.3, 4: 0.25}),
        ("r2", "PRUNED", {}),
        ("r6", "WAITING", {}),
    ]
    assert (converted[0].value, converted[0].params) == (0.25, PARAMS)
    assert converted[2].params["lr"] == 0.5
    assert converted[0].distributions == {
        "lr": FloatDistribution(1e-3, 0.5, log=True),
        "batch_size": IntDistribution(8, 64, step=8),
        "optimizer": CategoricalDistribution(("sgd", "adam")),
    }


def test_optuna_is_silenced_while_in_use_and_its_verbosity_is_restored() -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.DEBUG)
    try:
        with quiet():
            assert optuna.logging.get_verbosity() == logging.ERROR
            warnings.warn("an experimental argument", UserWarning, stacklevel=1)
        assert optuna.logging.get_verbosity() == logging.DEBUG
        with pytest.raises(KeyError, match="inside"), quiet():
            raise KeyError("inside")
        assert optuna.logging.get_verbosity() == logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)
    with pytest.raises(UserWarning, match="afterwards"):
        warnings.warn("afterwards", UserWarning, stacklevel=1)


# -- importance --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "tried", "axis"),
    [
        ("lr", {"low": 1e-3, "high": 1e-1, "log": True}, [0.01], FloatDistribution(1e-3, 1e-1, log=True)),
        ("lr", {"low": 1e-3, "high": 1e-1, "log": True}, [1e-4, 0.5], FloatDistribution(1e-4, 0.5, log=True)),
        ("lr", {"low": 1e-3, "high": 1e-1, "log": True}, [0.0], FloatDistribution(0.0, 1e-1)),
        ("lr", {"low": 1e-3, "high": 1e-1}, [0.01], FloatDistribution(1e-3, 1e-1)),
        ("momentum", {"low": 0.1, "high": 0.9, "step": 0.2}, [0.45], FloatDistribution(0.1, 0.9)),
        ("batch_size", {"low": 8, "high": 64}, [128], IntDistribution(8, 128)),
        ("batch_size", {"low": 8, "high": 64, "log": True}, [4], IntDistribution(4, 64, log=True)),
        ("batch_size", {"values": [8, 16]}, [32, 8, 32], CategoricalDistribution((8, 16, 32))),
        ("optimizer", {"values": ["sgd", "adam"]}, [], CategoricalDistribution(("sgd", "adam"))),
    ],
)
def test_an_axis_contains_every_trial_and_trials_without_the_setting_do_not_change_it(
    name: str, given: dict[str, Any], tried: list[Any], axis: Any
) -> None:
    trials = [trial(1, params={}), *(trial(at, params={name: value}) for at, value in enumerate(tried, start=2))]
    assert _axis(read_parameter(name, given), trials) == axis


def test_a_dict_of_options_is_text_on_its_axis_and_a_number_stays_a_number() -> None:
    assert _value(CategoricalDistribution(("{'a': 1}",)), {"a": 1}) == "{'a': 1}"
    assert _value(FloatDistribution(0.0, 1.0), 0.25) == 0.25


def test_importances_need_eight_measured_trials_and_count_only_measured_ones() -> None:
    spec = replace(SPEC, space=read_space({"lr": {"low": 1e-3, "high": 1e-1, "log": True}}), halving=None)
    measured_trials = [
        trial(at, Measured(4, 0.1 * at, 0.5), state=TrialState.FINISHED, params={"lr": 0.01 * at})
        for at in range(1, MIN_TRIALS + 1)
    ]
    unmeasured = trial(99, params={"lr": 0.02})
    assert importances(spec, [*measured_trials[1:], unmeasured], 0) == ()
    (only,) = importances(spec, [*measured_trials, unmeasured], 0)
    assert (only.name, only.n, only.share) == ("lr", MIN_TRIALS, pytest.approx(1.0))
    assert importances(spec, measured_trials, 1) == ()  # there is no second rung
