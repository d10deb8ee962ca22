"""A lab of its own and runs of a moment, trained in the test's process as the worker trains them."""

import threading
import time
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

SMALL = RunConfig(arch="lenet5", dataset="digits", train_limit=64, batch_size=32, epochs=1, device="cpu")
LIMIT_S = 120.0  # ends a test that hangs; whatever is waited for comes within moments on an idle machine


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


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what must come."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s"
        time.sleep(0.005)


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
