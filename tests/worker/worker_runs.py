"""A separate lab and short runs, trained in the process of the test as a worker trains them."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest
from lab.service.lab import Lab
from lab.settings import Settings
from lab.training.events import Command
from lab.worker import heartbeat
from lab.worker.execution import execute
from lab.worker.heartbeat import Heartbeat
from tests.waiting import wait_until

SMALL = RunConfig(arch="lenet5", dataset="digits", train_limit=64, batch_size=32, epochs=1, device="cpu")


def open_lab(home: Path, **more: str) -> Lab:
    """Return the lab in `home`, with further environment variables."""
    return Lab(Settings.from_env({"LAB_HOME": str(home), **more}))


def claim(lab: Lab) -> RunRecord:
    """Claim the queued run."""
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    return run


def train_queued(lab: Lab) -> RunRecord:
    """Train the queued run to its end and return it."""
    run = claim(lab)
    execute(lab, run, ending=threading.Event())
    return lab.store.runs.get(run.id, deleted=True)


def train(lab: Lab, config: RunConfig = SMALL) -> RunRecord:
    """Submit a run, train it and return it."""
    lab.submissions.submit(lab.validation.resolve(config))
    return train_queued(lab)


class Pauses(threading.Event):
    """An event whose waits return at once, and that is set after `most` waits. taken: the waits in seconds."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.taken: list[float] = []
        self._most = most

    def wait(self, timeout: float | None = None) -> bool:
        self.taken.append(timeout or 0.0)
        return len(self.taken) >= self._most


class Passing(threading.Event):
    """An event that is never set, and a fake `time` on which time passes only in waits for the event."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return False


def between_steps(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[Heartbeat], None], *, when: Callable[[RunRecord], bool]
) -> None:
    """Call `act` once when the training loop polls for a command and `when` is true of its stored run.

    The loop waits meanwhile, so a run is caught at this point even on a slow machine; it then gets the real command.
    """
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.005)
    real, acted = Heartbeat.command, threading.Event()

    def command(beat: Heartbeat) -> Command:
        if not acted.is_set() and when(beat.lab.store.runs.get(beat.run.id)):
            acted.set()
            act(beat)
        return real(beat)

    monkeypatch.setattr(Heartbeat, "command", command)


def request_and_wait(request: RunRequest) -> Callable[[Heartbeat], None]:
    """Return an `act` that stores a request and waits until the heartbeat has read it."""

    def act(beat: Heartbeat) -> None:
        beat.lab.submissions.control(beat.run.id, request)
        wait_until(lambda: beat.requested is request)

    return act
