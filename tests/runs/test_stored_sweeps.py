"""Sweeps in stores of each kind: each decision is one transaction, and the state of a trial is read from its run."""

from dataclasses import replace

import pytest

from lab.config import RunConfig
from lab.errors import StaleSweepError, SweepNotFoundError
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.runs.rows import LEASE_S
from lab.runs.store import RunStore
from lab.runs.sweeps import NewRun, SweepChange
from lab.sweeps.records import Measured, Source, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.rungs import Halving
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
    name = f"stored {number}"
    return trial, NewRun(config, {"fingerprint": f"fingerprint {lr}", "family": "", "name": name, "tags": ("sweep-x",)})


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


def test_a_trial_is_created_with_its_run_and_measured_at_its_rung(store: RunStore, me: Owner) -> None:
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


def test_the_second_of_two_concurrent_decisions_writes_nothing(store: RunStore) -> None:
    sweep = store.sweeps.create(SPEC)
    _add(store, sweep.id, 1, 0.01)
    with pytest.raises(StaleSweepError, match="has changed in the meantime, so nothing was written"):
        store.sweeps.write(SweepChange(record=sweep, new=_new(1, 0.02)))
    assert store.runs.count() == 1
    assert len(store.sweeps.find(sweep.id)[1]) == 1


def test_a_trial_whose_run_already_exists_reuses_it(store: RunStore) -> None:
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


def test_a_trial_that_a_user_resumes_trains_to_its_end(store: RunStore, me: Owner) -> None:
    sweep = store.sweeps.create(SPEC)
    _add(store, sweep.id, 1, 0.01)
    run = _train_to(store, me, epoch=1, seconds=3.0)
    store.leases.request(run, RunRequest.RUN)
    assert store.runs.get(run).pause_epoch is None
    assert store.sweeps.find(sweep.id)[1][0].trial.state is TrialState.QUEUED


def test_a_trial_whose_worker_was_lost_before_it_was_measured_is_interrupted(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    sweep = store.sweeps.create(SPEC)
    _add(store, sweep.id, 1, 0.01)
    lost = Owner(host="another host", pid=1, pid_start="1")
    run = store.leases.claim(slot="cpu", owner=lost)
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
    assert not store.sweeps.is_over_budget(run)  # a paused sweep pauses nothing more
    assert store.sweeps.count_running() == 1


def test_stopping_all_runs_pauses_running_sweeps_only(store: RunStore) -> None:
    running, finished = store.sweeps.create(SPEC), store.sweeps.create(SPEC)
    store.sweeps.write(SweepChange(record=replace(finished, state=SweepState.FINISHED, reason="done")))
    store.queue.stop_all()
    states = {one.id: (one.state, one.reason) for one in store.sweeps.list()}
    assert states[running.id] == (SweepState.PAUSED, "all runs were stopped")
    assert states[finished.id] == (SweepState.FINISHED, "done")


def test_a_sweep_is_found_by_id_name_and_prefix_of_its_id(store: RunStore) -> None:
    sweep = store.sweeps.create(SPEC)
    for wanted in (sweep.id, "stored", sweep.id[:5]):
        assert store.sweeps.resolve(wanted) == sweep
    store.sweeps.create(SPEC)
    with pytest.raises(SweepNotFoundError, match="'stored' matches more than one sweep"):
        store.sweeps.resolve("stored")
    with pytest.raises(SweepNotFoundError, match="There is no sweep 'nowhere'"):
        store.sweeps.find("nowhere")


# -- what is read from the runs ----------------------------------------------------------------------------------------


def _trained(store: RunStore, me: Owner, *, steps: list[int], losses: list[float], per_epoch: int = 10) -> str:
    """Train the queued run to the last of these steps and leave it running; return its id."""
    run = store.leases.claim(slot="cpu", owner=me)
    assert run is not None
    points = {
        "val/loss": series("val/loss", steps, losses),
        "test/accuracy": series("test/accuracy", steps, [one / 100 for one in steps]),
    }
    progress = {"step": steps[-1], "steps_per_epoch": per_epoch, "seconds": 5.0, "epoch": -(-steps[-1] // per_epoch)}
    store.points.append(run.id, run.lease, points, progress=progress)
    return run.id


def _of_sweep(store: RunStore, spec: SweepSpec, lr: float = 0.01) -> str:
    sweep = store.sweeps.create(spec)
    _add(store, sweep.id, 1, lr)
    return sweep.id


def test_a_trial_that_finished_early_is_measured_at_its_last_validation(store: RunStore, me: Owner) -> None:
    sweep = _of_sweep(store, replace(SPEC, halving=None))
    run = _trained(store, me, steps=[10, 20, 27], losses=[0.5, 0.4, 0.3])
    record = store.runs.get(run)
    store.leases.finish(run, record.lease, state=RunState.FINISHED, seconds=5.0)
    _, (one,) = store.sweeps.find(sweep)
    assert [(value.epoch, value.val_loss) for value in one.trial.values] == [(3, 0.3)]
    assert (one.trial.state, one.trial.epochs, one.trial.seconds) == (TrialState.FINISHED, 3, 5.0)


def test_a_trial_that_was_never_validated_has_no_measurements(store: RunStore, me: Owner) -> None:
    sweep = _of_sweep(store, replace(SPEC, halving=None))
    run = store.leases.claim(slot="cpu", owner=me)
    assert run is not None
    store.points.append(run.id, run.lease, {}, progress={"step": 40, "steps_per_epoch": 10, "epoch": 4})
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED, seconds=5.0)
    _, (one,) = store.sweeps.find(sweep)
    assert (one.trial.state, one.trial.values, one.trial.epochs) == (TrialState.FINISHED, (), 4)


def test_a_diverged_trial_is_measured_with_a_loss_of_nan(store: RunStore, me: Owner) -> None:
    sweep = _of_sweep(store, SPEC)
    run = _trained(store, me, steps=[10], losses=[float("nan")])
    record = store.runs.get(run)
    store.leases.finish(run, record.lease, state=RunState.PAUSED, fulfils=RunRequest.RUN, seconds=5.0)
    _, (one,) = store.sweeps.find(sweep)
    assert one.trial.state is TrialState.PAUSED
    (value,) = one.trial.values
    assert (value.epoch, value.val_loss != value.val_loss, value.spent_s) == (1, True, 5.0)


def test_the_test_accuracy_of_an_epoch_is_the_newest_up_to_its_end(store: RunStore, me: Owner) -> None:
    _of_sweep(store, SPEC)
    run = _trained(store, me, steps=[10, 19, 21], losses=[0.5, 0.4, 0.3])
    record = store.runs.get(run)
    assert [store.sweeps.find_test_accuracy(record, epoch) for epoch in (0, 1, 2, 3)] == [None, 0.1, 0.19, 0.21]


def test_a_running_trial_counts_its_current_epoch_and_one_paused_between_rungs_is_held(
    store: RunStore, me: Owner
) -> None:
    sweep = _of_sweep(store, replace(SPEC, halving=Halving(2, 2)))
    run = _trained(store, me, steps=[10, 13], losses=[0.5, 0.4])
    _, (one,) = store.sweeps.find(sweep)
    assert (one.trial.state, one.trial.epochs, one.trial.values) == (TrialState.RUNNING, 2, ())
    lease = store.leases.request(run, RunRequest.PAUSE).lease
    store.leases.finish(run, lease, state=RunState.PAUSED, fulfils=RunRequest.PAUSE, seconds=5.0)
    _, (one,) = store.sweeps.find(sweep)
    assert (one.trial.state, one.trial.values, one.trial.epochs) == (TrialState.HELD, (), 2)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (RunState.STOPPED, TrialState.STOPPED),
        (RunState.FAILED, TrialState.FAILED),
        (RunState.INTERRUPTED, TrialState.INTERRUPTED),
    ],
)
def test_a_trial_that_ended_before_its_rung_has_the_state_and_reason_of_its_run(
    store: RunStore, me: Owner, state: RunState, expected: TrialState
) -> None:
    sweep = _of_sweep(store, SPEC)
    run = store.leases.claim(slot="cpu", owner=me)
    assert run is not None
    store.leases.finish(run.id, run.lease, state=state, reason="because")
    _, (one,) = store.sweeps.find(sweep)
    assert (one.trial.state, one.before, one.reason) == (expected, TrialState.QUEUED, "because")
    store.removal.delete(run.id)
    _, (one,) = store.sweeps.find(sweep)
    assert (one.trial.state, one.reason) == (TrialState.FAILED, "its run was deleted")


def test_a_sweep_is_due_while_it_has_fewer_live_runs_than_slots(store: RunStore, me: Owner) -> None:
    first, second = store.sweeps.create(SPEC), store.sweeps.create(SPEC)
    _add(store, first.id, 1, 0.01)
    assert store.sweeps.due() == (second.id,)
    assert store.sweeps.due(slots=2) == (first.id, second.id)
    _add(store, first.id, 2, 0.02)
    assert store.sweeps.due(slots=2) == (second.id,)
    store.leases.claim(slot="cpu", owner=me)  # a running run is live too
    assert store.sweeps.due(slots=2) == (second.id,)
    record, found = store.sweeps.find(first.id)
    store.removal.delete(found[1].trial.run)
    assert store.sweeps.due(slots=2) == (first.id, second.id)
    record, _ = store.sweeps.find(second.id)
    store.sweeps.write(SweepChange(record=replace(record, state=SweepState.STOPPED)))
    assert store.sweeps.due(slots=2) == (first.id,)
    assert [one.id for one in store.sweeps.list()] == [second.id, first.id]


def test_a_trial_is_read_back_as_written(store: RunStore, me: Owner) -> None:
    sweep = store.sweeps.create(SPEC)
    record = _add(store, sweep.id, 1, 0.01)
    run = _train_to(store, me, epoch=2, seconds=30.0)
    written = TrialRecord(
        number=1,
        run=run,
        params={"lr": 0.01},
        rung=1,
        values=(Measured(1, 0.5, 0.25, 3.0), Measured(2, 0.125, 0.75, 7.0)),
        state=TrialState.PAUSED,
        decision="because",
        source=Source.ADOPTED,
        seconds=30.0 - 4.5,
        epochs=0,
        retries=3,
        retried_s=2.5,
        free_s=4.5,
        free_epochs=5,
    )
    store.sweeps.write(SweepChange(record=record, trials=[written]))
    _, (found,) = store.sweeps.find(sweep.id)
    assert (found.before, found.trial) == (TrialState.PAUSED, written)
    assert [value.spent_s for value in found.trial.values] == [3.0, 7.0]


def test_a_sweep_of_an_executor_is_due_while_it_has_fewer_trials_than_the_executor_takes_jobs(store: RunStore) -> None:
    own, far, other = (store.sweeps.create(replace(SPEC, on=on)) for on in ("", "slurm", "ray"))
    for at, sweep in enumerate((own, far, other)):
        _add(store, sweep.id, 1, 0.01 + at / 100)
    assert store.sweeps.due(slots=1, jobs={"slurm": 2}) == (far.id,)  # Ray is not configured
    assert store.sweeps.due(slots=2, jobs={"slurm": 1, "ray": 2}) == (own.id, other.id)
    assert store.sweeps.due(slots=1, jobs={"slurm": 1, "ray": 1}) == ()


def test_a_sweep_has_an_end_time_when_it_ends_and_none_when_it_continues(store: RunStore, clock: Clock) -> None:
    sweep = store.sweeps.create(SPEC)
    assert (sweep.created_at, sweep.finished_at, sweep.revision) == (clock.now, None, 0)
    clock.now += 7
    for state, ended in (
        (SweepState.STOPPED, clock.now),
        (SweepState.RUNNING, None),
        (SweepState.FINISHED, clock.now),
        (SweepState.PAUSED, None),
    ):
        record, _ = store.sweeps.find(sweep.id)
        written = store.sweeps.write(SweepChange(record=replace(record, state=state)))
        assert (written.finished_at, written.revision) == (ended, record.revision + 1)
        assert store.sweeps.find(sweep.id)[0] == written


def test_held_trials_are_paused_at_once_or_asked_to_pause(store: RunStore, me: Owner, clock: Clock) -> None:
    sweep = store.sweeps.create(SPEC)
    _add(store, sweep.id, 1, 0.01)
    _add(store, sweep.id, 2, 0.02)
    running = store.leases.claim(slot="cpu", owner=me)
    assert running is not None
    record, found = store.sweeps.find(sweep.id)
    clock.now += 3
    store.sweeps.write(SweepChange(record=record, held=[one.trial.run for one in found]))
    first, second = (store.runs.get(one.trial.run) for one in found)
    assert (first.state, store.leases.requested(first.id)) == (RunState.RUNNING, RunRequest.PAUSE)
    assert (second.state, second.finished_at) == (RunState.PAUSED, clock.now)
    record, found = store.sweeps.find(sweep.id)
    store.sweeps.write(SweepChange(record=record, resumed=[one.trial for one in found]))
    first, second = (store.runs.get(one.trial.run) for one in found)
    assert store.leases.requested(first.id) is RunRequest.RUN
    assert (second.state, second.pause_epoch, second.finished_at) == (RunState.QUEUED, 1, None)


def test_a_trial_whose_run_has_finished_meanwhile_cannot_be_resumed(store: RunStore, me: Owner) -> None:
    sweep = _of_sweep(store, SPEC)
    run = store.leases.claim(slot="cpu", owner=me)
    assert run is not None
    record, (one,) = store.sweeps.find(sweep)
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    with pytest.raises(StaleSweepError, match="is finished by now, so it cannot be resumed"):
        store.sweeps.write(SweepChange(record=record, resumed=[one.trial]))
    assert store.sweeps.find(sweep)[0].revision == record.revision
