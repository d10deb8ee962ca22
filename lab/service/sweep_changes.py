"""The changes that resume, halt or repair a sweep, computed from what was read; they write nothing themselves."""

from collections.abc import Sequence
from dataclasses import replace

from lab.errors import RunNotFoundError, UnreadableRunError
from lab.runs.store import RunStore
from lab.runs.sweeps import SweepChange
from lab.sweeps.plan import FoundTrial, changed_trials, settle
from lab.sweeps.records import RESTING, SweepRecord, SweepState, TrialState


def running_again(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange:
    """Return the change that resumes a sweep and its trials that were stopped before their rung."""
    change = going_on(replace(record, state=SweepState.RUNNING, reason=""), found, RESTING)
    live = [one.trial for one in found if one.trial.state.live]  # a pause that is still pending is withdrawn
    return replace(change, resumed=(*change.resumed, *live))


def going_on(record: SweepRecord, found: Sequence[FoundTrial], states: Sequence[TrialState]) -> SweepChange:
    """Return the change that writes a sweep and resumes its trials in the given states."""
    spec = record.asked
    settled = settle(spec, found)
    going = {
        trial.number: replace(
            trial, state=TrialState.QUEUED, decision=f"continues to epoch {spec.rungs(trial.params)[trial.rung]}"
        )
        for trial in settled
        if trial.state in states
    }
    others = [trial for trial in changed_trials(found, settled) if trial.number not in going]
    return SweepChange(record=record, trials=(*others, *going.values()), resumed=tuple(going.values()))


def live_runs(found: Sequence[FoundTrial]) -> tuple[str, ...]:
    """Return the runs to pause because their sweep ends."""
    return tuple(one.trial.run for one in found if one.trial.state.live)


def without_unreadable(store: RunStore, change: SweepChange) -> SweepChange:
    """Return the change with the trials whose runs are damaged marked as failed instead of resumed."""
    damaged: dict[str, str] = {}
    for trial in change.resumed:
        try:
            store.runs.get(trial.run)
        except UnreadableRunError as error:
            damaged[trial.run] = str(error)
        except RunNotFoundError:
            continue
    trials = [
        replace(trial, state=TrialState.FAILED, decision=f"failed: {damaged[trial.run]}")
        if trial.run in damaged
        else trial
        for trial in change.trials
    ]
    resumed = [trial for trial in change.resumed if trial.run not in damaged]
    return replace(change, trials=trials, resumed=resumed)
