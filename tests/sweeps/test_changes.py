"""What is written when a sweep continues, and which old runs it can adopt, with constructed trials and runs."""

from dataclasses import replace
from pathlib import Path

from lab.runs.imports import IMPORTED
from lab.runs.records import RunState
from lab.runs.run_facts import RunProgress
from lab.service.sweep_changes import going_on, live_runs, running_again
from lab.service.sweep_history import _history, _misfit
from lab.service.sweep_trials import sweep_tag, sweeps_of
from lab.sweeps.plan import changed_trials
from lab.sweeps.records import Source, SweepRecord, SweepState, TrialState
from tests.charts.charts_data import run
from tests.sweeps.test_halving import FINISHED, PAUSED, SPEC, trial
from tests.sweeps.test_plan import found
from tests.worker.worker_runs import open_lab

QUEUED, RUNNING, HELD, STOPPED = TrialState.QUEUED, TrialState.RUNNING, TrialState.HELD, TrialState.STOPPED
INTERRUPTED, FAILED = TrialState.INTERRUPTED, TrialState.FAILED
RECORD = SweepRecord(id="s", number=1, name="s", spec=SPEC, state=SweepState.PAUSED, reason="a test")


def test_trials_that_have_ended_or_were_measured_since_are_written_and_damaged_ones_never() -> None:
    every = [
        found(trial(1, 0.5), QUEUED),
        found(trial(2, 0.5)),
        found(trial(3, 0.5), changed=True),
        found(trial(4, state=FAILED, problem="damaged"), RUNNING),
    ]
    assert [one.number for one in changed_trials(every, [one.trial for one in every])] == [1, 3]


def test_resuming_a_sweep_resumes_the_trials_that_had_not_reached_their_rung() -> None:
    every = [
        found(trial(1, 0.5, 0.4, 0.3, state=FINISHED, rung=2)),
        found(trial(2, 0.5)),
        found(trial(3, 0.5, rung=1, state=HELD)),
        found(trial(4, state=STOPPED)),
        found(trial(5, 0.5, 0.4, rung=2, state=INTERRUPTED)),
        found(trial(6, state=RUNNING)),
        found(trial(7, state=QUEUED)),
        found(trial(8, state=FAILED), RUNNING),
    ]
    change = running_again(RECORD, every)
    assert (change.record.state, change.record.reason) == (SweepState.RUNNING, "")
    assert [one.number for one in change.resumed] == [3, 4, 5, 6, 7]
    assert {one.number: (one.state, one.decision) for one in change.trials} == {
        3: (QUEUED, "continues to epoch 2"),
        4: (QUEUED, "continues to epoch 1"),
        5: (QUEUED, "continues to epoch 4"),
        8: (FAILED, "failed"),
    }
    assert live_runs(every) == (every[5].trial.run, every[6].trial.run)
    held = going_on(RECORD, every, (HELD,))
    assert (held.record, [one.number for one in held.resumed]) == (RECORD, [3])
    assert going_on(RECORD, every, ()).resumed == ()


def test_an_adopted_run_is_at_the_highest_rung_it_was_measured_at_and_costs_nothing() -> None:
    ended = replace(run(1, seconds=90.0), progress=RunProgress(epoch=4))
    whole = _history(SPEC, trial(3, 0.5, 0.4, 0.3), ended)
    assert (whole.state, whole.rung, whole.source) == (FINISHED, 2, Source.ADOPTED)
    assert (whole.free_s, whole.free_epochs) == (90.0, 4)
    part = _history(
        SPEC, trial(3, 0.5, 0.4), replace(run(1, state=RunState.STOPPED, seconds=5.0), progress=RunProgress())
    )
    assert (part.state, part.rung, part.free_s, part.free_epochs) == (PAUSED, 1, 5.0, 2)
    assert _history(SPEC, trial(3, 0.5), run(1, state=RunState.PAUSED)).rung == 0


def test_an_old_run_can_be_adopted_if_it_differs_only_in_what_the_space_varies(tmp_path: Path) -> None:
    validation = open_lab(tmp_path).validation
    base = validation.resolve(SPEC.base).config
    fits = replace(run(1), config=base.replace(lr=0.01))
    other = {"epochs": base.epochs + 1, "seed": base.seed + 1, "batch_size": 7, "weight_decay": 0.5}
    for old, reason in (
        (fits, ""),
        (replace(fits, state=RunState.STOPPED), ""),
        (replace(fits, state=RunState.RUNNING), "it is running"),
        (replace(fits, state=RunState.QUEUED), "it is queued"),
        (replace(fits, origin=IMPORTED), ""),
        (replace(fits, origin=IMPORTED, state=RunState.STOPPED), "it was imported before it had finished"),
        (replace(fits, config=fits.config.replace(dataset="mnist")), "it was trained on another data set"),
        (replace(fits, config=fits.config.replace(lr=50.0)), "its settings are outside the space"),
        (replace(fits, config=fits.config.replace(epochs=base.epochs + 1)), "it differs from the base in epochs"),
        (replace(fits, config=fits.config.replace(device="cpu", keep_mb=1)), ""),
    ):
        assert _misfit(validation, SPEC, base, old) == reason
    message = _misfit(validation, SPEC, base, replace(fits, config=fits.config.replace(**other)))
    assert message.startswith("it differs from the base in ")
    assert len(message.removeprefix("it differs from the base in ").split(", ")) == 3


def test_the_sweeps_of_a_run_are_read_from_its_tags() -> None:
    assert sweeps_of(replace(run(1), tags=("mine", sweep_tag("ab12"), "sweeping", "sweep-cd34"))) == ("ab12", "cd34")
    assert sweeps_of(run(1)) == ()
