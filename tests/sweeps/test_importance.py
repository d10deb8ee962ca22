"""The setting that determines the result has the largest importance; settings without effect have almost none."""

import math
import random
from collections.abc import Callable
from typing import Any

from lab.sweeps.importance import importances
from lab.sweeps.records import MIN_TRIALS, Measured, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec, read_spec

_SPACE = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "optimizer": {"values": ["adam", "sgd"]},
    "momentum": {"low": 0.1, "high": 0.9, "when": {"optimizer": ["sgd"]}},
}


def _sweep(loss: Callable[[dict[str, Any]], float], trials: int) -> tuple[SweepSpec, list[TrialRecord]]:
    spec = read_spec({"base": {"dataset": "digits"}, "space": _SPACE, "trials": trials})
    draw = random.Random(1)
    found = []
    for number in range(1, trials + 1):
        params = spec.space.choose(spec.base, lambda parameter: parameter.at(draw.random()))
        value = Measured(spec.base.epochs, loss(params), 0.5)
        found.append(
            TrialRecord(number=number, run=f"r{number}", params=params, values=(value,), state=TrialState.FINISHED)
        )
    return spec, found


def test_the_setting_that_determines_the_loss_comes_first() -> None:
    spec, trials = _sweep(lambda params: abs(math.log10(params["lr"]) + 2), 80)
    first, *rest = importances(spec, trials, 0)
    assert (first.name, first.n) == ("lr", 80)
    assert first.share > 0.7
    assert sum(one.share for one in rest) < 0.3


def test_a_diverged_trial_counts_as_worse_than_all_others() -> None:
    spec, trials = _sweep(lambda params: math.nan if params["optimizer"] == "sgd" else 0.5 + params["lr"], 80)
    shares = {one.name: one.share for one in importances(spec, trials, 0)}
    assert shares["optimizer"] > shares["weight_decay"]


def test_too_few_trials_have_no_importances() -> None:
    spec, trials = _sweep(lambda params: params["lr"], MIN_TRIALS - 1)
    assert importances(spec, trials, 0) == ()


def test_trials_outside_a_narrowed_space_count_too() -> None:
    _, trials = _sweep(lambda params: abs(math.log10(params["lr"]) + 2), 80)
    narrow = read_spec(
        {"base": {"dataset": "digits"}, "space": {"lr": {"low": 0.005, "high": 0.02, "log": True}}, "trials": 80}
    )
    (only,) = importances(narrow, trials, 0)
    assert (only.name, only.n) == ("lr", 80)
