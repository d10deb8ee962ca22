"""A supervisor that is killed without its worker: the worker continues, and a new supervisor adopts it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.runs.owner import process_start
from lab.runs.records import RunRecord, RunState
from lab.runs.row_changes import sound_row
from lab.service.lab import Lab
from lab.worker.supervisor.launch import is_running
from tests.waiting import wait_until
from tests.worker.worker_runs import open_lab

pytestmark = pytest.mark.long

LONG = RunConfig(arch="lenet5", dataset="digits", epochs=2_000, batch_size=16, keep_mb=1, device="cpu")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = open_lab(tmp_path)
    yield lab
    if is_running(lab.settings):
        os.kill(_pid(lab, "supervisor"), signal.SIGTERM)
    wait_until(lambda: not is_running(lab.settings))


def _pid(lab: Lab, process: str) -> int:
    return int(json.loads((lab.settings.home / f"{process}.json").read_text())["pid"])


def _step(run: RunRecord) -> int:
    return int(run.progress.step or 0)


def _workers(lab: Lab) -> int:
    """Return how many workers of this lab are alive."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            home = f"LAB_HOME={lab.settings.home}".encode()
            found += b"lab.worker" in arguments and home in (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has just exited
            continue
    return found


def test_a_supervisor_killed_without_its_worker_is_started_again_and_adopts_it(lab: Lab) -> None:
    run = lab.submissions.submit(lab.validation.resolve(LONG)).run.id
    assert lab.workers.ensure()
    wait_until(lambda: _step(lab.store.runs.get(run)) > 0)
    supervisor, worker = _pid(lab, "supervisor"), _pid(lab, "worker")
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: _pid(lab, "supervisor") != supervisor and is_running(lab.settings))
    step = _step(lab.store.runs.get(run))
    wait_until(lambda: _step(lab.store.runs.get(run)) > step)
    assert process_start(worker) is not None
    assert _workers(lab) == 1
    assert lab.store.runs.get(run).attempts == 1
    waiting = lab.submissions.submit(lab.validation.resolve(LONG.replace(epochs=1)), fresh=True).run.id
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: _stored_state(lab, run) == "interrupted")
    wait_until(lambda: lab.store.runs.get(waiting).state is RunState.FINISHED)
    assert _pid(lab, "worker") != worker


def _stored_state(lab: Lab, run: str) -> str:
    with lab.store.database.read() as connection:
        return str(sound_row(connection, run).state)


def test_a_new_supervisor_that_is_asked_to_end_ends_the_worker_it_adopted(lab: Lab) -> None:
    run = lab.submissions.submit(lab.validation.resolve(LONG)).run.id
    lab.workers.ensure()
    wait_until(lambda: _step(lab.store.runs.get(run)) > 0)
    supervisor = _pid(lab, "supervisor")
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: _pid(lab, "supervisor") != supervisor and is_running(lab.settings))
    os.kill(_pid(lab, "supervisor"), signal.SIGTERM)
    wait_until(lambda: not is_running(lab.settings))
    assert _workers(lab) == 0
    ended = lab.store.runs.get(run)
    assert ended.state is RunState.INTERRUPTED
    assert "asked to end" in ended.reason
