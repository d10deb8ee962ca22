"""The next trial's settings, from the sweep's seed and its trials alone, so that repeated calls return the same.

Grids are enumerated and random values are drawn here. TPE and GP come from Optuna (`lab.sweeps.optuna_study`), which is
only imported if one of them is used.
"""

import json
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lab.config import RunConfig
from lab.lazy import load
from lab.sweeps.records import Source, TrialRecord
from lab.sweeps.space import params_key, read_space
from lab.sweeps.spec import Method, SweepSpec


def count_made(trials: Sequence[TrialRecord]) -> int:
    """Return the number of trials that the sweep created: all but the adopted ones."""
    return sum(trial.source is not Source.ADOPTED for trial in trials)


def planned(spec: SweepSpec) -> int | None:
    """Return how many trials a sweep will create, or None if only its minutes end it."""
    if spec.method is not Method.GRID:
        return spec.trials
    size = len(spec.space.grid(spec.base))
    return size if spec.trials is None else min(size, spec.trials)


def is_exhausted(spec: SweepSpec, trials: Sequence[TrialRecord]) -> bool:
    """Return whether no new trials will be created: the requested number, or the whole grid, is complete."""
    if spec.trials is not None and count_made(trials) >= spec.trials:
        return True
    return spec.method is Method.GRID and _next_of_grid(spec, trials) is None


def suggest(spec: SweepSpec, trials: Sequence[TrialRecord], number: int) -> dict[str, Any] | None:
    """Return the parameters of the trial with this number, or None if the grid is complete."""
    if spec.method is Method.GRID:
        return _next_of_grid(spec, trials)
    if spec.method is Method.RANDOM:
        draw = random.Random(f"{spec.seed} {number}")  # noqa: S311  a search, not a secret
        return spec.space.choose(spec.base, lambda parameter: parameter.at(draw.random()))
    ask = load("lab.sweeps.optuna_study:ask")
    params: dict[str, Any] = ask(spec, trials, number)
    return params


def find_copy(trials: Sequence[TrialRecord], params: dict[str, Any]) -> TrialRecord | None:
    """Return the first trial of the sweep with the same parameters."""
    key = params_key(params)
    return next((trial for trial in trials if trial.run and params_key(trial.params) == key), None)


def _next_of_grid(spec: SweepSpec, trials: Sequence[TrialRecord]) -> dict[str, Any] | None:
    made = {params_key(trial.params) for trial in trials}
    asked = json.dumps({"base": spec.base.as_dict(), "space": spec.space.as_dict()}, sort_keys=True)
    return next((dict(params) for key, params in _grid(asked) if key not in made), None)


@lru_cache(maxsize=4)
def _grid(asked: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return a grid's parameters with their keys; cached, because checking thousands of configurations is slow."""
    values = json.loads(asked)
    combinations = read_space(values["space"]).grid(RunConfig.from_dict(values["base"]))
    return tuple((params_key(params), params) for params in combinations)
