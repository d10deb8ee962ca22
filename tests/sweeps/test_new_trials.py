"""The next trial of a sweep: a new run, a copy, a failed trial, or a pause of the sweep; nothing is stored here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.config import RunConfig
from lab.errors import StoreBusyError
from lab.runs.sweeps import NewRun, SweepChange
from lab.service.lab import Lab
from lab.service.resolved import ResolvedConfig
from lab.service.sweep_trials import NewTrials
from lab.service.validation import Validation
from lab.sweeps.plan import MAX_FAILURES
from lab.sweeps.records import Source, SweepRecord, SweepState, TrialRecord, TrialState
from tests.sweeps.sweep_runs import BASE, LR, small_spec
from tests.sweeps.test_plan import found
from tests.worker.worker_runs import open_lab

CLASHES = {"base": {**BASE, "arch": "vgg11"}, "space": {"input_size": {"values": ["native"]}}}  # too small for vgg11
NO_DEVICE, NO_DATA = {**BASE, "device": "cuda:99"}, {**BASE, "dataset": "mnist"}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def _record(**spec: Any) -> SweepRecord:
    record = SweepRecord(
        id="ab12", number=1, name="mine", spec=small_spec(**spec), state=SweepState.RUNNING, created_at=5.0
    )
    return replace(record, owner="ann", priority=7)


def _next(lab: Lab, record: SweepRecord, *trials: TrialRecord, joined: bool = False) -> SweepChange:
    """Return a change that writes nothing but the next trial."""
    new_trials = NewTrials(lab.validation, lab.submissions, joined=joined)
    return new_trials.add_next(SweepChange(record=record), [found(trial) for trial in trials], len(trials) + 1)


def test_a_trial_is_a_run_with_the_name_owner_priority_and_executor_of_its_sweep(lab: Lab) -> None:
    record = _record(on="")
    change = _next(lab, record)
    assert change.new is not None
    trial, new = change.new
    assert replace(change, new=None) == SweepChange(record=record)
    assert trial == TrialRecord(number=1, run="", params=trial.params, decision="new: trains to epoch 1")
    resolved = lab.validation.resolve(RunConfig(**BASE, **trial.params))
    fingerprint, family = lab.submissions.fingerprint(resolved)
    facts = {"fingerprint": fingerprint, "family": family, "name": "mine 1", "tags": ("sweep-ab12",)}
    assert family
    assert new == NewRun(resolved.config, {**facts, "owner": "ann", "priority": 7, "executor": ""})  # type: ignore[typeddict-item]


def test_trials_are_bound_to_the_executor_of_their_sweep(lab: Lab) -> None:
    change = _next(lab, _record(on="slurm"))
    assert change.new is not None
    assert change.new[1].facts["executor"] == "slurm"


def test_a_trial_with_the_settings_of_an_earlier_one_is_a_copy_without_a_new_run(lab: Lab) -> None:
    record = _record(space={"lr": {"values": [0.01]}})
    first = TrialRecord(number=1, run="r1", params={"lr": 0.01}, state=TrialState.PAUSED, seconds=9.0)
    change = _next(lab, record, first)
    copy = TrialRecord(number=2, run="r1", params={"lr": 0.01}, state=TrialState.COPY, source=Source.CACHED)
    assert change == SweepChange(record=record, trials=(replace(copy, decision="the same settings as trial 1"),))


def test_an_exhausted_grid_gets_no_new_trial(lab: Lab) -> None:
    record = _record(space={"lr": {"values": [0.01]}}, method="grid")
    trial = TrialRecord(number=1, run="r1", params={"lr": 0.01}, state=TrialState.FINISHED)
    assert _next(lab, record, trial) == SweepChange(record=record)


@pytest.mark.parametrize("failed", [0, MAX_FAILURES - 2, MAX_FAILURES - 1])
def test_incompatible_settings_are_a_failed_trial_and_many_such_trials_pause_the_sweep(lab: Lab, failed: int) -> None:
    record = _record(**CLASHES)
    before = [
        TrialRecord(number=at + 1, run="", params={"lr": at / 10}, state=TrialState.FAILED, decision="failed: no")
        for at in range(failed)
    ]
    change = _next(lab, record, *before)
    (trial,) = change.trials
    assert (trial.number, trial.run, trial.state) == (failed + 1, "", TrialState.FAILED)
    assert trial.decision.startswith("failed: vgg11 ")
    assert change.new is None
    paused = failed == MAX_FAILURES - 1
    assert change.record.state is (SweepState.PAUSED if paused else SweepState.RUNNING)
    assert change.record.reason.startswith("the last 5 trials failed (vgg11 ") is paused
    assert bool(change.record.reason) is paused


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(
    ("base", "words"), [(NO_DEVICE, "'cuda:99' is not on this"), (NO_DATA, "MNIST is not downloaded")]
)
def test_an_unavailable_device_or_data_set_pauses_the_sweep_unless_the_machine_has_joined(
    lab: Lab, tmp_path: Path, joined: bool, base: dict[str, Any], words: str
) -> None:
    record = _record(base=base)
    change = _next(open_lab(tmp_path, LAB_DATA=str(tmp_path / "nothing")), record, joined=joined)
    if joined:
        assert change == SweepChange(record=record)
        return
    assert words in change.record.reason
    assert change == SweepChange(record=replace(record, state=SweepState.PAUSED, reason=change.record.reason))


def test_an_unreachable_store_is_not_a_failed_trial(lab: Lab) -> None:
    class Unreachable(Validation):
        def check_fits(self, resolved: ResolvedConfig) -> None:
            raise StoreBusyError("the store is unreachable")

    validation = Unreachable(lab.settings, lab.store, lab.datasets)
    with pytest.raises(StoreBusyError):
        NewTrials(validation, lab.submissions).add_next(SweepChange(record=_record(space=LR)), [], 1)


@pytest.mark.parametrize(
    ("executor", "section", "most"),
    [
        ("", "", 3),
        ("", "[slurm]\njobs = 9\n", 3),
        ("slurm", "[slurm]\njobs = 1\n", 1),
        ("slurm", "[slurm]\njobs = 19\n", 19),
        ("slurm", "[slurm]\njobs = 20\n", 20),
        ("slurm", "[slurm]\njobs = 21\n", 20),
        ("ray", '[ray]\naddress = "http://h"\n', 20),
        ("ray", '[ray]\naddress = "http://h"\njobs = 2\n', 2),
        ("ray", "[slurm]\njobs = 9\n", 1),  # no longer configured: one trial waits and reports it
    ],
)
def test_as_many_trials_are_live_as_there_are_slots_or_jobs(
    tmp_path: Path, executor: str, section: str, most: int
) -> None:
    (tmp_path / "executors.toml").write_text(section)
    assert open_lab(tmp_path, LAB_SLOTS="3").sweeps._at_once(executor) == most
