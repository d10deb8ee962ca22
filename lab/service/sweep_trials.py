"""Creates the next trial of a sweep from suggested settings: an ordinary run, a copy of another trial, or a failure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.errors import DataError, DeviceError, LabError, StoreError
from lab.runs.records import RunRecord
from lab.runs.run_queue import NewRunFacts
from lab.runs.sweep_titles import sweep_title
from lab.runs.sweeps import NewRun, SweepChange
from lab.service.submissions import Submissions
from lab.service.validation import Validation
from lab.sweeps.plan import FoundTrial, failure_words, settle
from lab.sweeps.records import Source, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec
from lab.sweeps.suggest import find_copy, suggest

_TAG = "sweep-"


class NewTrials:
    """Creates trials from a sweep's results so far; writes nothing.

    joined: this machine joined and may lack a data set or a device, so trials that it cannot create are left to others.
    """

    def __init__(self, validation: Validation, submissions: Submissions, *, joined: bool = False) -> None:
        self._validation, self._submissions = validation, submissions
        self._joined = joined

    def add_next(self, change: SweepChange, found: Sequence[FoundTrial], number: int) -> SweepChange:
        """Add the next trial to a change; a trial that cannot be created is recorded as failed."""
        spec, trials = change.record.asked, settle(change.record.asked, found)
        params = suggest(spec, trials, number)
        if params is None:
            return change
        trial = TrialRecord(number=number, run="", params=params, decision=_first_words(spec, params))
        copied = find_copy(trials, params)
        if copied is not None:
            words = f"the same settings as trial {copied.number}"
            copy = replace(trial, run=copied.run, source=Source.CACHED, state=TrialState.COPY, decision=words)
            return replace(change, trials=(*change.trials, copy))
        try:
            return replace(change, new=(trial, self._new_run(change.record, trial)))
        except StoreError:
            raise
        except (DeviceError, DataError) as error:  # no other settings would help
            if self._joined:
                return change
            return replace(change, record=replace(change.record, state=SweepState.PAUSED, reason=str(error)))
        except LabError as error:  # these settings are incompatible; others may not be
            failed = replace(trial, state=TrialState.FAILED, decision=f"failed: {error}")
            reason = failure_words((*trials, failed))
            state = SweepState.PAUSED if reason else change.record.state
            record = replace(change.record, state=state, reason=reason)
            return replace(change, record=record, trials=(*change.trials, failed))

    def _new_run(self, record: SweepRecord, trial: TrialRecord) -> NewRun:
        resolved = self._validation.resolve(record.asked.config(trial.params))
        self._validation.check_fits(resolved)
        fingerprint, family = self._submissions.fingerprint(resolved)
        name = f"{sweep_title(record)} {trial.number}"
        tags = (sweep_tag(record.id),)
        facts: NewRunFacts = {"fingerprint": fingerprint, "family": family, "name": name, "tags": tags}
        facts |= {"owner": record.owner, "priority": record.priority, "executor": record.asked.on}
        return NewRun(resolved.config, facts)


def sweep_tag(sweep: str) -> str:
    """Return the tag of a sweep's runs."""
    return f"{_TAG}{sweep}"


def sweeps_of(run: RunRecord) -> tuple[str, ...]:
    """Return the ids of the sweeps that created a run, from its tags, which users may have removed."""
    return tuple(tag.removeprefix(_TAG) for tag in run.tags if tag.startswith(_TAG))


def _first_words(spec: SweepSpec, params: Mapping[str, Any]) -> str:
    return f"new: trains to epoch {spec.rungs(params)[0]}"
