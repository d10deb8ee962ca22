"""Optuna as a library: a study rebuilt in memory from the sweep's trials, asked once and thrown away.

Never its storage, which is slow and knows nothing of runs, and never its pruners, which end what this lab pauses. A sampler
begins anew for every trial from the sweep's seed and the trial's number, so that a killed worker asks again and is
answered the same.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from lab.sweeps import records
from lab.sweeps.records import TrialRecord, objective
from lab.sweeps.space import Parameter, Space
from lab.sweeps.spec import Method, SweepSpec

_SEEDS = 2**31 - 1
_OF_TRIAL = 7_919  # a prime: the seeds of one sweep's trials are apart from those of the next sweep's


def ask(spec: SweepSpec, trials: Sequence[TrialRecord], number: int) -> dict[str, Any]:
    """Return the parameters of the trial with this number, as TPE or GP suggest them after the trials so far."""
    with quiet():
        study = optuna.create_study(sampler=_sampler(spec, number))
        study.add_trials(history(spec, trials))
        trial = study.ask()
        return spec.space.choose(spec.base, lambda parameter: _suggest(trial, parameter))


def history(spec: SweepSpec, trials: Sequence[TrialRecord]) -> list[FrozenTrial]:
    """Return what a sampler learns from: every trial inside the space that was measured, or is on its way.

    For TPE a trial that has not reached its end counts as pruned at its rung: it ranks behind all that came further, and
    by its value among those of the same rung. GP needs values of one kind: those of the first rung, of all trials.
    """
    found = []
    for trial in trials:
        if trial.state is records.TrialState.COPY or not trial.params or not spec.space.contains(trial.params):
            continue
        found.append(_at_first_rung(spec, trial) if spec.method is Method.GP else frozen(spec, trial))
    return [one for one in found if one is not None]


def frozen(spec: SweepSpec, trial: TrialRecord) -> FrozenTrial | None:
    """Return a trial in Optuna's words, None for one that failed before it was measured."""
    values = {one.epoch: objective(spec, one) for one in trial.values}
    state = _state(trial, measured=bool(values))
    if state is TrialState.FAIL and not values:
        return None
    value = objective(spec, trial.last) if trial.last is not None and state is TrialState.COMPLETE else None
    if value is not None and not value < float("inf"):
        state, value = TrialState.PRUNED, None  # a finished trial must have a finite value
    return create_trial(
        state=state,
        params=dict(_plain(spec.space, trial.params)),
        distributions=distributions(spec.space, trial.params),
        value=value,
        intermediate_values=values,
        user_attrs={"run": trial.run, "decision": trial.decision},
    )


def write_journal(spec: SweepSpec, name: str, trials: Sequence[TrialRecord], path: Path) -> None:
    """Write a sweep as a study into a journal file. A copy of a trial is left out; so is one that was never measured."""
    wide = replace(spec, space=_widened(spec.space, trials))
    told = [frozen(wide, one) for one in trials if one.params and one.state is not records.TrialState.COPY]
    with quiet():
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(storage=storage, study_name=name, direction="minimize")
        study.set_user_attr("objective", spec.objective)
        study.add_trials([_finite(one) for one in told if one is not None])


def _finite(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial without the values that JSON has no word for: those of an epoch at which it had diverged."""
    trial.intermediate_values = {at: value for at, value in trial.intermediate_values.items() if math.isfinite(value)}
    return trial


def _widened(space: Space, trials: Sequence[TrialRecord]) -> Space:
    """Return the space with room for every trial: those from before it was narrowed are outside it."""
    known = {parameter.name: parameter for parameter in space}
    names = dict.fromkeys([*known, *(name for trial in trials for name in trial.params)])
    return Space(tuple(_with_room(known.get(name), name, _seen(trials, name)) for name in names))


def _seen(trials: Sequence[TrialRecord], name: str) -> list[Any]:
    return [trial.params[name] for trial in trials if name in trial.params]


def _with_room(parameter: Parameter | None, name: str, seen: Sequence[Any]) -> Parameter:
    if parameter is None or parameter.values:
        values = list(parameter.values if parameter else ())
        return Parameter(name=name, values=(*values, *_others(seen, values)))
    low, high = parameter.bounds
    low, high = min([low, *seen]), max([high, *seen])
    inside = (low, high) == parameter.bounds
    return parameter if inside else replace(parameter, low=low, high=high, log=parameter.log and low > 0, step=None)


def _others(seen: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in seen:
        if value not in values and value not in found:
            found.append(value)
    return found


def _at_first_rung(spec: SweepSpec, trial: TrialRecord) -> FrozenTrial | None:
    first = trial.at(spec.rungs(trial.params)[0]) or (
        trial.last if trial.state is records.TrialState.FINISHED else None
    )
    if first is None or not objective(spec, first) < float("inf"):
        return None
    return create_trial(
        params=dict(_plain(spec.space, trial.params)),
        distributions=distributions(spec.space, trial.params),
        value=objective(spec, first),
    )


def _state(trial: TrialRecord, *, measured: bool) -> TrialState:
    if trial.state is records.TrialState.FINISHED:
        return TrialState.COMPLETE if measured else TrialState.FAIL
    if measured:
        return TrialState.PRUNED
    gone = trial.state in (records.TrialState.FAILED, records.TrialState.STOPPED)
    return TrialState.FAIL if gone else TrialState.RUNNING


def distributions(space: Space, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return Optuna's distributions of those parameters that a trial has."""
    return {parameter.name: _distribution(parameter) for parameter in space if parameter.name in params}


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.values:
        return CategoricalDistribution([word(value) for value in parameter.values])
    low, high = parameter.bounds
    if parameter.whole:
        return IntDistribution(int(low), int(high), log=parameter.log, step=int(parameter.step or 1))
    return FloatDistribution(low, high, log=parameter.log, step=parameter.step)


def _suggest(trial: Trial, parameter: Parameter) -> Any:
    if parameter.values:
        words = [word(value) for value in parameter.values]
        return parameter.values[words.index(trial.suggest_categorical(parameter.name, words))]
    low, high = parameter.bounds
    if parameter.whole:
        step = int(parameter.step or 1)
        return trial.suggest_int(parameter.name, int(low), int(high), log=parameter.log, step=step)
    value = trial.suggest_float(parameter.name, low, high, log=parameter.log, step=parameter.step)
    return parameter.rounded(value)


def _plain(space: Space, params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for parameter in space:
        if parameter.name in params:
            value = params[parameter.name]
            yield parameter.name, word(value) if parameter.values else value


def word(value: Any) -> Any:
    """Return a choice as Optuna stores it: options of a network, which are a mapping, as text."""
    return str(value) if isinstance(value, dict) else value


def _sampler(spec: SweepSpec, number: int) -> BaseSampler:
    seed = (spec.seed * _OF_TRIAL + number) % _SEEDS
    if spec.method is Method.GP:
        return GPSampler(seed=seed, warn_independent_sampling=False)
    return TPESampler(seed=seed, multivariate=True, group=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's log lines and its warnings that an argument is experimental to itself."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
