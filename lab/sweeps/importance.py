"""How much each setting of a sweep affects the result at one rung: Optuna's PED-ANOVA (Watanabe et al. 2023).

Paused and promoted trials are compared at a rung where both were measured, and n is reported. (Optuna's own plot uses
completed trials only, of which halving leaves few.) A setting that some trials do not have, such as momentum with
Adam, is weighted by the number of trials that have it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from lab.sweeps.halving import standings
from lab.sweeps.optuna_study import quiet, word
from lab.sweeps.records import MIN_TRIALS, Importance, TrialRecord
from lab.sweeps.space import Parameter
from lab.sweeps.spec import SweepSpec


def importances(spec: SweepSpec, trials: Sequence[TrialRecord], rung: int) -> tuple[Importance, ...]:
    """Return the settings at a rung, most important first; none if fewer than `MIN_TRIALS` trials were measured.

    Trials that diverged count as worse than all others.
    """
    there = [one.trial for one in standings(spec, trials, rung)]
    if len(there) < MIN_TRIALS:
        return ()
    # By rank, the only thing that PED-ANOVA uses, so that a diverged trial needs no value.
    axes = {parameter.name: _axis(parameter, there) for parameter in spec.space}
    with quiet():
        study = optuna.create_study()
        study.add_trials([_ranked(rank, trial, axes) for rank, trial in enumerate(there)])
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    shares = ((name, share) for name, share in found.items() if math.isfinite(share))
    return tuple(Importance(name, share, len(there)) for name, share in shares)


def _ranked(rank: int, trial: TrialRecord, axes: Mapping[str, BaseDistribution]) -> FrozenTrial:
    own = {name: _value(axis, trial.params[name]) for name, axis in axes.items() if name in trial.params}
    return create_trial(value=float(rank), params=own, distributions={name: axes[name] for name in own})


def _axis(parameter: Parameter, trials: Sequence[TrialRecord]) -> BaseDistribution:
    """Return Optuna's distribution of a parameter, wide enough for every trial, including those of an earlier space."""
    values = [trial.params[parameter.name] for trial in trials if parameter.name in trial.params]
    if parameter.values:
        return CategoricalDistribution(list(dict.fromkeys(map(word, (*parameter.values, *values)))))
    low, high = min([parameter.bounds[0], *values]), max([parameter.bounds[1], *values])
    log = parameter.log and low > 0
    if parameter.whole:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _value(axis: BaseDistribution, value: Any) -> Any:
    return word(value) if isinstance(axis, CategoricalDistribution) else value
