"""The lab without training: devices, selected weights, fingerprints, continued runs, and when workers are started."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import null

from lab.config import RunConfig
from lab.errors import DeviceError, InputError
from lab.runs.owner import Owner, process_start, this_host
from lab.runs.records import CHECKPOINT, WEIGHTS, RunRecord, RunState, SavedFile, Series
from lab.service import workers
from lab.service.lab import Lab
from lab.settings import Settings
from lab.stored_findings import fill_missing_findings
from lab.worker.supervisor.launch import is_running
from tests.processes import idle_process
from tests.runs.runs_data import write_past_checks

CONFIG = RunConfig(dataset="digits")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


def _claim(lab: Lab, config: RunConfig = CONFIG) -> RunRecord:
    lab.submissions.submit(lab.validation.resolve(config))
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    return run


def _save_weights(
    lab: Lab, run: RunRecord, epoch: int, *, loss: float | None = None, step: int | None = None
) -> SavedFile:
    """Save weights of an epoch (ten steps each), with its validation loss if there is one."""
    step = epoch * 10 if step is None else step
    file = SavedFile(run.id, WEIGHTS, step, epoch, f"{run.id}/{step}", f"{step:064x}", 1, 0.0)
    if loss is not None:
        at = np.array([step])
        lab.store.points.append(run.id, run.lease, {"val/loss": Series("val/loss", at, np.array([loss]), at * 1.0)})
    lab.store.files.add(run.id, run.lease, file)
    return file


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_run_is_refused_if_the_device_of_the_lab_cannot_be_used(tmp_path: Path, device: str) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_DEVICE": "cuda:99"}))
    with pytest.raises(DeviceError, match=r"LAB_DEVICE cannot be used.*'cuda:99' is not on this machine"):
        lab.submissions.submit(lab.validation.resolve(CONFIG.replace(device=device)))
    assert lab.store.queue.count_queued() == 0


@pytest.mark.parametrize("end", [None, RunState.INTERRUPTED, RunState.FAILED, RunState.STOPPED, RunState.FINISHED])
def test_the_best_weights_are_those_of_the_lowest_validation_loss_however_the_run_ended(
    lab: Lab, end: RunState | None
) -> None:
    run = _claim(lab)
    files = [
        _save_weights(lab, run, epoch, loss=loss) for epoch, loss in enumerate([0.5, 0.25, 0.25, float("nan"), 0.4], 1)
    ]
    if end:
        lab.store.leases.finish(run.id, run.lease, state=end)
    assert lab.weights.find(run.id) == files[1]
    assert lab.weights.find(run.id, epoch="latest") == files[4]


def test_the_best_saved_weights_are_found_if_those_of_the_best_epoch_were_removed(lab: Lab) -> None:
    run = _claim(lab)
    dropped, second, _ = (_save_weights(lab, run, epoch, loss=loss) for epoch, loss in enumerate([0.1, 0.2, 0.3], 1))
    lab.store.files.remove(run.id, run.lease, [dropped.path])
    lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary={"best_epoch": 1})
    assert lab.weights.find(run.id) == second


def test_without_validation_the_newest_weights_are_the_best(lab: Lab) -> None:
    run = _claim(lab)
    files = [_save_weights(lab, run, epoch) for epoch in (1, 2)]
    assert lab.weights.find(run.id) == files[-1]


def test_the_fingerprint_of_a_fine_tuned_run_includes_the_weights_it_starts_from(lab: Lab) -> None:
    parent = _claim(lab)
    tuned = CONFIG.replace(init_from=parent.id, lr=1e-4)
    with pytest.raises(InputError, match="has no saved weights yet: wait for its first epoch"):
        lab.submissions.submit(lab.validation.resolve(tuned))
    _save_weights(lab, parent, 1, loss=0.5)
    first = lab.submissions.submit(lab.validation.resolve(tuned))
    assert lab.submissions.submit(lab.validation.resolve(tuned)).run.id == first.run.id
    _save_weights(lab, parent, 2, loss=0.6)  # not the best: the child would start from the same weights
    assert lab.submissions.submit(lab.validation.resolve(tuned)).run.id == first.run.id
    _save_weights(lab, parent, 3, loss=0.4)
    second = lab.submissions.submit(lab.validation.resolve(tuned))
    assert not second.cached
    assert {second.run.fingerprint, second.run.family}.isdisjoint({first.run.fingerprint, first.run.family})


def test_the_fingerprint_of_a_run_from_random_weights_is_the_digest_of_its_settings(lab: Lab) -> None:
    from lab.data.load import dataset_checksum

    checksum = dataset_checksum("digits", root=lab.settings.data)
    resolved = lab.validation.resolve(CONFIG)
    assert lab.submissions.fingerprint(resolved) == (
        resolved.config.digest(data_checksum=checksum),
        resolved.config.digest(data_checksum=checksum, without=("epochs",)),
    )


# -- a longer run continues a shorter one ------------------------------------------------------------------------------


def _ended(lab: Lab, *, checkpoint: bool = True, outcome: str = "finished", **changes: Any) -> RunRecord:
    """Return a finished run, with or without a checkpoint that another run could continue from."""
    run = _claim(lab, CONFIG.replace(**changes))
    if checkpoint:
        path = f"{run.id}/checkpoint"
        lab.store.files.add(run.id, run.lease, SavedFile(run.id, CHECKPOINT, 10, 1, path, "0" * 64, 1, 0.0))
    return lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary={"outcome": outcome})


def _parent(lab: Lab, *, fresh: bool = False, **changes: Any) -> str | None:
    """Return the id of the run that a new one with these settings continues, and delete the new one."""
    submission = lab.submissions.submit(lab.validation.resolve(CONFIG.replace(**changes)), fresh=fresh)
    assert not submission.cached
    lab.store.removal.delete(submission.run.id)
    return submission.run.parent


def test_a_longer_run_continues_the_longest_finished_one_of_its_settings_that_has_a_checkpoint(lab: Lab) -> None:
    assert _parent(lab, epochs=6) is None
    two, three = _ended(lab, epochs=2), _ended(lab, epochs=3)
    _ended(lab, epochs=4, checkpoint=False)
    _ended(lab, epochs=5, outcome="early-stopped")
    assert _parent(lab, epochs=6) == three.id
    assert _parent(lab, epochs=3, fresh=True) is None
    assert _parent(lab, epochs=6, fresh=True) is None
    assert _parent(lab, epochs=6, seed=1) is None
    lab.store.removal.delete(three.id)
    assert _parent(lab, epochs=3) == two.id
    assert _parent(lab, epochs=1) is None


@pytest.mark.parametrize(
    ("changes", "continued"),
    [
        ({}, True),
        ({"schedule": "step"}, True),
        ({"patience": 3}, True),
        ({"schedule": "cosine"}, False),
        ({"schedule": "one-cycle"}, False),
        ({"max_steps": 500}, False),
        ({"restore_best": True}, False),
    ],
)
def test_only_a_run_whose_end_does_not_depend_on_its_length_is_continued(
    lab: Lab, changes: dict[str, Any], continued: bool
) -> None:
    shorter = _ended(lab, epochs=2, **changes)
    assert bool(shorter.family) is continued
    assert _parent(lab, epochs=4, **changes) == (shorter.id if continued else None)


# -- weights -----------------------------------------------------------------------------------------------------------


def test_weights_are_found_by_epoch_and_an_unsaved_epoch_is_refused_with_the_saved_ones(lab: Lab) -> None:
    run = _claim(lab)
    files = [_save_weights(lab, run, epoch, loss=loss) for epoch, loss in ((1, 0.5), (2, 0.3), (4, 0.4))]
    again = _save_weights(lab, run, 4, step=45)  # saved inside the next epoch
    assert lab.weights.list(run.id) == (*files, again)
    assert [lab.weights.find(run.id, epoch=epoch) for epoch in (1, 2, 4)] == [files[0], files[1], again]
    assert lab.weights.find(run.id, epoch="latest") == again
    assert lab.weights.find(run.id) == files[1]
    with pytest.raises(InputError, match=f"Epoch 3 of run {run.name} was not saved; the saved epochs are: 1, 2, 4, 4"):
        lab.weights.find(run.id, epoch=3)


def test_the_normalisation_is_the_one_the_run_recorded_or_else_that_of_its_data_set(lab: Lab) -> None:
    run = _claim(lab)
    digits = lab.datasets.load("digits")
    assert lab.weights.normalization(run) == (digits.mean, digits.std)
    lab.store.leases.set_environment(run.id, run.lease, environment={"normalization": [0.25, 0.75]}, device="cpu")
    assert lab.weights.normalization(lab.store.runs.get(run.id)) == (0.25, 0.75)


# -- workers -----------------------------------------------------------------------------------------------------------


def test_without_work_no_worker_is_started(lab: Lab) -> None:
    assert lab.workers.ensure() is False
    _claim(lab)  # it is running, not queued
    assert lab.workers.ensure() is False
    assert not is_running(lab.settings)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_worker_is_warmed_up_in_advance_unless_the_lab_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    started: list[bool] = []
    monkeypatch.setattr(workers, "start_supervisor", lambda _settings, warm=False: started.append(warm))
    environment = {"LAB_HOME": str(tmp_path)} | ({"LAB_READ_ONLY": "1"} if read_only else {})
    Lab(Settings.from_env(environment)).workers.warm_up()
    assert started == ([] if read_only else [True])


@pytest.mark.parametrize("training", [False, True])
def test_a_supervisor_with_other_settings_is_terminated_unless_it_is_training(lab: Lab, training: bool) -> None:
    if training:
        _claim(lab)
    with idle_process() as process:
        pid_file = {"pid": process.pid, "pid_start": process_start(process.pid), "host": this_host()}
        settings = {**lab.settings.environment(), "LAB_DATA": "/elsewhere"}
        (lab.settings.home / "supervisor.json").write_text(json.dumps({**pid_file, "settings": settings}))
        lab.submissions.submit(lab.validation.resolve(CONFIG.replace(seed=1)))
        if training:
            time.sleep(0.1)
            assert process.poll() is None
        else:
            assert process.wait(120) == -signal.SIGTERM


def test_missing_findings_are_filled_in_within_the_time_budget_and_only_for_given_runs(lab: Lab) -> None:
    first, second = _ended(lab), _ended(lab, seed=1)
    for run in (first, second):
        write_past_checks(lab.store, run.id, checksum=False, findings=null())
    assert fill_missing_findings(lab.store, budget_s=0.0) == 0
    assert fill_missing_findings(lab.store, budget_s=9.0, ids=[first.id]) == 1
    assert [run for _, run in lab.store.findings.list_without_findings(limit=9)] == [second.id]
    assert fill_missing_findings(lab.store, budget_s=9.0) == 1
    assert fill_missing_findings(lab.store, budget_s=9.0) == 0
