"""The heartbeat: it renews a lease long before it expires, and ends a training whose lease was lost."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.runs.leases import Leases
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.rows import LEASE_S, RENEW_S
from lab.service.lab import Lab
from lab.training.events import Command
from lab.worker import heartbeat
from lab.worker.heartbeat import Heartbeat
from tests.waiting import wait_until
from tests.worker.worker_runs import SMALL, Pauses, claim, open_lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


@pytest.fixture
def run(lab: Lab) -> RunRecord:
    """A run that this process has claimed."""
    lab.submissions.submit(lab.validation.resolve(SMALL))
    return claim(lab)


def _wait_for_command(beat: Heartbeat) -> Command:
    wait_until(lambda: beat.command() is not Command.RUN)
    return beat.command()


def test_training_stops_when_the_run_lost_its_lease(lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.01)
    monkeypatch.setattr(heartbeat, "RENEW_S", 0.05)
    with Heartbeat(lab, run, threading.Event()) as beat:
        lab.store.leases.finish(run.id, run.lease, state=RunState.INTERRUPTED)  # as a supervisor elsewhere would
        assert _wait_for_command(beat) is Command.STOP
        assert beat.lost


@pytest.mark.parametrize(("request_", "command"), [(RunRequest.PAUSE, Command.PAUSE), (RunRequest.STOP, Command.STOP)])
def test_a_request_is_read_between_two_renewals(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch, request_: RunRequest, command: Command
) -> None:
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.01)
    monkeypatch.setattr(heartbeat, "RENEW_S", 3600.0)
    with Heartbeat(lab, run, threading.Event()) as beat:
        lab.submissions.control(run.id, request_)
        assert _wait_for_command(beat) is command


def test_the_runs_in_training_are_counted_at_a_renewal(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.001)
    monkeypatch.setattr(heartbeat, "RENEW_S", 0.001)
    lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=5)))
    assert lab.store.leases.claim(slot="another", owner=Owner.of_this_process()) is not None
    with Heartbeat(lab, run, threading.Event()) as beat:
        wait_until(lambda: beat.pace.training == 2)


class _Renewals(Leases):
    """Records when the lease is renewed, by the clock of the test."""

    at: list[float]
    clock: SimpleNamespace

    def heartbeat(self, run: str, lease: int) -> RunRequest:
        self.at.append(self.clock.now)
        return super().heartbeat(run, lease)


def test_a_lease_is_renewed_several_times_before_it_would_expire(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock on which every poll of the request takes half a second."""
    leases = _Renewals(lab.store.context)
    leases.at, leases.clock = [], SimpleNamespace(now=0.0)

    def monotonic() -> float:
        leases.clock.now += 0.25  # read twice if a renewal is due
        return float(leases.clock.now)

    monkeypatch.setattr(lab.store, "leases", leases)
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.001)
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=monotonic))
    with Heartbeat(lab, run, threading.Event()):
        wait_until(lambda: len(leases.at) >= 5)
    gaps = [later - earlier for earlier, later in zip(leases.at, leases.at[1:])]
    assert len(gaps) >= 4
    assert max(gaps) <= LEASE_S / 3
    assert min(gaps) >= RENEW_S  # and no more often: each renewal is a transaction


def test_a_stop_request_is_read_at_the_next_poll_within_half_a_second(lab: Lab, run: RunRecord) -> None:
    """With the intervals of a real worker."""
    pauses = Pauses(2)
    beat = Heartbeat(lab, run, threading.Event(), _done=pauses)
    lab.submissions.control(run.id, RunRequest.STOP)
    beat._beat()
    assert beat.command() is Command.STOP
    assert max(pauses.taken) <= 0.5
