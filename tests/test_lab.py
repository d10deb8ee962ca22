"""What the lab answers before anything is trained: which device, which run is the same, which weights are the best."""

from pathlib import Path

import numpy as np
import pytest

from lab.config import RunConfig
from lab.errors import DeviceError, InputError
from lab.runs.owner import Owner
from lab.runs.records import WEIGHTS, RunRecord, RunState, SavedFile, Series
from lab.service.lab import Lab
from lab.settings import Settings

CONFIG = RunConfig(dataset="digits")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


def _claim(lab: Lab, config: RunConfig = CONFIG) -> RunRecord:
    lab.submissions.submit(lab.validation.resolve(config))
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    return run


def _keep(lab: Lab, run: RunRecord, epoch: int, *, loss: float | None = None, step: int | None = None) -> SavedFile:
    """Keep an epoch's weights (ten steps each), with its validation loss if there is one."""
    step = epoch * 10 if step is None else step
    file = SavedFile(run.id, WEIGHTS, step, epoch, f"{run.id}/{step}", f"{step:064x}", 1, 0.0)
    if loss is not None:
        at = np.array([step])
        lab.store.points.append(run.id, run.lease, {"val/loss": Series("val/loss", at, np.array([loss]), at * 1.0)})
    lab.store.files.add(run.id, run.lease, file)
    return file


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_worker_that_could_not_start_is_noticed_before_a_run_waits_for_it(tmp_path: Path, device: str) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_DEVICE": "cuda:99"}))
    with pytest.raises(DeviceError, match=r"LAB_DEVICE cannot be used.*'cuda:99' is not on this machine"):
        lab.submissions.submit(lab.validation.resolve(CONFIG.replace(device=device)))
    assert lab.store.queue.count_queued() == 0


@pytest.mark.parametrize("end", [None, RunState.INTERRUPTED, RunState.FAILED, RunState.STOPPED, RunState.FINISHED])
def test_the_best_weights_are_those_of_the_lowest_validation_loss_however_the_run_ended(
    lab: Lab, end: RunState | None
) -> None:
    run = _claim(lab)
    kept = [_keep(lab, run, epoch, loss=loss) for epoch, loss in enumerate([0.5, 0.25, 0.25, float("nan"), 0.4], 1)]
    if end:
        lab.store.leases.finish(run.id, run.lease, state=end)
    assert lab.weights.find(run.id) == kept[1]
    assert lab.weights.find(run.id, epoch="latest") == kept[4]


def test_where_the_best_epoch_was_dropped_the_best_of_the_kept_ones_is_returned(lab: Lab) -> None:
    run = _claim(lab)
    dropped, second, _ = (_keep(lab, run, epoch, loss=loss) for epoch, loss in enumerate([0.1, 0.2, 0.3], 1))
    lab.store.files.remove(run.id, run.lease, [dropped.path])
    lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary={"best_epoch": 1})
    assert lab.weights.find(run.id) == second


def test_without_validation_the_newest_weights_are_the_best(lab: Lab) -> None:
    run = _claim(lab)
    files = [_keep(lab, run, epoch) for epoch in (1, 2)]
    assert lab.weights.find(run.id) == files[-1]


def test_a_fine_tuned_run_is_asked_for_by_the_weights_it_starts_from(lab: Lab) -> None:
    parent = _claim(lab)
    tuned = CONFIG.replace(init_from=parent.id, lr=1e-4)
    with pytest.raises(InputError, match="has no saved weights yet: wait for its first epoch"):
        lab.submissions.submit(lab.validation.resolve(tuned))
    _keep(lab, parent, 1, loss=0.5)
    first = lab.submissions.submit(lab.validation.resolve(tuned))
    assert lab.submissions.submit(lab.validation.resolve(tuned)).run.id == first.run.id
    _keep(lab, parent, 2, loss=0.6)  # not the best: the child would start from the same weights
    assert lab.submissions.submit(lab.validation.resolve(tuned)).run.id == first.run.id
    _keep(lab, parent, 3, loss=0.4)
    second = lab.submissions.submit(lab.validation.resolve(tuned))
    assert not second.cached
    assert {second.run.fingerprint, second.run.family}.isdisjoint({first.run.fingerprint, first.run.family})


def test_the_fingerprint_of_a_run_from_fresh_weights_stays_what_it_was(lab: Lab) -> None:
    from lab.data.load import dataset_checksum

    checksum = dataset_checksum("digits", root=lab.settings.data)
    resolved = lab.validation.resolve(CONFIG)
    assert lab.submissions.fingerprint(resolved) == (
        resolved.config.digest(data_checksum=checksum),
        resolved.config.digest(data_checksum=checksum, without=("epochs",)),
    )
