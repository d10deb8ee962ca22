"""Asynchronous successive halving with pausing and promotion (Li et al. 2020, algorithm 2): pure decisions.

A trial is paused once it is measured at its rung. A free slot promotes a trial among the best 1/factor of its rung,
starting with the highest rung, and gets a new trial if there is none to promote. Once no new trials will be created,
the best trial of every rung is promoted regardless of the factor, so that at least one trial reaches its end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.formatting import ordinal, plural
from lab.sweeps.records import Measured, TrialRecord, TrialState, objective
from lab.sweeps.spec import SweepSpec


@dataclass(frozen=True, slots=True)
class Standing:
    """A trial's rank (from 1) among all trials measured at a rung, and their number."""

    trial: TrialRecord
    place: int
    of: int

    @property
    def words(self) -> str:
        """The rank as text, such as "14th of 16 at that time", because more trials may be measured there later."""
        return f"{ordinal(self.place)} of {self.of} at that time"


def measured_at(spec: SweepSpec, trial: TrialRecord, rung: int) -> Measured | None:
    """Return a trial's measurement at a rung; at the last rung that of its end, even if it stopped early."""
    rungs = spec.rungs(trial.params)
    if rung >= len(rungs):
        return None
    if rung == len(rungs) - 1 and trial.state is TrialState.FINISHED:
        return trial.last
    return trial.at(rungs[rung])


def standings(spec: SweepSpec, trials: Sequence[TrialRecord], rung: int) -> tuple[Standing, ...]:
    """Return the trials that were measured at a rung, best first; equal ones in the order of their numbers."""
    there = [
        (objective(spec, measured), trial.number, trial)
        for trial in trials
        if trial.state is not TrialState.COPY and (measured := measured_at(spec, trial, rung)) is not None
    ]
    ordered = sorted(there, key=lambda entry: entry[:2])
    return tuple(Standing(trial, place, len(ordered)) for place, (_, _, trial) in enumerate(ordered, start=1))


def standing_of(spec: SweepSpec, trials: Sequence[TrialRecord], trial: TrialRecord) -> Standing | None:
    """Return a trial's standing at its own rung, or None if it was not measured there."""
    return next((one for one in standings(spec, trials, trial.rung) if one.trial.number == trial.number), None)


def promotable(spec: SweepSpec, trials: Sequence[TrialRecord], *, closing: bool) -> Standing | None:
    """Return the paused trial to promote next, or None if there is none.

    closing: no new trials will be created.
    """
    if spec.halving is None:
        return None
    rungs = spec.rungs({})
    for rung in reversed(range(len(rungs) - 1)):
        there = standings(spec, trials, rung)
        best = max(len(there) // spec.halving.factor, int(closing))
        for one in [one for one in there if _can_go_on(spec, one.trial)][:best]:
            if one.trial.state is TrialState.PAUSED and one.trial.rung == rung:
                return one
    return None


def _can_go_on(spec: SweepSpec, trial: TrialRecord) -> bool:
    """Return whether a trial can be promoted: not if it failed, was stopped by hand or diverged."""
    ended = trial.state in (TrialState.FAILED, TrialState.STOPPED)
    return not ended and objective(spec, trial.values[-1]) < math.inf


def pause_words(epoch: int, standing: Standing | None) -> str:
    """Return the decision on a trial paused at its rung, such as "paused after epoch 2: 14th of 16 at that time"."""
    return f"paused after epoch {epoch}" + (f": {standing.words}" if standing else "")


def promotion_words(epoch: int, until: int, standing: Standing) -> str:
    """Return the decision on a promoted trial, such as "promoted after epoch 1 to epoch 4: 1st of 4 at that time"."""
    return f"promoted after epoch {epoch} to epoch {until}: {standing.words}"


def end_words(epoch: int, standing: Standing | None) -> str:
    """Return the decision on a trial that has reached its end."""
    return f"finished after {plural(epoch, 'epoch')}" + (f": {standing.words}" if standing else "")
