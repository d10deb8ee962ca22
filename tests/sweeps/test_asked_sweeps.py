"""What a sweep answers at once, without a trial trained: a damaged one, a space that cannot be searched, its best so far."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import ConfigError, SweepStateError
from lab.runs.sweeps import SweepChange
from lab.service.lab import Lab
from lab.sweeps.records import SweepState
from lab.sweeps.space import read_space
from tests.sweeps.sweep_runs import asked
from tests.sweeps.test_changes import RECORD
from tests.sweeps.test_halving import trial
from tests.worker.worker_runs import open_lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def test_a_damaged_sweep_refuses_everything_by_its_name_and_the_others_go_on(lab: Lab, tmp_path: Path) -> None:
    damaged, sound = (lab.sweeps.create(asked(name=name, seed=at)) for at, name in enumerate(("damaged", "sound")))
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


def test_a_space_that_cannot_be_searched_leaves_the_sweep_as_it_was(lab: Lab) -> None:
    view = lab.sweeps.create(asked())
    with pytest.raises(ConfigError, match="The space cannot be searched at arch: There is no network 'lenet9'"):
        lab.sweeps.extend(view.sweep.id, space=read_space({"arch": {"values": ["lenet9"]}}))
    assert lab.sweeps.show(view.sweep.id).sweep == view.sweep


def test_a_finished_sweep_goes_on_by_being_extended_only(lab: Lab) -> None:
    view = lab.sweeps.create(asked())
    lab.store.sweeps.write(SweepChange(record=replace(view.sweep, state=SweepState.FINISHED), trials=()))
    with pytest.raises(SweepStateError, match="is finished: extend it with trials or minutes"):
        lab.sweeps.resume(view.sweep.id)
    for halt in (lab.sweeps.pause, lab.sweeps.stop):
        with pytest.raises(SweepStateError, match="is finished: extend it to go on"):
            halt(view.sweep.id)
    assert lab.sweeps.extend(view.sweep.id, trials=1).sweep.state is SweepState.RUNNING


def test_the_best_trial_comes_with_what_was_measured_last(lab: Lab) -> None:
    trials = [trial(1, 0.5), trial(2, 0.4, 0.3, rung=1), trial(3, 0.45, 0.35, rung=1)]
    best = lab.sweeps._best(replace(RECORD, state=SweepState.RUNNING), trials)
    assert best is not None
    assert (best.trial, best.measured, best.test_accuracy) == (trials[1], trials[1].values[-1], None)
    assert lab.sweeps._best(RECORD, [trial(1)]) is None
