"""The next step of a sweep, from its trials alone: settle ended trials, promote, create a trial, or end the sweep.

Pure and deterministic: two processes that see the same trials decide the same, and the store lets one of them write it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lab.formatting import format_duration, plural
from lab.sweeps.halving import end_words, pause_words, promotable, promotion_words, standing_of, standings
from lab.sweeps.records import Source, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec
from lab.sweeps.suggest import is_exhausted

SLOTS = 1  # trials of one sweep that are queued or in training at a time
MAX_RETRIES = 5  # consecutive worker exits without progress, after which a trial fails
ANSWERED = "answered by an existing run"
MAX_FAILURES = 5  # consecutive failed trials, which suggest a common cause


@dataclass(frozen=True, slots=True)
class FoundTrial:
    """The current state of a trial. before: its state when its decision was recorded. reason: its run's reason."""

    trial: TrialRecord
    before: TrialState
    reason: str = ""
    changed: bool = False  # whether it has measurements that are not stored yet


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write. settled: trials with new values or decisions. resumed: those of them to resume.

    new: the number of the trial to create, None for none. paused: why the sweep must wait for the user. finished: why
    it has ended. Both are "" if it continues.
    """

    settled: tuple[TrialRecord, ...] = ()
    resumed: tuple[TrialRecord, ...] = ()
    new: int | None = None
    paused: str = ""
    finished: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return self == Plan()


def settle(spec: SweepSpec, found: Sequence[FoundTrial]) -> tuple[TrialRecord, ...]:
    """Return all trials; those whose state changed since their last decision get a new one."""
    trials = [one.trial for one in found]
    return tuple(_settled(spec, trials, one) for one in found)


def _settled(spec: SweepSpec, trials: Sequence[TrialRecord], one: FoundTrial) -> TrialRecord:
    trial = one.trial
    if (trial.state is one.before and not one.changed) or trial.problem:
        return trial
    words = _words(spec, trials, one)
    return replace(trial, decision=words) if words else trial


def _words(spec: SweepSpec, trials: Sequence[TrialRecord], one: FoundTrial) -> str:
    trial = one.trial
    target = spec.rungs(trial.params)[trial.rung]
    match trial.state:
        case TrialState.PAUSED:
            return pause_words(target, standing_of(spec, trials, trial))
        case TrialState.FINISHED:
            if trial.source is Source.CACHED:
                return ANSWERED
            at_end = replace(trial, rung=len(spec.rungs(trial.params)) - 1)
            epoch = trial.last.epoch if trial.last else target
            return end_words(epoch, standing_of(spec, [at_end if t is trial else t for t in trials], at_end))
        case TrialState.HELD:
            return f"paused on its way to epoch {target}"
        case TrialState.STOPPED:
            return f"stopped by hand on its way to epoch {target}"
        case TrialState.FAILED:
            return f"failed: {one.reason}" if one.reason else "failed"
        case TrialState.QUEUED | TrialState.RUNNING if not one.before.live:
            return "continued by hand to its end"
    return ""


def decide(spec: SweepSpec, found: Sequence[FoundTrial], *, slots: int = SLOTS) -> Plan:
    """Return the next step of a running sweep."""
    trials = list(settle(spec, found))
    resumed: list[TrialRecord] = []
    spent_s = sum(trial.seconds for trial in trials)
    over = spent_s >= spec.seconds
    if over:
        return _written(found, trials, finished=_budget_words(spec, spent_s))
    failed = _failures_in_a_row(found, trials)
    if failed:
        return _written(found, trials, paused=failed)
    for at, trial in enumerate(trials):
        if trial.state is TrialState.INTERRUPTED:
            trials[at] = _retried(spec, trial)
            if trials[at].state.live:
                resumed.append(trials[at])
    closing = is_exhausted(spec, trials)
    while sum(trial.state.live for trial in trials) < slots:
        best = promotable(spec, trials, closing=closing)
        if best is None:
            break
        at = trials.index(best.trial)
        rungs = spec.rungs(best.trial.params)
        words = promotion_words(rungs[best.trial.rung], rungs[best.trial.rung + 1], best)
        trials[at] = replace(
            best.trial, state=TrialState.QUEUED, rung=best.trial.rung + 1, decision=words, retries=0, retried_s=0.0
        )
        resumed.append(trials[at])
    live = sum(trial.state.live for trial in trials)
    if live < slots and not closing:
        return _written(found, trials, resumed, new=1 + max((trial.number for trial in trials), default=0))
    made = "its only trial is complete" if len(trials) == 1 else f"all {plural(len(trials), 'trial')} are complete"
    return _written(found, trials, resumed, finished="" if live else made)


def _written(
    found: Sequence[FoundTrial],
    trials: Sequence[TrialRecord],
    resumed: Sequence[TrialRecord] = (),
    *,
    new: int | None = None,
    paused: str = "",
    finished: str = "",
) -> Plan:
    return Plan(changed_trials(found, trials), tuple(resumed), new, paused, finished)


def changed_trials(found: Sequence[FoundTrial], after: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return the trials whose decision, state or values are not stored yet. after: the trials to be stored."""
    pairs = zip(found, after, strict=True)
    return tuple(
        trial
        for one, trial in pairs
        if (trial != one.trial or one.changed or trial.state is not one.before) and not trial.problem
    )


def _retried(spec: SweepSpec, trial: TrialRecord) -> TrialRecord:
    """Return an interrupted trial as queued again, or as failed after too many retries without progress."""
    retries = 1 if trial.seconds > trial.retried_s else trial.retries + 1
    if retries > MAX_RETRIES:
        words = f"failed: its worker ended {MAX_RETRIES} times without having trained it further"
        return replace(trial, state=TrialState.FAILED, decision=words)
    target = spec.rungs(trial.params)[trial.rung]
    return replace(
        trial,
        state=TrialState.QUEUED,
        retries=retries,
        retried_s=trial.seconds,
        decision=f"continued to epoch {target} after its worker had ended",
    )


def _failures_in_a_row(found: Sequence[FoundTrial], trials: Sequence[TrialRecord]) -> str:
    """Return why a sweep must pause: its newest trials all failed, the last one only now; else ""."""
    made = [one for one in found if one.trial.source is not Source.ADOPTED]
    seen = not made or made[-1].before is TrialState.FAILED  # by the user, who has resumed the sweep since
    return "" if seen else failure_words(trials)


def failure_words(trials: Sequence[TrialRecord]) -> str:
    """Return the reason if the newest trials all failed, else ""."""
    last = [trial for trial in trials if trial.source is not Source.ADOPTED][-MAX_FAILURES:]
    if len(last) < MAX_FAILURES or any(trial.state is not TrialState.FAILED for trial in last):
        return ""
    return f"the last {MAX_FAILURES} trials failed ({last[-1].decision.removeprefix('failed: ')})"


def _budget_words(spec: SweepSpec, spent_s: float) -> str:
    return f"its {format_duration(spec.seconds)} of computing are used up ({format_duration(spent_s)} were used)"


def best_trial(spec: SweepSpec, trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the best of the trials that trained longest: of those at their end, else of those at the highest rung."""
    most = max((len(spec.rungs(trial.params)) for trial in trials), default=0)
    for rung in reversed(range(most)):
        there = standings(spec, trials, rung)
        if there:
            return there[0].trial
    return None
