"""Which trials are promoted and which are paused, with constructed trials: places, ties, ended and diverged trials."""

import math
from dataclasses import replace
from typing import Any

import pytest

from lab.sweeps.halving import (
    end_words,
    measured_at,
    pause_words,
    promotable,
    promotion_words,
    standing_of,
    standings,
)
from lab.sweeps.plan import best_trial
from lab.sweeps.records import Counts, Measured, Source, TrialRecord, TrialState, objective
from lab.sweeps.spec import SweepSpec, read_spec

SPEC: SweepSpec = read_spec(
    {
        "base": {"dataset": "digits", "epochs": 4},
        "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}},
        "method": "random",
        "trials": 8,
        "halving": {"factor": 2, "first_epochs": 1},
    }
)  # rungs after 1, 2 and 4 epochs
PAUSED, FINISHED = TrialState.PAUSED, TrialState.FINISHED


def trial(number: int, *losses: float, state: TrialState = PAUSED, **changes: Any) -> TrialRecord:
    """Return a trial that was measured at as many rungs as it has losses, and is at the last of them."""
    values = tuple(Measured(epoch, loss, 1 - loss) for epoch, loss in zip((1, 2, 4), losses))
    rung = max(0, len(losses) - 1)
    params = {"lr": number / 1000}
    record = TrialRecord(number=number, run=f"r{number}", params=params, rung=rung, values=values, state=state)
    return replace(record, **changes)


def next_promoted(*trials: TrialRecord, spec: SweepSpec = SPEC, closing: bool = False) -> int | None:
    found = promotable(spec, trials, closing=closing)
    return None if found is None else found.trial.number


def test_one_in_factor_of_the_trials_of_a_rung_is_promoted_best_first() -> None:
    assert next_promoted(trial(1, 0.5)) is None
    assert next_promoted(trial(1, 0.5), trial(2, 0.4)) == 2
    assert next_promoted(trial(1, 0.5), trial(2, 0.4), trial(3, 0.6)) == 2
    promoted = trial(2, 0.4, 0.3)
    assert next_promoted(trial(1, 0.5), promoted, trial(3, 0.6)) is None
    assert next_promoted(trial(1, 0.5), promoted, trial(3, 0.6), trial(4, 0.7)) == 1


def test_trials_of_the_highest_rung_are_promoted_first() -> None:
    below = (trial(3, 0.1), trial(4, 0.2))
    assert next_promoted(trial(1, 0.4, 0.35), trial(2, 0.45, 0.34), *below) == 2
    assert next_promoted(trial(1, 0.4, 0.35), *below) == 3


def test_a_trial_that_is_on_its_way_to_the_next_rung_is_not_promoted_again() -> None:
    queued = trial(2, 0.4, state=TrialState.QUEUED, rung=1)
    assert next_promoted(trial(1, 0.5), queued) is None
    paused_above = trial(2, 0.4, state=PAUSED, rung=1)  # on its way to the second rung, not measured there
    assert next_promoted(trial(1, 0.5), paused_above) is None


def test_once_no_more_trials_follow_the_best_is_promoted_whatever_the_factor() -> None:
    assert next_promoted(trial(1, 0.5), closing=True) == 1
    assert next_promoted(trial(1, 0.5), trial(2, 0.4), trial(3, 0.6), closing=True) == 2
    assert next_promoted(trial(2, 0.4, 0.3, 0.2, state=FINISHED), trial(1, 0.5), closing=True) is None
    assert next_promoted(trial(2, 0.4, 0.3), trial(1, 0.5), closing=True) == 2


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.STOPPED])
def test_failed_stopped_and_diverged_trials_take_no_place(state: TrialState) -> None:
    ended = trial(1, 0.1, state=state)
    assert next_promoted(ended, trial(2, 0.4)) == 2
    assert next_promoted(trial(1, math.nan), trial(2, 0.4)) == 2
    assert next_promoted(trial(1, math.inf), trial(2, math.nan)) is None
    diverged_later = trial(1, 0.1, math.inf)  # was the best of the first rung
    assert next_promoted(diverged_later, trial(2, 0.4)) == 2


def test_without_halving_no_trial_is_promoted() -> None:
    whole = replace(SPEC, halving=None)
    assert next_promoted(trial(1, 0.5), trial(2, 0.4), spec=whole, closing=True) is None


def test_places_are_counted_from_one_with_ties_in_order_of_number_and_without_copies() -> None:
    trials = (trial(3, 0.4), trial(1, 0.4), trial(2, 0.3), trial(4, 0.1, state=TrialState.COPY), trial(5))
    found = standings(SPEC, trials, 0)
    assert [(one.trial.number, one.place, one.of) for one in found] == [(2, 1, 3), (1, 2, 3), (3, 3, 3)]
    own = standing_of(SPEC, trials, trials[0])
    assert own is not None
    assert (own.place, own.words) == (3, "3rd of 3 at that time")
    assert standing_of(SPEC, trials, trials[4]) is None


def test_a_trial_that_stopped_early_has_its_last_value_at_its_last_rung() -> None:
    early = trial(1, 0.5, state=FINISHED, values=(Measured(1, 0.5, 0.5), Measured(3, 0.2, 0.8)))
    assert measured_at(SPEC, early, 2) == Measured(3, 0.2, 0.8)
    assert measured_at(SPEC, replace(early, state=PAUSED), 2) is None
    assert measured_at(SPEC, early, 0) == Measured(1, 0.5, 0.5)
    assert measured_at(SPEC, early, 1) is None
    assert measured_at(SPEC, early, 3) is None


def test_the_best_trial_is_among_those_at_the_highest_rung() -> None:
    assert best_trial(SPEC, ()) is None
    assert best_trial(SPEC, (trial(1),)) is None
    low = (trial(1, 0.1), trial(2, 0.2))
    assert best_trial(SPEC, low) == low[0]
    further = trial(3, 0.5, 0.4)
    assert best_trial(SPEC, (*low, further)) == further
    ended = trial(4, 0.9, 0.8, 0.7, state=FINISHED)
    assert best_trial(SPEC, (*low, further, ended)) == ended


def test_trials_are_compared_by_loss_or_by_error_rate_and_diverged_ones_are_infinitely_bad() -> None:
    assert objective(SPEC, Measured(1, 0.4, 0.9)) == 0.4
    by_accuracy = read_spec(
        {"base": {"dataset": "digits"}, "space": {"label_smoothing": {"values": [0.0, 0.1]}}, "trials": 2}
    )
    assert objective(by_accuracy, Measured(1, 0.4, 0.75)) == 0.25
    for spec in (SPEC, by_accuracy):
        assert objective(spec, Measured(1, math.nan, 0.9)) == math.inf
        assert objective(spec, Measured(1, math.inf, 0.9)) == math.inf
    assert objective(by_accuracy, Measured(1, 0.4, math.nan)) == math.inf


def test_the_last_measurement_is_that_of_the_latest_epoch_in_any_order() -> None:
    mixed = trial(1, values=(Measured(4, 0.2, 0.8), Measured(1, 0.5, 0.5)))
    assert mixed.last == Measured(4, 0.2, 0.8)
    assert mixed.at(1) == Measured(1, 0.5, 0.5)
    assert mixed.at(2) is None
    assert trial(1).last is None


def test_every_trial_but_a_copy_is_counted_once() -> None:
    states = [*TrialState, TrialState.FINISHED]
    trials = [trial(number, state=state) for number, state in enumerate(states, start=1)]
    trials[0] = replace(trials[0], source=Source.CACHED)
    assert Counts.of(trials) == Counts(finished=2, paused=2, failed=2, running=1, queued=2, cached=1)


def test_decisions_state_epoch_and_place() -> None:
    (standing, *_) = standings(SPEC, (trial(1, 0.5), trial(2, 0.4)), 0)
    assert pause_words(2, standing) == "paused after epoch 2: 1st of 2 at that time"
    assert pause_words(2, None) == "paused after epoch 2"
    assert promotion_words(1, 4, standing) == "promoted after epoch 1 to epoch 4: 1st of 2 at that time"
    assert end_words(1, standing) == "finished after 1 epoch: 1st of 2 at that time"
    assert end_words(4, None) == "finished after 4 epochs"
