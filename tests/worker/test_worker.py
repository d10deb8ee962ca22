"""What a worker does with one run: where it starts, what it hears on the way, and how it ends."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lab.runs.leases import Leases
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.training.events import Command
from lab.worker import heartbeat
from lab.worker.execution import execute
from lab.worker.heartbeat import Heartbeat
from tests.worker.worker_runs import SMALL, claim, open_lab, train, work_off


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def _weights(lab: Lab, run: RunRecord) -> list[str]:
    return [kept.sha256 for kept in lab.weights.list(run.id)]


def _interrupt(lab: Lab) -> RunRecord:
    """Have a worker take the queued run and leave at once, with a checkpoint."""
    ending = threading.Event()
    ending.set()
    run = claim(lab)
    execute(lab, run, ending=ending)
    return lab.store.runs.get(run.id)


def _remove(lab: Lab, run: RunRecord) -> None:
    lab.store.removal.delete(run.id)
    lab.store.removal.purge(lab.artifacts.delete, older_than_s=0)


@pytest.mark.parametrize("purged", [False, True])
def test_a_longer_run_outlives_the_shorter_one_it_continues(lab: Lab, purged: bool) -> None:
    shorter = train(lab)
    longer = lab.submissions.submit(lab.validation.resolve(SMALL.replace(epochs=2))).run
    assert longer.parent == shorter.id
    if purged:
        _remove(lab, shorter)
    else:
        lab.store.removal.delete(shorter.id)
    done = work_off(lab)
    assert (done.id, done.state, done.reason) == (longer.id, RunState.FINISHED, "")
    assert lab.store.points.read(done.id)["val/loss"].step.tolist() == [0, 2, 4]
    lab.submissions.submit(lab.validation.resolve(SMALL.replace(epochs=2)), fresh=True)
    assert _weights(lab, done) == _weights(lab, work_off(lab))


def test_a_fine_tuned_run_is_resumed_without_the_run_it_came_from(lab: Lab) -> None:
    parent = train(lab)
    tuned = SMALL.replace(init_from=parent.id, lr=1e-4)
    whole = train(lab, tuned)
    lab.submissions.submit(lab.validation.resolve(tuned), fresh=True)
    cut = _interrupt(lab)
    assert cut.state is RunState.INTERRUPTED
    _remove(lab, parent)
    lab.submissions.control(cut.id, RunRequest.RUN)
    resumed = work_off(lab)
    assert (resumed.state, resumed.reason) == (RunState.FINISHED, "")
    assert _weights(lab, resumed) == _weights(lab, whole)


def test_a_wish_is_heard_though_the_disk_is_too_full_to_renew_the_lease(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.01)
    monkeypatch.setattr(heartbeat, "RENEW_S", 0.1)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    run = claim(lab)
    with lab.store.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE UPDATE OF lease_until ON runs "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with Heartbeat(lab, run, threading.Event()) as beat:
        time.sleep(0.3)
        assert beat.command() is Command.RUN
        lab.submissions.control(run.id, RunRequest.STOP)
        end = time.monotonic() + 5
        while beat.command() is Command.RUN and time.monotonic() < end:
            time.sleep(0.01)
        assert beat.command() is Command.STOP
        assert not beat.lost


class _SlowToFinish(Leases):
    """Counts the renewals of the lease while a run's end is written down."""

    renewed = 0
    meanwhile = 0

    def heartbeat(self, run: str, lease: int) -> RunRequest:
        self.renewed += 1
        return super().heartbeat(run, lease)

    def finish(self, run: str, lease: int, **result: Any) -> RunRecord:
        before = self.renewed
        time.sleep(0.3)
        self.meanwhile = self.renewed - before
        return super().finish(run, lease, **result)


def test_the_lease_is_renewed_while_the_end_of_a_long_run_is_written_down(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.01)
    monkeypatch.setattr(heartbeat, "RENEW_S", 0.05)
    leases = _SlowToFinish(lab.store.context)
    monkeypatch.setattr(lab.store, "leases", leases)
    assert train(lab).state is RunState.FINISHED
    assert leases.meanwhile > 0
