"""What a worker does with one run: where it starts, what it hears on the way, and how it ends."""

import threading
from pathlib import Path

import pytest

from lab.experiment import Lab
from lab.runs.records import RunRecord, RunState, Want
from lab.worker import execute
from tests.worker.worker_runs import SMALL, claim, open_lab, train, work_off


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def _weights(lab: Lab, run: RunRecord) -> list[str]:
    return [kept.sha256 for kept in lab.kept_epochs(run.id)]


def _interrupt(lab: Lab) -> RunRecord:
    """Have a worker take the queued run and leave at once, with a checkpoint."""
    ending = threading.Event()
    ending.set()
    run = claim(lab)
    execute(lab, run, ending=ending)
    return lab.store.get(run.id)


def _remove(lab: Lab, run: RunRecord) -> None:
    lab.store.delete(run.id)
    lab.artifacts.delete(lab.store.purge(older_than_s=0))


@pytest.mark.parametrize("purged", [False, True])
def test_a_longer_run_outlives_the_shorter_one_it_continues(lab: Lab, purged: bool) -> None:
    shorter = train(lab)
    longer = lab.submit(SMALL.replace(epochs=2)).run
    assert longer.parent == shorter.id
    if purged:
        _remove(lab, shorter)
    else:
        lab.store.delete(shorter.id)
    done = work_off(lab)
    assert (done.id, done.state, done.reason) == (longer.id, RunState.FINISHED, "")
    assert lab.store.points(done.id)["val/loss"].step.tolist() == [0, 2, 4]
    lab.submit(SMALL.replace(epochs=2), fresh=True)
    assert _weights(lab, done) == _weights(lab, work_off(lab))


def test_a_fine_tuned_run_is_resumed_without_the_run_it_came_from(lab: Lab) -> None:
    parent = train(lab)
    tuned = SMALL.replace(init_from=parent.id, lr=1e-4)
    whole = train(lab, tuned)
    lab.submit(tuned, fresh=True)
    cut = _interrupt(lab)
    assert cut.state is RunState.INTERRUPTED
    _remove(lab, parent)
    lab.control(cut.id, Want.RUN)
    resumed = work_off(lab)
    assert (resumed.state, resumed.reason) == (RunState.FINISHED, "")
    assert _weights(lab, resumed) == _weights(lab, whole)
