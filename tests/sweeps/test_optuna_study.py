"""TPE and GP with the trials of a sweep: suggestions are repeatable, inside the space, and near small values."""

import math
from dataclasses import replace
from typing import Any

import pytest

from lab.sweeps.optuna_study import ask, frozen, history
from lab.sweeps.records import Measured, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec
from lab.sweeps.suggest import suggest
from tests.sweeps.sweep_runs import LR, small_spec

SPACE = {**LR, "optimizer": {"values": ["sgd", "adam"]}, "momentum": {"values": [0.1, 0.9]}}


def _tried(spec: SweepSpec, count: int) -> tuple[TrialRecord, ...]:
    """Return random trials whose loss is smallest at a learning rate of 0.01."""
    found = []
    for number in range(1, count + 1):
        params = suggest(replace(spec, method=small_spec().method), (), number) or {}
        loss = (math.log10(params["lr"]) + 2) ** 2
        values = (Measured(1, loss + 1, 0.5), Measured(2, loss + 0.5, 0.5), Measured(4, loss, 0.5))
        rung = number % 3
        state = TrialState.FINISHED if rung == 2 else TrialState.PAUSED
        found.append(
            TrialRecord(
                number=number, run=f"r{number}", params=params, rung=rung, values=values[: rung + 1], state=state
            )
        )
    return tuple(found)


@pytest.mark.parametrize("method", ["tpe", pytest.param("gp", marks=pytest.mark.long)])
def test_a_suggestion_is_repeatable_and_near_the_best(method: str) -> None:
    spec = small_spec(method=method, space=SPACE)
    trials = _tried(spec, 40)
    suggested = [ask(spec, trials, number) for number in range(41, 49)]
    assert suggested == [ask(spec, trials, number) for number in range(41, 49)]
    assert all(spec.space.contains(params) for params in suggested)
    assert all(("momentum" in params) == (params["optimizer"] == "sgd") for params in suggested)
    near = sum(10**-2.7 < params["lr"] < 10**-1.3 for params in suggested)
    assert near >= 6  # of 8; by chance 3.7


def test_the_optuna_state_of_a_trial_depends_on_how_far_it_was_trained() -> None:
    spec = small_spec(method="tpe", space=SPACE)
    finished, paused, _ = (_tried(spec, 3)[number - 1] for number in (2, 1, 3))
    diverged = replace(paused, values=(Measured(1, math.nan, 0.1),))
    running = replace(paused, values=(), state=TrialState.RUNNING)
    failed = replace(running, state=TrialState.FAILED)
    optuna_trials = [frozen(spec, one) for one in (finished, paused, diverged, running, failed)]
    states: list[Any] = [None if one is None else one.state.name for one in optuna_trials]
    assert states == ["COMPLETE", "PRUNED", "PRUNED", "RUNNING", None]
    outside = replace(finished, params={"lr": 5.0})
    assert len(history(spec, (finished, outside))) == 1


def test_a_sampler_starts_without_history() -> None:
    spec = small_spec(method="tpe", space=SPACE)
    assert spec.space.contains(ask(spec, (), 1))
    assert ask(spec, (), 1) != ask(spec, (), 2)
