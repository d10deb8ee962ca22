"""A lab of its own and runs of a moment, trained in the test's process as the worker trains them."""

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
    """Return an empty lab; `more` are variables of its environment."""
    return Lab(Settings.from_env({"LAB_HOME": str(home), **more}))


def claim(lab: Lab) -> RunRecord:
    """Take the run that is queued."""
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    return run


def work_off(lab: Lab) -> RunRecord:
    """Train the run that is queued to its end and return it."""
    run = claim(lab)
    execute(lab, run, ending=threading.Event())
    return lab.store.runs.get(run.id, deleted=True)


def train(lab: Lab, config: RunConfig = SMALL) -> RunRecord:
    """Ask for a run, train it and return it."""
    lab.submissions.submit(lab.validation.resolve(config))
    return work_off(lab)


class Pauses(threading.Event):
    """An event that lets no time pass where it is waited for, and is set after some waits. taken: their lengths in seconds."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.taken: list[float] = []
        self._most = most

    def wait(self, timeout: float | None = None) -> bool:
        self.taken.append(timeout or 0.0)
        return len(self.taken) >= self._most


class Passing(threading.Event):
    """An event that is never set, and a clock on which time passes only where it is waited for: a stand-in for `time`."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return False


def between_steps(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[Heartbeat], None], *, when: Callable[[RunRecord], bool]
) -> None:
    """Act once where a training loop asks what to do next and `when` holds for its stored run; its answer is the real one.

    The loop waits meanwhile, so that no machine is too slow to catch a run at this point.
    """
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.005)
    answer, acted = Heartbeat.command, threading.Event()

    def command(beat: Heartbeat) -> Command:
        if not acted.is_set() and when(beat.lab.store.runs.get(beat.run.id)):
            acted.set()
            act(beat)
        return answer(beat)

    monkeypatch.setattr(Heartbeat, "command", command)


def request_and_wait(request: RunRequest) -> Callable[[Heartbeat], None]:
    """Return what puts a request into the store and waits until the heartbeat has read it there."""

    def act(beat: Heartbeat) -> None:
        beat.lab.submissions.control(beat.run.id, request)
        wait_until(lambda: beat.requested is request)

    return act
