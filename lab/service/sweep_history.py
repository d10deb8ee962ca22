"""Old runs as the history of a sweep: which of them fit, and at which rung they are."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.config import RunConfig
from lab.errors import LabError, SweepStateError
from lab.runs.imports import IMPORTED
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore
from lab.service.validation import Validation
from lab.sweeps.records import Source, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec


def find_history(
    store: RunStore,
    validation: Validation,
    spec: SweepSpec,
    trials: Sequence[TrialRecord],
    runs: Iterable[RunRecord] | None,
) -> tuple[TrialRecord, ...]:
    """Return old runs, given ones or all that fit, as trials. Raises `SweepStateError` if a given one does not fit."""
    known = {trial.run for trial in trials}
    base = validation.resolve(spec.base).config
    given = None if runs is None else tuple(runs)
    candidates = store.runs.list(order="number", limit=None) if given is None else given
    chosen: list[tuple[TrialRecord, RunRecord]] = []
    number = max((trial.number for trial in trials), default=0)
    for run in candidates:
        problem = "it is already a trial of this sweep" if run.id in known else _misfit(validation, spec, base, run)
        if problem and given is not None:
            raise SweepStateError(f"Run {run.id} cannot be adopted: {problem}.")
        if not problem:
            chosen.append((TrialRecord(number=0, run=run.id, params=spec.space.of_config(run.config)), run))
    values = store.sweeps.measure(spec, [trial for trial, _ in chosen])
    adopted = []
    for trial, run in chosen:
        measured = values.get(run.id, ())
        if not measured and given is not None:
            raise SweepStateError(f"Run {run.id} cannot be adopted: it has not reached a rung.")
        if not measured:
            continue
        number += 1
        adopted.append(_history(spec, replace(trial, number=number, values=measured), run))
    return tuple(adopted)


def _misfit(validation: Validation, spec: SweepSpec, base: RunConfig, run: RunRecord) -> str:
    """Return why a run does not fit the history of a sweep, or "" if it does."""
    if run.state.live:
        return f"it is {run.state.value}"
    if run.origin == IMPORTED and run.state is not RunState.FINISHED:
        return "it was imported before it had finished"
    if run.config.dataset != base.dataset:  # in a large store this rules out most runs
        return "it was trained on another data set"
    params = spec.space.of_config(run.config)
    if not spec.space.contains(params):
        return "its settings are outside the space"
    try:
        asked = validation.resolve(base.replace(**params)).config
    except LabError as error:
        return str(error)
    differing = [
        name
        for name, field in asked.specs().items()
        if field.result and getattr(asked, name) != getattr(run.config, name)
    ]
    return f"it differs from the base in {', '.join(differing[:3])}" if differing else ""


def _history(spec: SweepSpec, trial: TrialRecord, run: RunRecord) -> TrialRecord:
    """Return an adopted run at the highest rung at which it has measurements."""
    rungs = spec.rungs(trial.params)
    reached = [at for at, epoch in enumerate(rungs) if trial.at(epoch) is not None]
    state = TrialState.FINISHED if run.state is RunState.FINISHED else TrialState.PAUSED
    return replace(
        trial,
        rung=len(rungs) - 1 if state is TrialState.FINISHED else max(reached, default=0),
        state=state,
        source=Source.ADOPTED,
        decision="an earlier run",
        free_s=run.seconds,
        free_epochs=run.progress.epoch or (trial.last.epoch if trial.last else 0),
    )
