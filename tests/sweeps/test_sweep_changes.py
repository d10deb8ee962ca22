"""Changes to a running sweep: budget, space, adopted runs; failures, concurrent decisions, exports, several slots."""

import io
import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import text

from lab.errors import ConfigError, StaleSweepError, SweepStateError
from lab.presets import list_presets
from lab.runs.records import RunRecord, RunState
from lab.runs.sweeps import SweepChange
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sharing.sweep_files import get_sweep_format
from lab.sweeps.presets import SWEEP_PRESETS, get_sweep_preset
from lab.sweeps.records import Source, SweepState, TrialState
from lab.sweeps.space import read_space
from lab.sweeps.spec import read_spec
from tests.sweeps.sweep_runs import BASE, run_sweep, small_spec, work_once, work_until_idle

pytestmark = pytest.mark.long

ONE_EPOCH = {"base": {**BASE, "epochs": 1}, "halving": None}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


def test_minutes_of_computing_end_a_sweep_and_more_minutes_continue_it(lab: Lab) -> None:
    long = {**BASE, "epochs": 3_000, "keep_mb": 1}
    view = run_sweep(lab, small_spec(base=long, halving=None, trials=None, minutes=0.04))
    assert (view.sweep.state, view.trials[-1].state) == (SweepState.FINISHED, TrialState.HELD)
    assert "of computing are used up" in view.sweep.reason
    assert 2.4 <= view.seconds < 2.4 + 5  # the heartbeat checks every two seconds
    run = lab.store.runs.get(view.trials[-1].run)
    assert (run.state, run.reason) == (
        RunState.PAUSED,
        "Its sweep pauses it because its minutes of computing are used up.",
    )
    lab.sweeps.extend(view.sweep.id, minutes=0.04)
    work_until_idle(lab)
    more = lab.sweeps.show(view.sweep.id)
    assert more.sweep.state is SweepState.FINISHED
    assert 4.8 <= more.seconds < 4.8 + 5
    assert more.trials[0].run == view.trials[0].run
    assert more.epochs > view.epochs


def test_a_space_can_be_narrowed_and_trials_added_and_the_old_trials_stay(lab: Lab) -> None:
    view = run_sweep(lab, small_spec(trials=2, **ONE_EPOCH))
    lab.sweeps.extend(view.sweep.id, trials=2, space=read_space({"lr": {"low": 0.005, "high": 0.006}}))
    work_until_idle(lab)
    after = lab.sweeps.show(view.sweep.id)
    assert after.trials[:2] == view.trials
    assert len(after.trials) == 4
    assert all(0.005 <= trial.params["lr"] <= 0.006 for trial in after.trials[2:])
    assert [spec["trials"] for spec in after.sweep.earlier] == [2]
    with pytest.raises(ConfigError, match="The space cannot be searched at arch: There is no network 'lenet9'"):
        lab.sweeps.extend(view.sweep.id, space=read_space({"arch": {"values": ["lenet9"]}}))
    with pytest.raises(SweepStateError, match=r"is finished: extend it"):
        lab.sweeps.resume(view.sweep.id)


def test_old_runs_are_adopted_and_paused_ones_are_promoted(lab: Lab) -> None:
    first = run_sweep(lab, small_spec(trials=4))
    other = small_spec(name="second", trials=1, seed=1)
    view = lab.sweeps.create(other)
    lab.sweeps.pause(view.sweep.id)
    adopted, count = lab.sweeps.adopt(view.sweep.id)
    assert count == 4
    assert [trial.source for trial in adopted.trials] == [Source.SUGGESTED, *[Source.ADOPTED] * 4]
    assert (adopted.epochs, adopted.seconds) == (0, 0.0)
    assert {trial.run: trial.values for trial in adopted.trials[1:]} == {t.run: t.values for t in first.trials}
    assert lab.sweeps.adopt(view.sweep.id)[1] == 0
    lab.sweeps.resume(view.sweep.id)
    work_until_idle(lab)
    after = lab.sweeps.show(view.sweep.id)
    assert after.sweep.state is SweepState.FINISHED
    assert after.counts.failed == 0
    mismatched = lab.submissions.submit(lab.validation.resolve(small_spec(**ONE_EPOCH).config({"lr": 0.02}))).run
    work_until_idle(lab)
    with pytest.raises(SweepStateError, match="cannot be adopted: it differs from the base in epochs"):
        lab.sweeps.adopt(view.sweep.id, [lab.store.runs.get(mismatched.id)])


def test_five_failures_in_a_row_pause_the_sweep_until_a_user_resumes_it(lab: Lab, tmp_path: Path) -> None:
    elsewhere = Lab(Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_DEVICE": "cuda:77"}))  # on which every run fails
    base = {**BASE, "epochs": 1, "device": "auto"}
    sweep = lab.sweeps.create(small_spec(base=base, halving=None)).sweep.id
    while work_once(lab, executed_by=elsewhere):
        pass
    view = lab.sweeps.show(sweep)
    assert (view.sweep.state, view.counts.failed, len(view.trials)) == (SweepState.PAUSED, 5, 5)
    assert view.sweep.reason.startswith("the last 5 trials failed (")
    assert "cuda:77" in view.trials[0].decision
    lab.sweeps.resume(sweep)  # a user has seen it
    work_until_idle(lab)
    view = lab.sweeps.show(sweep)
    assert (view.sweep.state, view.counts.failed, view.counts.finished) == (SweepState.FINISHED, 5, 3)


def test_a_device_that_was_removed_pauses_the_sweep_without_failed_trials(lab: Lab) -> None:
    view = lab.sweeps.create(small_spec(trials=8, **ONE_EPOCH))
    stored = view.sweep.asked.as_dict()
    with lab.store.database.write() as connection:  # it was available when the sweep was created
        spec = json.dumps({**stored, "base": {**stored["base"], "device": "cuda:77"}})
        connection.execute(text("UPDATE sweeps SET spec = :spec, seal = ''"), {"spec": spec})
    work_until_idle(lab)
    after = lab.sweeps.show(view.sweep.id)
    assert (after.sweep.state, len(after.trials)) == (SweepState.PAUSED, 1)
    assert "cuda:77" in after.sweep.reason


def test_of_two_concurrent_decisions_one_is_refused(lab: Lab) -> None:
    view = lab.sweeps.create(small_spec())
    record, _ = lab.store.sweeps.find(view.sweep.id)
    lab.store.sweeps.write(SweepChange(record=record))
    with pytest.raises(StaleSweepError, match="has changed in the meantime, so nothing was written"):
        lab.store.sweeps.write(SweepChange(record=record))


def test_many_threads_that_advance_a_sweep_at_once_create_one_trial(lab: Lab) -> None:
    view = lab.sweeps.create(small_spec())
    work_once(lab)
    threads = [threading.Thread(target=lab.sweeps.advance, args=(view.sweep.id,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = lab.sweeps.show(view.sweep.id)
    assert [trial.number for trial in after.trials] == [1, 2]
    assert lab.store.runs.count() == 2


def test_a_damaged_row_is_reported_and_breaks_no_list(lab: Lab, tmp_path: Path) -> None:
    one = run_sweep(lab, small_spec(trials=3, **ONE_EPOCH))
    two = lab.sweeps.create(small_spec(name="other"))
    with closing(sqlite3.connect(tmp_path / "lab.db")) as database, database:
        database.execute("UPDATE trials SET rung = 7 WHERE sweep = 1 AND number = 2")
        database.execute("UPDATE sweeps SET name = 'x' WHERE number = 2")
    shown = lab.sweeps.show(one.sweep.id)
    assert [bool(trial.problem) for trial in shown.trials] == [False, True, False]
    assert "Trial 2 is damaged in the database" in shown.trials[1].decision
    assert [bool(record.problem) for record in lab.store.sweeps.list()] == [True, False]
    with pytest.raises(SweepStateError, match="is damaged in the database"):
        lab.sweeps.pause(two.sweep.id)
    lab.store.removal.delete(two.trials[0].run)
    assert two.sweep.id in lab.store.sweeps.due()
    lab.sweeps.advance_due()  # a worker skips it
    assert lab.store.sweeps.count_running() == 0


def test_an_exported_sweep_opens_in_optuna_and_in_a_spreadsheet(lab: Lab, tmp_path: Path) -> None:
    view = run_sweep(lab, small_spec(trials=4))
    lab.sweeps.extend(view.sweep.id, trials=1, space=read_space({"lr": {"low": 0.005, "high": 0.006}}))
    work_until_idle(lab)
    view = lab.sweeps.show(view.sweep.id)
    path = tmp_path / "sweep.log"
    path.write_bytes(get_sweep_format("optuna").write(view.sweep.asked, view.sweep.name, view.trials))
    study = optuna.load_study(study_name="small", storage=JournalStorage(JournalFileBackend(str(path))))
    assert len(study.trials) == 5
    assert [trial.params["lr"] for trial in study.trials] == [trial.params["lr"] for trial in view.trials]
    assert view.best is not None
    assert study.best_value == view.best.measured.val_loss
    assert study.best_trial.user_attrs["run"] == view.best.trial.run
    assert study.trials[0].intermediate_values[1] == view.trials[0].values[0].val_loss
    table = get_sweep_format("csv").write(view.sweep.asked, view.sweep.name, view.trials).decode("utf-8-sig")
    rows = list(io.StringIO(table))
    assert rows[0].startswith('"trial","run","lr","epoch","val_loss"')
    assert len(rows) == 6


@pytest.mark.parametrize("preset", list(SWEEP_PRESETS))
def test_the_studies_of_the_reports_are_sweeps_over_their_presets(preset: str) -> None:
    study = get_sweep_preset(preset)
    spec = read_spec(study.spec())
    study_runs = list_presets(study.report)
    known = {one.config(val_fraction=0.1).digest(data_checksum="") for one in study_runs}
    found = [spec.config(params).digest(data_checksum="") for params in spec.space.grid(spec.base)]
    assert sum(digest in known for digest in found) >= len(found) - 1  # report B trained lr 0.01 for 9 epochs only


# -- several slots -----------------------------------------------------------------------------------------------------


def test_a_sweep_has_as_many_live_trials_as_its_host_has_slots_and_trains_each_rung_once(tmp_path: Path) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_SLOTS": "3"}))
    view = lab.sweeps.create(small_spec(trials=6))
    assert (len(view.trials), view.counts.queued) == (3, 3)
    most = 0
    while work_once(lab):
        lab.sweeps.advance_due()
        view = lab.sweeps.show(view.sweep.id)
        most = max(most, view.counts.queued + view.counts.running)
        assert view.counts.queued + view.counts.running <= 3
    assert most == 3
    assert view.sweep.state is SweepState.FINISHED
    assert [trial.number for trial in view.trials] == [1, 2, 3, 4, 5, 6]
    assert view.counts.finished >= 1
    assert view.epochs == sum(view.sweep.asked.rungs(trial.params)[trial.rung] for trial in view.trials)
    alone = Lab(Settings.from_env({"LAB_HOME": str(tmp_path / "alone")}))
    one_by_one = alone.sweeps.create(small_spec(trials=6))
    # The same trials in the same order: what is drawn depends only on the seed and the number.
    assert one_by_one.trials[0].params == view.trials[0].params


def test_pausing_a_sweep_pauses_all_of_its_live_trials(tmp_path: Path) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_SLOTS": "2"}))
    view = lab.sweeps.create(small_spec(**ONE_EPOCH))
    assert [lab.store.runs.get(trial.run).state for trial in view.trials] == [RunState.QUEUED] * 2
    paused = lab.sweeps.pause(view.sweep.id)
    assert [lab.store.runs.get(trial.run).state for trial in paused.trials] == [RunState.PAUSED] * 2
    resumed = lab.sweeps.resume(view.sweep.id)
    assert resumed.counts.queued == 2


def test_trials_are_queued_with_the_owner_and_the_priority_of_their_sweep(tmp_path: Path) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_OWNER": "ann"}))
    first = lab.sweeps.create(small_spec(trials=2, **ONE_EPOCH)).sweep.id
    second = lab.sweeps.create(small_spec(trials=1, **ONE_EPOCH, seed=1), owner="bob", priority=3).sweep.id
    while work_once(lab):
        lab.sweeps.advance_due()
    for sweep, owner, priority in [(first, "ann", 0), (second, "bob", 3)]:
        view = lab.sweeps.show(sweep)
        assert (view.sweep.owner, view.sweep.priority) == (owner, priority)
        assert {(one.owner, one.priority) for one in _runs_of(lab, sweep)} == {(owner, priority)}
    assert lab.store.runs.get(lab.sweeps.show(second).trials[0].run).started_at < min(
        run.started_at or 0.0 for run in _runs_of(lab, first)
    )


def _runs_of(lab: Lab, sweep: str) -> list[RunRecord]:
    return [lab.store.runs.get(trial.run) for trial in lab.sweeps.show(sweep).trials]
