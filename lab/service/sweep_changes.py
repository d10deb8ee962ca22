"""What is written when a sweep goes on, is halted or has lost a run: the changes, made from what was read, without a store of their own."""

from collections.abc import Sequence
from dataclasses import replace

from lab.errors import RunNotFoundError, UnreadableRunError
from lab.runs.store import RunStore
from lab.runs.sweeps import SweepChange
from lab.sweeps.plan import FoundTrial, changed_trials, settle
from lab.sweeps.records import RESTING, SweepRecord, SweepState, TrialState


def running_again(record: SweepRecord, found: Sequence[FoundTrial]) -> SweepChange:
    """Return the change that lets a sweep run again, with the trials that were on their way."""
    change = going_on(replace(record, state=SweepState.RUNNING, reason=""), found, RESTING)
    live = [one.trial for one in found if one.trial.state.live]  # a pause that is not obeyed yet is taken back
    return replace(change, resumed=(*change.resumed, *live))


def going_on(record: SweepRecord, found: Sequence[FoundTrial], states: Sequence[TrialState]) -> SweepChange:
    """Return the change that writes a sweep and lets its trials in some states go on."""
    spec = record.asked
    settled = settle(spec, found)
    going = {
        trial.number: replace(
            trial, state=TrialState.QUEUED, decision=f"goes on to epoch {spec.rungs(trial.params)[trial.rung]}"
        )
        for trial in settled
        if trial.state in states
    }
    others = [trial for trial in changed_trials(found, settled) if trial.number not in going]
    return SweepChange(record=record, trials=(*others, *going.values()), resumed=tuple(going.values()))


def live_runs(found: Sequence[FoundTrial]) -> tuple[str, ...]:
    """Return the runs that are to pause because their sweep ends."""
    return tuple(one.trial.run for one in found if one.trial.state.live)


def without_unreadable(store: RunStore, change: SweepChange) -> SweepChange:
    """Return a change in which trials whose runs are damaged have failed instead of going on."""
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
