"""Requests to sweeps without training a trial: damaged sweeps, invalid spaces, transitions, and the best trial."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from lab.errors import ConfigError, SweepStateError
from lab.runs.owner import Owner
from lab.runs.sweeps import SweepChange
from lab.service.lab import Lab
from lab.sweeps.records import SweepState
from lab.sweeps.space import read_space
from tests.runs.runs_data import series
from tests.sweeps.sweep_runs import small_spec
from tests.sweeps.test_changes import RECORD
from tests.sweeps.test_halving import trial
from tests.worker.worker_runs import open_lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def test_a_damaged_sweep_refuses_every_request_and_the_others_continue(lab: Lab, tmp_path: Path) -> None:
    damaged, sound = (lab.sweeps.create(small_spec(name=name, seed=at)) for at, name in enumerate(("damaged", "sound")))
    with closing(sqlite3.connect(tmp_path / "lab.db")) as database, database:
        database.execute("UPDATE sweeps SET name = 'x' WHERE number = 1")
    for act in (
        lambda: lab.sweeps.pause(damaged.sweep.id),
        lambda: lab.sweeps.stop(damaged.sweep.id),
        lambda: lab.sweeps.resume(damaged.sweep.id),
        lambda: lab.sweeps.extend(damaged.sweep.id, trials=1),
        lambda: lab.sweeps.adopt(damaged.sweep.id),
    ):
        with pytest.raises(SweepStateError, match="is damaged in the database"):
            act()
    for view in (damaged, sound):
        lab.store.removal.delete(view.trials[0].run)
    assert lab.sweeps.advance_due() == 2
    assert [len(lab.sweeps.show(view.sweep.id).trials) for view in (damaged, sound)] == [0, 2]


def test_extending_a_sweep_with_an_invalid_space_leaves_it_unchanged(lab: Lab) -> None:
    view = lab.sweeps.create(small_spec())
    with pytest.raises(ConfigError, match="The space cannot be searched at arch: There is no network 'lenet9'"):
        lab.sweeps.extend(view.sweep.id, space=read_space({"arch": {"values": ["lenet9"]}}))
    assert lab.sweeps.show(view.sweep.id).sweep == view.sweep


REQUESTS: dict[str, Callable[[Lab, str], object]] = {
    "pause": lambda lab, sweep: lab.sweeps.pause(sweep),
    "stop": lambda lab, sweep: lab.sweeps.stop(sweep),
    "resume": lambda lab, sweep: lab.sweeps.resume(sweep),
    "extend": lambda lab, sweep: lab.sweeps.extend(sweep, trials=1),
    "adopt": lambda lab, sweep: lab.sweeps.adopt(sweep),
    "advance": lambda lab, sweep: lab.sweeps.advance(sweep),
}
# The states of a sweep and of the run of its only trial after each request, or the message of the refusal.
TRANSITIONS = {
    SweepState.RUNNING: {
        "pause": "paused, its run paused",
        "stop": "stopped, its run paused",
        "resume": "running, its run queued",
        "extend": "running, its run queued",
        "adopt": "running, its run queued",
        "advance": "running, its run queued",
    },
    SweepState.PAUSED: {
        "pause": "paused, its run paused",
        "stop": "stopped, its run paused",
        "resume": "running, its run queued",
        "extend": "paused, its run paused",
        "adopt": "paused, its run paused",
        "advance": "paused, its run paused",
    },
    SweepState.STOPPED: {
        "pause": "paused, its run paused",
        "stop": "stopped, its run paused",
        "resume": "running, its run queued",
        "extend": "stopped, its run paused",
        "adopt": "stopped, its run paused",
        "advance": "stopped, its run paused",
    },
    SweepState.FINISHED: {
        "pause": "is finished: extend it to continue.",
        "stop": "is finished: extend it to continue.",
        "resume": "is finished: extend it with trials or minutes.",
        "extend": "running, its run queued",
        "adopt": "finished, its run paused",
        "advance": "finished, its run paused",
    },
}


@pytest.mark.parametrize("state", TRANSITIONS)
def test_every_request_to_a_sweep_has_the_result_of_the_table(lab: Lab, state: SweepState) -> None:
    found = {}
    for seed, (name, request) in enumerate(REQUESTS.items()):
        sweep = lab.sweeps.create(small_spec(name=name, seed=seed)).sweep.id
        if state is not SweepState.RUNNING:
            paused = lab.sweeps.pause(sweep).sweep
            lab.store.sweeps.write(SweepChange(record=replace(paused, state=state, reason="because"), trials=()))
        try:
            request(lab, sweep)
        except SweepStateError as error:
            found[name] = str(error).removeprefix(f"Sweep {sweep} ")
            continue
        view = lab.sweeps.show(sweep)
        assert view.sweep.reason == ("because" if view.sweep.state is state is not SweepState.RUNNING else "")
        found[name] = f"{view.sweep.state.value}, its run {lab.store.runs.get(view.trials[0].run).state.value}"
    assert found == TRANSITIONS[state]


def test_the_best_trial_is_returned_with_its_last_measurement(lab: Lab) -> None:
    trials = [trial(1, 0.5), trial(2, 0.4, 0.3, rung=1), trial(3, 0.45, 0.35, rung=1)]
    best = lab.sweeps._best(replace(RECORD, state=SweepState.RUNNING), trials)
    assert best is not None
    assert (best.trial, best.measured, best.test_accuracy) == (trials[1], trials[1].values[-1], None)
    assert lab.sweeps._best(RECORD, [trial(1)]) is None


def test_the_test_accuracy_of_the_best_trial_is_read_only_once_the_sweep_has_ended(lab: Lab) -> None:
    run = lab.store.leases.claim(
        slot="cpu", owner=Owner.of_this_process(), run=lab.sweeps.create(small_spec()).trials[0].run
    )
    assert run is not None
    tested = {"test/accuracy": series("test/accuracy", [10], [0.75])}
    lab.store.points.append(run.id, run.lease, tested, progress={"step": 10, "steps_per_epoch": 10})
    read: list[str] = []
    event.listen(lab.store.database.engine, "before_cursor_execute", lambda *values: read.append(values[2]))
    found = {}
    for state in (SweepState.RUNNING, SweepState.PAUSED, SweepState.STOPPED, SweepState.FINISHED):
        read.clear()
        best = lab.sweeps._best(replace(RECORD, state=state), [trial(1, 0.5, run=run.id)])
        assert best is not None
        assert best.run is not None
        found[state.value] = (best.test_accuracy, any("FROM points" in statement for statement in read))
    no, yes = (None, False), (0.75, True)
    assert found == {"running": no, "paused": no, "stopped": yes, "finished": yes}
