"""Optuna as a library: a study is rebuilt in memory from the sweep's trials, asked once and discarded.

Optuna's storage is not used, because it is slow and does not know about runs, and neither are its pruners, which end
trials that this lab pauses. Every trial gets a new sampler, seeded from the sweep's seed and the trial's number, so
that a worker that repeats the call after a crash gets the same answer.
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
_OF_TRIAL = 7_919  # a prime, which separates the seeds of one sweep's trials from those of the next sweep


def ask(spec: SweepSpec, trials: Sequence[TrialRecord], number: int) -> dict[str, Any]:
    """Return the parameters of the trial with this number, suggested by TPE or GP after the trials so far."""
    with quiet():
        study = optuna.create_study(sampler=_sampler(spec, number))
        study.add_trials(history(spec, trials))
        trial = study.ask()
        return spec.space.choose(spec.base, lambda parameter: _suggest(trial, parameter))


def history(spec: SweepSpec, trials: Sequence[TrialRecord]) -> list[FrozenTrial]:
    """Return the trials for the sampler: all trials inside the space that were measured or are in progress.

    For TPE, a trial that has not reached its end counts as pruned at its rung: it ranks behind all that trained longer,
    and by value among those of the same rung. GP needs comparable values: those of the first rung, for all trials.
    """
    found = []
    for trial in trials:
        if trial.state is records.TrialState.COPY or not trial.params or not spec.space.contains(trial.params):
            continue
        found.append(_at_first_rung(spec, trial) if spec.method is Method.GP else frozen(spec, trial))
    return [one for one in found if one is not None]


def frozen(spec: SweepSpec, trial: TrialRecord, *, waiting: bool = False) -> FrozenTrial | None:
    """Return a trial as Optuna's `FrozenTrial`, or None if it failed before it was measured.

    waiting: a trial that is neither measured nor in training is WAITING, so that a study that goes on elsewhere trains
    it next. Without it, such a trial is RUNNING: `ask` would return a waiting one instead of a suggestion.
    """
    values = {one.epoch: objective(spec, one) for one in trial.values}
    state = _state(trial, measured=bool(values))
    if waiting and state is TrialState.RUNNING and trial.state is not records.TrialState.RUNNING:
        state = TrialState.WAITING
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
    """Write a sweep as a study to a journal file, without copies of trials and trials that failed before measuring."""
    wide = replace(spec, space=_widened(spec.space, trials))
    suggested = [one for one in trials if one.params and one.state is not records.TrialState.COPY]
    exported = [frozen(wide, one, waiting=True) for one in suggested]
    with quiet():
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(storage=storage, study_name=name, direction="minimize")
        study.set_user_attr("objective", spec.objective)
        study.add_trials([_finite(one) for one in exported if one is not None])


def _finite(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial without values that JSON cannot represent: those of epochs at which it had diverged."""
    trial.intermediate_values = {at: value for at, value in trial.intermediate_values.items() if math.isfinite(value)}
    return trial


def _widened(space: Space, trials: Sequence[TrialRecord]) -> Space:
    """Return a space that contains every trial, including those from before the space was narrowed."""
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
    """Return Optuna's distributions of the parameters that a trial has."""
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
    """Return a choice in Optuna's form: network options, which are a mapping, become text."""
    return str(value) if isinstance(value, dict) else value


def _sampler(spec: SweepSpec, number: int) -> BaseSampler:
    seed = (spec.seed * _OF_TRIAL + number) % _SEEDS
    if spec.method is Method.GP:
        return GPSampler(seed=seed, warn_independent_sampling=False)
    return TPESampler(seed=seed, multivariate=True, group=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Optuna's log output and its warnings about experimental arguments."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
