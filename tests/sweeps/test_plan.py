"""What a sweep does next, with constructed trials: budgets, retries, failures, slots, and the text of each decision."""

import math
from dataclasses import replace
from typing import Any

import pytest

from lab.sweeps.plan import MAX_FAILURES, MAX_RETRIES, FoundTrial, Plan, decide, failure_words, settle
from lab.sweeps.records import Measured, Source, TrialRecord, TrialState
from lab.sweeps.spec import read_spec
from lab.sweeps.suggest import count_made, find_copy, is_exhausted
from tests.sweeps.test_halving import FINISHED, PAUSED, SPEC, trial

QUEUED, RUNNING, FAILED = TrialState.QUEUED, TrialState.RUNNING, TrialState.FAILED


def found(record: TrialRecord, before: TrialState | None = None, **changes: Any) -> FoundTrial:
    """Return a trial as it is now. before: its stored state, by default the same."""
    return FoundTrial(record, before or record.state, **changes)


def test_a_trial_is_created_if_none_is_live() -> None:
    assert decide(SPEC, ()) == Plan(new=1)
    assert decide(SPEC, [found(trial(7, 0.5))]) == Plan(new=8)
    for state in (QUEUED, RUNNING):
        assert decide(SPEC, [found(trial(1, state=state))]).empty
    assert not Plan(new=1).empty


def test_a_better_trial_is_promoted_before_a_new_one_is_created_and_its_retries_are_reset() -> None:
    best = trial(2, 0.4, retries=3, retried_s=9.0)
    plan = decide(SPEC, [found(trial(1, 0.5)), found(best)])
    (promoted,) = plan.resumed
    assert plan.settled == (promoted,)
    assert (plan.new, plan.paused, plan.finished) == (None, "", "")
    assert (promoted.number, promoted.state, promoted.rung) == (2, QUEUED, 1)
    assert (promoted.retries, promoted.retried_s) == (0, 0.0)
    assert promoted.decision == "promoted after epoch 1 to epoch 2: 1st of 2 at that time"


def test_free_slots_are_filled_by_promotions_and_then_by_one_new_trial() -> None:
    four = [found(trial(number, number / 10)) for number in (1, 2, 3, 4)]
    assert [one.number for one in decide(SPEC, four, slots=1).resumed] == [1]
    two = decide(SPEC, four, slots=2)
    assert ([one.number for one in two.resumed], two.new) == ([1, 2], None)
    three = decide(SPEC, four, slots=3)
    assert ([one.number for one in three.resumed], three.new) == ([1, 2], 5)
    live = [*four, found(trial(5, state=RUNNING))]
    assert [one.number for one in decide(SPEC, live, slots=2).resumed] == [1]


def test_a_sweep_finishes_when_all_trials_were_created_and_none_is_left_to_promote() -> None:
    two = replace(SPEC, trials=2)
    ended, worse = trial(1, 0.1, 0.1, 0.1, state=FINISHED), trial(2, 0.5)
    assert decide(two, [found(ended), found(worse)]) == Plan(finished="all 2 trials are complete")
    assert decide(two, [found(trial(1, 0.1, 0.1, state=RUNNING, rung=2)), found(worse)]).empty
    assert decide(two, [found(ended)]).new == 2
    one = replace(SPEC, trials=1)
    assert decide(one, [found(ended)]).finished == "its only trial is complete"


def test_a_sweep_finishes_at_the_last_second_of_its_budget_and_still_writes_ended_trials() -> None:
    minute = replace(SPEC, minutes=1.0)
    below = [found(trial(1, 0.5, seconds=30.0)), found(trial(2, 0.6, seconds=29.9, rung=0))]
    assert decide(minute, below).resumed
    held = trial(2, state=TrialState.HELD, seconds=30.0)
    plan = decide(minute, [found(trial(1, 0.5, seconds=30.0)), found(held, RUNNING)])
    assert plan.finished == "its 1 min of computing are used up (1 min were used)"
    assert [(one.number, one.decision) for one in plan.settled] == [(2, "paused on its way to epoch 1")]
    assert (plan.resumed, plan.new) == ((), None)


def test_a_trial_whose_worker_has_exited_is_retried_until_too_many_retries_gain_nothing() -> None:
    lost = trial(1, state=TrialState.INTERRUPTED, seconds=5.0)
    (again,) = decide(SPEC, [found(lost, RUNNING)]).resumed
    assert (again.state, again.retries, again.retried_s) == (QUEUED, 1, 5.0)
    assert again.decision == "continued to epoch 1 after its worker had ended"
    for retries in range(1, MAX_RETRIES):
        (again,) = decide(SPEC, [found(replace(lost, retries=retries, retried_s=5.0), QUEUED)]).resumed
        assert again.retries == retries + 1
    (further,) = decide(SPEC, [found(replace(lost, retries=MAX_RETRIES, retried_s=4.9), QUEUED)]).resumed
    assert further.retries == 1
    plan = decide(SPEC, [found(replace(lost, retries=MAX_RETRIES, retried_s=5.0), QUEUED)])
    assert (plan.resumed, plan.new) == ((), 2)
    assert [(one.state, one.decision) for one in plan.settled] == [
        (FAILED, "failed: its worker ended 5 times without having trained it further")
    ]


def _failures(count: int, *, just_now: bool = True, adopted: bool = False) -> list[FoundTrial]:
    words, source = "failed: no such device", Source.ADOPTED if adopted else Source.SUGGESTED
    ended = [trial(at, state=FAILED, decision=words, source=source) for at in range(1, count + 1)]
    trials = [found(one) for one in ended]
    trials[-1] = found(ended[-1], RUNNING if just_now else FAILED, reason="no such device")
    return trials


def test_five_failures_in_a_row_pause_the_sweep_once() -> None:
    assert decide(SPEC, _failures(MAX_FAILURES - 1)).new == MAX_FAILURES
    paused = decide(SPEC, _failures(MAX_FAILURES))
    assert (paused.paused, paused.new) == ("the last 5 trials failed (no such device)", None)
    assert decide(SPEC, _failures(MAX_FAILURES, just_now=False)).new == MAX_FAILURES + 1
    assert decide(SPEC, _failures(MAX_FAILURES, adopted=True)).paused == ""
    one_good = [found(trial(1, 0.5)), *_failures(MAX_FAILURES)[1:]]
    assert decide(SPEC, one_good).paused == ""
    assert failure_words([one.trial for one in _failures(MAX_FAILURES)][1:]) == ""


@pytest.mark.parametrize(
    ("record", "before", "reason", "words"),
    [
        (trial(1, 0.5), QUEUED, "", "paused after epoch 1: 1st of 2 at that time"),
        (trial(1, 0.5, 0.4), QUEUED, "", "paused after epoch 2: 1st of 1 at that time"),
        (trial(1, 0.5, 0.4, 0.3, state=FINISHED), RUNNING, "", "finished after 4 epochs: 1st of 1 at that time"),
        (
            trial(1, state=FINISHED, values=(Measured(3, 0.2, 0.8),)),
            RUNNING,
            "",
            "finished after 3 epochs: 1st of 1 at that time",
        ),
        (trial(1, 0.5, state=FINISHED, source=Source.CACHED), QUEUED, "", "answered by an existing run"),
        (trial(1, 0.5, state=TrialState.HELD, rung=1), RUNNING, "", "paused on its way to epoch 2"),
        (trial(1, 0.5, state=TrialState.STOPPED, rung=2), RUNNING, "", "stopped by hand on its way to epoch 4"),
        (trial(1, state=FAILED), RUNNING, "out of memory", "failed: out of memory"),
        (trial(1, state=FAILED), RUNNING, "", "failed"),
        (trial(1, state=RUNNING), PAUSED, "", "continued by hand to its end"),
        (trial(1, state=RUNNING, decision="new"), QUEUED, "", "new"),
        (trial(1, state=FAILED, decision="as written"), FAILED, "another", "as written"),
    ],
)
def test_a_trial_whose_state_has_changed_is_written_with_the_reason(
    record: TrialRecord, before: TrialState, reason: str, words: str
) -> None:
    settled = settle(SPEC, [found(record, before, reason=reason), found(trial(2, 0.9))])
    assert [one.decision for one in settled] == [words, ""]


def test_a_trial_measured_meanwhile_is_written_although_its_state_is_the_same() -> None:
    measured = trial(1, 0.5)
    plan = decide(replace(SPEC, trials=1), [found(measured, PAUSED, changed=True), found(trial(2, state=QUEUED))])
    assert [(one.number, one.decision) for one in plan.settled] == [(1, "paused after epoch 1: 1st of 1 at that time")]


def test_a_damaged_trial_is_never_written() -> None:
    damaged = trial(1, state=FAILED, problem="damaged", decision="damaged")
    assert decide(SPEC, [found(damaged, RUNNING, changed=True), found(trial(2, state=QUEUED))]).settled == ()


def test_adopted_trials_do_not_count_towards_the_limit_and_a_grid_ends_with_its_size() -> None:
    adopted = trial(1, 0.5, source=Source.ADOPTED)
    assert count_made((adopted, trial(2), trial(3, source=Source.CACHED))) == 2
    two = replace(SPEC, trials=2)
    assert not is_exhausted(two, (adopted, trial(2)))
    assert is_exhausted(two, (adopted, trial(2), trial(3)))
    assert not is_exhausted(replace(SPEC, trials=None, minutes=1.0), tuple(map(trial, range(1, 99))))
    grid = read_spec(
        {"base": {"dataset": "digits"}, "space": {"batch_size": {"values": [8, 16]}}, "method": "grid", "trials": None}
    )
    first, second = (trial(at, params={"batch_size": size}) for at, size in ((1, 8), (2, 16)))
    assert not is_exhausted(grid, (first,))
    assert is_exhausted(grid, (first, second))
    assert is_exhausted(replace(grid, trials=1), (first,))


def test_a_copy_refers_to_the_first_trial_with_the_same_settings_that_has_a_run() -> None:
    trials = (trial(1, run="", params={"lr": 0.1}), trial(2, params={"lr": 0.1}), trial(3, params={"lr": 0.1}))
    copied = find_copy(trials, {"lr": 0.1})
    assert copied is not None
    assert copied.number == 2
    assert find_copy(trials, {"lr": 0.2}) is None


def test_settings_are_equal_in_any_order() -> None:
    one = trial(1, params={"batch_size": 32, "lr": 0.1})
    assert find_copy([one], {"lr": 0.1, "batch_size": 32}) is one
    assert find_copy([one], {"lr": 0.1, "batch_size": 64}) is None


def test_minutes_are_converted_to_seconds_and_no_limit_is_infinite() -> None:
    assert replace(SPEC, minutes=1.5).seconds == 90.0
    assert SPEC.seconds == math.inf
    assert [SPEC.pause_epoch({}, rung) for rung in (0, 1, 2)] == [1, 2, None]
    assert replace(SPEC, halving=None).pause_epoch({}, 0) is None
    assert replace(SPEC, halving=None).rungs({"epochs": 9}) == (9,)
