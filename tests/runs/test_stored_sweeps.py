"""Sweeps in stores of every kind: one decision is one transaction, and what a trial does is read off its run."""

from dataclasses import replace

import pytest

from lab.config import RunConfig
from lab.errors import StaleSweepError, SweepNotFoundError
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.runs.rows import LEASE_S
from lab.runs.store import RunStore
from lab.runs.sweeps import NewRun, SweepChange
from lab.sweeps.records import Source, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec, read_spec
from tests.runs.conftest import Clock
from tests.runs.runs_data import series

SPEC: SweepSpec = read_spec(
    {
        "name": "stored",
        "base": {"dataset": "digits", "epochs": 4},
        "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}},
        "method": "random",
        "trials": 8,
        "minutes": 1.0,
        "halving": {"factor": 2, "first_epochs": 1},
    }
)


def _new(number: int, lr: float) -> tuple[TrialRecord, NewRun]:
    config = RunConfig.from_dict({**SPEC.base.as_dict(), "lr": lr})
    trial = TrialRecord(number=number, run="", params={"lr": lr}, decision="new")
    return trial, NewRun(config, f"fingerprint {lr}", "", f"stored {number}", tags=("sweep-x",))


def _add(store: RunStore, sweep: str, number: int, lr: float) -> SweepRecord:
    record, _ = store.sweeps.find(sweep)
    return store.sweeps.write(SweepChange(record=record, new=_new(number, lr)))


def _train_to(store: RunStore, me: Owner, *, epoch: int, seconds: float) -> str:
    """Train the queued run to the end of an epoch of ten steps, as a worker does, and pause it there."""
    run = store.leases.claim(slot="cpu", owner=me)
    assert run is not None
    progress = {"step": 10 * epoch, "steps_per_epoch": 10, "seconds": seconds, "epoch": epoch}
    steps = [10 * one for one in range(1, epoch + 1)]
    points = {
        "val/loss": series("val/loss", steps, [1.0 / one for one in steps]),
        "val/accuracy": series("val/accuracy", steps, [0.5] * epoch),
    }
    store.points.append(run.id, run.lease, points, progress=progress)
    store.leases.finish(run.id, run.lease, state=RunState.PAUSED, fulfils=RunRequest.RUN, seconds=seconds)
    return run.id


def test_a_trial_is_made_with_its_run_and_measured_at_its_rung(store: RunStore, me: Owner) -> None:
    sweep = store.sweeps.create(SPEC)
    assert store.sweeps.due() == (sweep.id,)
    _add(store, sweep.id, 1, 0.01)
    assert store.sweeps.due() == ()
    _, (one,) = store.sweeps.find(sweep.id)
    assert (one.trial.state, one.before) == (TrialState.QUEUED, TrialState.QUEUED)
    assert store.runs.get(one.trial.run).pause_epoch == 1
    run = _train_to(store, me, epoch=1, seconds=3.0)
    assert (run, store.sweeps.due()) == (one.trial.run, (sweep.id,))
    record, (one,) = store.sweeps.find(sweep.id)
    assert (one.trial.state, one.changed, one.trial.seconds, one.trial.epochs) == (TrialState.PAUSED, True, 3.0, 1)
    assert [(value.epoch, value.val_loss, value.val_accuracy) for value in one.trial.values] == [(1, 0.1, 0.5)]
    promoted = replace(one.trial, rung=1, state=TrialState.QUEUED, decision="promoted")
    store.sweeps.write(SweepChange(record=record, trials=[promoted], resumed=[promoted]))
    again = store.runs.get(run)
    assert (again.state, again.pause_epoch) == (RunState.QUEUED, 2)
    assert store.integrity.verify(run) == ()


def test_whoever_comes_second_writes_nothing(store: RunStore) -> None:
    sweep = store.sweeps.create(SPEC)
    _add(store, sweep.id, 1, 0.01)
    with pytest.raises(StaleSweepError, match="was changed meanwhile, so nothing was written"):
        store.sweeps.write(SweepChange(record=sweep, new=_new(1, 0.02)))
    assert store.runs.count() == 1
    assert len(store.sweeps.find(sweep.id)[1]) == 1


def test_a_trial_that_is_there_already_is_answered_by_its_run(store: RunStore) -> None:
    config = _new(1, 0.01)[1].config
    run, _ = store.queue.submit(config, fingerprint="fingerprint 0.01", family="")
    sweep = store.sweeps.create(SPEC)
    _add(store, sweep.id, 1, 0.01)
    _add(store, sweep.id, 2, 0.01)
    _, found = store.sweeps.find(sweep.id)
    assert [one.trial.run for one in found] == [run.id, run.id]
    assert [one.trial.source for one in found] == [Source.CACHED, Source.CACHED]
    assert [one.trial.state for one in found] == [TrialState.QUEUED, TrialState.COPY]
    assert store.runs.get(run.id).pause_epoch is None


def test_a_person_who_continues_a_trial_trains_it_to_its_end(store: RunStore, me: Owner) -> None:
    sweep = store.sweeps.create(SPEC)
    _add(store, sweep.id, 1, 0.01)
    run = _train_to(store, me, epoch=1, seconds=3.0)
    store.leases.request(run, RunRequest.RUN)
    assert store.runs.get(run).pause_epoch is None
    assert store.sweeps.find(sweep.id)[1][0].trial.state is TrialState.QUEUED


def test_a_trial_whose_worker_is_gone_is_interrupted_unless_it_was_measured(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    sweep = store.sweeps.create(SPEC)
    _add(store, sweep.id, 1, 0.01)
    gone = Owner(host="another host", pid=1, pid_start="1")
    run = store.leases.claim(slot="cpu", owner=gone)
    assert run is not None
    clock.now += 10 * LEASE_S
    assert store.sweeps.find(sweep.id)[1][0].trial.state is TrialState.INTERRUPTED
    store.leases.recover()
    assert store.sweeps.find(sweep.id)[1][0].trial.state is TrialState.INTERRUPTED
    assert store.sweeps.due() == (sweep.id,)


def test_minutes_are_counted_over_the_trials_that_the_sweep_paid_for(store: RunStore, me: Owner) -> None:
    sweep = store.sweeps.create(SPEC)
    other = store.sweeps.create(replace(SPEC, minutes=None))
    for number, (seconds, over) in enumerate(((30.0, False), (30.0, True)), start=1):
        _add(store, sweep.id, number, number / 100)
        run = _train_to(store, me, epoch=1, seconds=seconds)
        assert store.sweeps.is_over_budget(run) is over
    _add(store, other.id, 1, 0.05)
    assert not store.sweeps.is_over_budget(_train_to(store, me, epoch=1, seconds=900.0))
    record, _ = store.sweeps.find(sweep.id)
    store.sweeps.write(SweepChange(record=replace(record, state=SweepState.PAUSED)))
    assert not store.sweeps.is_over_budget(run)  # nothing is to be paused any more
    assert store.sweeps.count_running() == 1


def test_stopping_all_runs_pauses_running_sweeps_only(store: RunStore) -> None:
    running, finished = store.sweeps.create(SPEC), store.sweeps.create(SPEC)
    store.sweeps.write(SweepChange(record=replace(finished, state=SweepState.FINISHED, reason="done")))
    store.queue.stop_all()
    states = {one.id: (one.state, one.reason) for one in store.sweeps.list()}
    assert states[running.id] == (SweepState.PAUSED, "all runs were stopped")
    assert states[finished.id] == (SweepState.FINISHED, "done")


def test_a_sweep_is_found_by_id_name_and_beginning(store: RunStore) -> None:
    sweep = store.sweeps.create(SPEC)
    for wanted in (sweep.id, "stored", sweep.id[:5]):
        assert store.sweeps.resolve(wanted) == sweep
    store.sweeps.create(SPEC)
    with pytest.raises(SweepNotFoundError, match="'stored' fits more than one sweep"):
        store.sweeps.resolve("stored")
    with pytest.raises(SweepNotFoundError, match="There is no sweep 'nowhere'"):
        store.sweeps.find("nowhere")
