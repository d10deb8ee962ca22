"""Whole sweeps, trained: which trials pause, which continue, what the store contains, and what interrupts them."""

import time
from pathlib import Path

import numpy as np
import pytest

from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sweeps.records import Source, SweepState, TrialState
from tests.sweeps.sweep_runs import BASE, run_sweep, small_spec, work_once, work_until_idle


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


def test_a_sweep_of_eight_trials_pauses_promotes_and_finishes_with_its_best_trial(lab: Lab) -> None:
    view = run_sweep(lab, small_spec())
    assert view.sweep.state is SweepState.FINISHED
    assert [trial.number for trial in view.trials] == list(range(1, 9))
    assert (view.counts.finished + view.counts.paused, view.counts.failed) == (8, 0)
    assert view.counts.finished >= 1
    # Each trial was trained to its rung and no further, as its run shows.
    for trial in view.trials:
        run = lab.store.runs.get(trial.run)
        epochs = view.sweep.asked.rungs(trial.params)[trial.rung]
        assert run.summary.final_epoch == epochs
        assert run.state is (RunState.FINISHED if epochs == 4 else RunState.PAUSED)
        if run.state is RunState.PAUSED:
            assert run.reason == f"P{trial.decision[1:]}, in the sweep small."
        assert [value.epoch for value in trial.values] == [e for e in (1, 2, 4) if e <= epochs]
        curve = lab.store.points.read(trial.run)["val/loss"]
        assert trial.values[-1].val_loss == curve.value[-1]
        assert (trial.params["lr"], run.config.lr) == (run.config.lr, trial.params["lr"])
    assert view.epochs == sum(view.sweep.asked.rungs(t.params)[t.rung] for t in view.trials) < 8 * 4
    # The best trials of each rung were promoted, and the decisions state the place of a trial.
    first = sorted(view.trials, key=lambda trial: trial.values[0].val_loss)
    assert first[0].rung >= 1
    paused = [trial for trial in view.trials if trial.state is TrialState.PAUSED]
    assert all(trial.decision.startswith(f"paused after epoch {trial.values[-1].epoch}: ") for trial in paused)
    assert view.best is not None
    assert view.best.measured.val_loss == min(
        t.values[-1].val_loss for t in view.trials if t.state is TrialState.FINISHED
    )
    assert view.best.test_accuracy is not None


def test_a_trial_in_training_has_the_word_of_its_run(lab: Lab) -> None:
    view = lab.sweeps.create(small_spec(trials=1))
    before = RunStore.open(lab.settings.database, clock=lambda: time.time() - 20)  # its lease has expired since
    run = before.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None

    def said() -> tuple[TrialState, str, str, int]:
        seen = lab.sweeps.show(view.sweep.id)
        [trial] = seen.trials
        assert trial.responding == (seen.counts.silent == 0)
        return trial.state, trial.status, lab.store.runs.get(run.id).status, seen.counts.silent

    assert said() == (TrialState.RUNNING, "not responding", "not responding", 1)
    lab.store.leases.heartbeat(run.id, run.lease)
    assert said() == (TrialState.RUNNING, "running", "running", 0)
    lab.store.leases.request(run.id, RunRequest.PAUSE)
    assert said() == (TrialState.RUNNING, "pausing", "pausing", 0)
    lab.store.leases.request(run.id, RunRequest.STOP)
    assert said() == (TrialState.RUNNING, "stopping", "stopping", 0)
    lab.store.leases.finish(run.id, run.lease, state=RunState.PAUSED, fulfils=RunRequest.STOP)
    assert said()[:2] == (TrialState.HELD, "held")


@pytest.mark.long
def test_a_promoted_trial_is_bit_identical_to_one_that_was_never_paused(lab: Lab) -> None:
    view = run_sweep(lab, small_spec(trials=4))
    assert view.best is not None
    promoted = lab.store.runs.get(view.best.trial.run)
    assert promoted.attempts == 3
    whole = lab.submissions.submit(lab.validation.resolve(promoted.config), fresh=True).run
    work_until_idle(lab)
    one, other = lab.store.points.read(promoted.id), lab.store.points.read(whole.id)
    assert one.keys() == other.keys()
    for name in one.keys() - {"images_per_second", "memory_mb"}:
        assert np.array_equal(one[name].step, other[name].step), name
        assert np.array_equal(one[name].value, other[name].value, equal_nan=True), name
    assert lab.weights.find(promoted.id).sha256 == lab.weights.find(whole.id).sha256


@pytest.mark.long
def test_the_same_sweep_creates_the_same_trials(lab: Lab, tmp_path: Path) -> None:
    other = Lab(Settings.from_env({"LAB_HOME": str(tmp_path / "other")}))
    one, two = run_sweep(lab, small_spec(trials=3)), run_sweep(other, small_spec(trials=3))
    seen = [[(dict(t.params), t.values, t.rung, t.decision) for t in view.trials] for view in (one, two)]
    assert seen[0] == seen[1]


def test_without_halving_every_trial_is_trained_to_its_end(lab: Lab) -> None:
    grid = {"batch_size": {"values": [50, 100]}, "lr": {"values": [0.001, 0.01]}}
    base = {**BASE, "epochs": 1}
    view = run_sweep(lab, small_spec(method="grid", base=base, space=grid, trials=None, halving=None))
    assert [dict(trial.params) for trial in view.trials] == [
        {"batch_size": size, "lr": lr} for size in (50, 100) for lr in (0.001, 0.01)
    ]
    assert view.counts.finished == 4
    assert view.trials[-1].decision.startswith("finished after 1 epoch: ")


def test_trials_with_equal_settings_cost_nothing_and_are_counted_as_cached(lab: Lab) -> None:
    base = {**BASE, "epochs": 1}
    before = lab.submissions.submit(
        lab.validation.resolve(small_spec(base=base, halving=None).config({"lr": 0.01}))
    ).run
    work_until_idle(lab)
    spec = small_spec(base=base, space={"lr": {"values": [0.01]}}, trials=3, halving=None)
    view = run_sweep(lab, spec)
    assert [trial.run for trial in view.trials] == [before.id] * 3
    assert [trial.source for trial in view.trials] == [Source.CACHED] * 3
    assert [trial.state for trial in view.trials] == [TrialState.FINISHED, TrialState.COPY, TrialState.COPY]
    assert (view.counts.cached, view.epochs, view.seconds) == (3, 0, 0.0)
    assert view.trials[2].decision == "the same settings as trial 1"
    assert lab.store.runs.count() == 1


@pytest.mark.long
def test_pausing_a_sweep_holds_its_trial_and_resuming_continues_it(lab: Lab) -> None:
    view = lab.sweeps.create(small_spec(trials=3))
    work_once(lab)
    lab.sweeps.advance(view.sweep.id)
    paused = lab.sweeps.pause(view.sweep.id)
    assert (paused.sweep.state, paused.trials[1].state) == (SweepState.PAUSED, TrialState.HELD)
    work_until_idle(lab)
    assert lab.sweeps.show(view.sweep.id).counts.paused == 2  # nothing was trained meanwhile
    resumed = lab.sweeps.resume(view.sweep.id)
    assert resumed.trials[1].state is TrialState.QUEUED
    work_until_idle(lab)
    assert lab.sweeps.show(view.sweep.id).sweep.state is SweepState.FINISHED


@pytest.mark.long
def test_stopping_all_runs_pauses_the_sweep(lab: Lab) -> None:
    view = lab.sweeps.create(small_spec(trials=2))
    lab.store.queue.stop_all()
    work_until_idle(lab)
    after = lab.sweeps.show(view.sweep.id)
    assert (after.sweep.state, after.sweep.reason) == (SweepState.PAUSED, "all runs were stopped")
    assert len(after.trials) == 1
    lab.sweeps.resume(view.sweep.id)
    work_until_idle(lab)
    assert lab.sweeps.show(view.sweep.id).counts.failed == 0


@pytest.mark.long
def test_a_sweep_continues_if_a_user_deletes_stops_or_resumes_its_trials(lab: Lab) -> None:
    view = lab.sweeps.create(small_spec(trials=4))
    work_once(lab)
    lab.sweeps.advance(view.sweep.id)
    second = lab.sweeps.show(view.sweep.id).trials[1].run
    lab.submissions.control(second, RunRequest.STOP)  # while it waits in the queue
    work_once(lab)
    third = lab.sweeps.show(view.sweep.id).trials[2].run
    lab.store.removal.delete(third)
    first = view.trials[0].run
    lab.submissions.control(first, RunRequest.RUN)
    work_until_idle(lab)
    after = lab.sweeps.show(view.sweep.id)
    assert after.sweep.state is SweepState.FINISHED
    assert [trial.state for trial in after.trials[:3]] == [TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED]
    assert after.trials[2].decision == "failed: its run was deleted"
    assert after.counts.failed == 2
