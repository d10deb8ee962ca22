"""A worker that is suspended inside a write transaction (SIGSTOP): what others are told, and what is there afterwards."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.config import RunConfig
from lab.errors import StoreBusyError
from lab.runs.records import RunRequest, RunState
from lab.runs.store import RunStore
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BUSY_S = 0.2
WRITER = """
import os, signal, sys
import numpy as np
from sqlalchemy import event
from lab.runs.owner import Owner
from lab.runs.records import Series
from lab.runs.store import RunStore
store = RunStore.open(sys.argv[1])
run = store.leases.claim(slot="cpu", owner=Owner.of_this_process())
step = np.arange(1, 6)
store.points.append(run.id, run.lease, {"a": Series("a", step, step / 7, step * 1.0)})
@event.listens_for(store.database.engine, "commit", once=True)
def suspend(_connection):
    os.kill(os.getpid(), signal.SIGSTOP)
store.points.append(run.id, run.lease, {"a": Series("a", step + 5, (step + 5) / 7, step * 1.0)})
print("acknowledged", store.leases.heartbeat(run.id, run.lease).value, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    opened = RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}", busy_s=BUSY_S)
    opened.queue.submit(RunConfig(), fingerprint="f", family="f")
    yield opened
    opened.close()


@pytest.fixture
def writer(store: RunStore, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Give a process that is suspended between its second write of points and the commit."""
    words = [sys.executable, "-c", WRITER, f"sqlite:///{tmp_path / 'lab.db'}"]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def _refused(store: RunStore, run: str, path: Path) -> None:
    """Ask for what cannot be written now, and check the message: how long, what became of it, and the way out."""
    before = store.runs.get(run)
    for request in (RunRequest.STOP, RunRequest.PAUSE):
        with pytest.raises(StoreBusyError) as refused:
            store.leases.request(run, request)
        assert str(refused.value) == (
            f"The run store was held by another process for more than {BUSY_S:g} s, so nothing was written: try again. "
            f"If that does not help, a suspended process has {path} open: continue it, or end it."
        )
    assert store.runs.get(run) == before  # reading goes on


def _steps(store: RunStore, run: str) -> list[int]:
    return store.points.read(run)["a"].step.tolist()


def test_a_writer_that_is_continued_finishes_its_write_and_obeys_the_repeated_request(
    store: RunStore, writer: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    (run,) = store.runs.list()
    _refused(store, run.id, tmp_path / "lab.db")
    assert (run.state, _steps(store, run.id)) == (RunState.RUNNING, [1, 2, 3, 4, 5])
    writer.send_signal(signal.SIGCONT)
    assert writer.stdout is not None
    assert re.fullmatch(r"acknowledged (run|RUN)\n", writer.stdout.readline())
    assert _steps(store, run.id) == list(range(1, 11))
    assert store.leases.request(run.id, RunRequest.STOP).state is RunState.STOPPING
    assert store.integrity.verify(run.id) == ()


def test_after_a_writer_that_is_killed_what_it_acknowledged_is_there_and_its_run_resumes(
    store: RunStore, writer: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    (run,) = store.runs.list()
    _refused(store, run.id, tmp_path / "lab.db")
    writer.kill()
    writer.wait(timeout=60)
    assert store.runs.get(run.id).state is RunState.INTERRUPTED
    assert _steps(store, run.id) == [1, 2, 3, 4, 5]
    assert store.integrity.verify(run.id) == ()
    resumed = store.leases.request(run.id, RunRequest.RUN)
    assert (resumed.state, resumed.attempts) == (RunState.QUEUED, 1)
