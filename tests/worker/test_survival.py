"""A worker outlives the server that started it, handles pause, resume and stop, and exits cleanly when asked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.errors import RunStateError
from lab.runs.owner import process_start
from lab.runs.records import CHECKPOINT, RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor.launch import is_running, stop_mismatched_supervisor

pytestmark = pytest.mark.long

TIMEOUT_S = 180.0
LONG = RunConfig(arch="lenet5", dataset="digits", epochs=2_000, batch_size=16, keep_mb=1)
_SERVER = """
import sys, time
from lab.config import RunConfig
from lab.service.lab import Lab
from lab.settings import Settings
lab = Lab(Settings.from_env({"LAB_HOME": sys.argv[1]}))
changes = {"dataset": "digits", "epochs": 2000, "batch_size": 16, "keep_mb": 1}
config = RunConfig.from_dict({**RunConfig().as_dict(), **changes})
run = lab.submissions.submit(lab.validation.resolve(config)).run
lab.workers.ensure()
print(run.id, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path_factory.mktemp("survival"))}))


def _until(lab: Lab, run: str, condition: Callable[[RunRecord], bool]) -> RunRecord:
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        record = lab.store.runs.get(run)
        if condition(record):
            return record
        time.sleep(0.05)
    raise AssertionError(f"waited {TIMEOUT_S} s: {lab.store.runs.get(run)}")


def _step(record: RunRecord) -> int:
    return int(record.progress.step or 0)


def _supervisor_pid(lab: Lab) -> int:
    return int(json.loads((lab.settings.home / "supervisor.json").read_text())["pid"])


@pytest.fixture(scope="module")
def run(lab: Lab) -> str:
    """A run that a server queued before it was killed with its whole process group."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(lab.settings.home)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        run = server.stdout.readline().strip()
        os.killpg(server.pid, signal.SIGKILL)
    return run


def _continues_without_its_server(lab: Lab, run: str) -> None:
    first = _until(lab, run, lambda r: _step(r) > 0)
    assert first.state is RunState.RUNNING
    _until(lab, run, lambda r: _step(r) > _step(first) + 600)


def _is_paused_at_the_current_step_and_continues_from_it(lab: Lab, run: str) -> None:
    lab.submissions.control(run, RunRequest.PAUSE)
    paused = _until(lab, run, lambda r: r.state is RunState.PAUSED)
    (checkpoint,) = lab.store.files.list(run, kind=CHECKPOINT)
    assert checkpoint.step == paused.summary.step
    lab.submissions.control(run, RunRequest.RUN)
    _until(lab, run, lambda r: r.state is RunState.RUNNING and _step(r) > checkpoint.step)
    steps = lab.store.points.read(run, series=["batch/loss"])["batch/loss"].step.tolist()
    assert steps == list(range(1, len(steps) + 1))


def _is_interrupted_with_a_checkpoint_if_its_worker_is_asked_to_end(lab: Lab, run: str) -> None:
    os.kill(_supervisor_pid(lab), signal.SIGTERM)
    record = _until(lab, run, lambda r: r.state is not RunState.RUNNING)
    assert record.state is RunState.INTERRUPTED
    assert "asked to end" in record.reason  # it exited by itself, and was not killed after the timeout
    (checkpoint,) = lab.store.files.list(run, kind=CHECKPOINT)
    assert checkpoint.step == record.summary.step
    end = time.monotonic() + TIMEOUT_S
    while is_running(lab.settings) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_running(lab.settings)


def _is_resumed_with_a_new_worker_and_stopped_with_its_weights(lab: Lab, run: str) -> None:
    before = lab.store.runs.get(run).summary.step
    lab.submissions.control(run, RunRequest.RUN)
    assert lab.workers.ensure()
    _until(lab, run, lambda r: _step(r) > before)
    lab.submissions.control(run, RunRequest.STOP)
    stopped = _until(lab, run, lambda r: r.state is RunState.STOPPED)
    assert stopped.attempts == 3
    assert lab.weights.load(run, epoch="latest").step <= stopped.summary.step


def _cannot_be_paused_once_stopped(lab: Lab, run: str) -> None:
    with pytest.raises(RunStateError, match="cannot be paused"):
        lab.submissions.control(run, RunRequest.PAUSE)


def _has_its_best_and_newest_weights_within_the_disk_budget(lab: Lab, run: str) -> None:
    saved = lab.weights.list(run)
    assert sum(file.bytes for file in saved) <= 1_000_000
    assert any("disk budget" in notice for notice in lab.store.runs.get(run).notices)


def test_a_run_outlives_its_server_and_its_worker_is_paused_resumed_and_stopped(lab: Lab, run: str) -> None:
    for check in (
        _continues_without_its_server,
        _is_paused_at_the_current_step_and_continues_from_it,
        _is_interrupted_with_a_checkpoint_if_its_worker_is_asked_to_end,
        _is_resumed_with_a_new_worker_and_stopped_with_its_weights,
        _cannot_be_paused_once_stopped,
        _has_its_best_and_newest_weights_within_the_disk_budget,
    ):
        check(lab, run)


def test_the_run_of_a_killed_worker_is_interrupted_and_the_next_run_is_trained(lab: Lab) -> None:
    killed = lab.submissions.submit(lab.validation.resolve(LONG), fresh=True).run.id
    waiting = lab.submissions.submit(lab.validation.resolve(LONG.replace(epochs=1, keep_mb=10)), fresh=True).run.id
    lab.workers.ensure()
    _until(lab, killed, lambda r: _step(r) > 0)
    for pid in _children(_supervisor_pid(lab)):
        os.kill(pid, signal.SIGKILL)
    assert _until(lab, killed, lambda r: r.state is not RunState.RUNNING).state is RunState.INTERRUPTED
    assert _until(lab, waiting, lambda r: r.state is RunState.FINISHED).attempts == 1
    # Logged when the process exited, not when the lease expired.
    assert "the worker ended with exit code -9" in (lab.settings.home / "logs" / "worker.log").read_text()


def _children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_supervisor_with_other_settings_is_stopped(lab: Lab, tmp_path: Path) -> None:
    run = lab.submissions.submit(lab.validation.resolve(LONG.replace(epochs=1, keep_mb=10)), fresh=True).run.id
    lab.workers.ensure()
    _until(lab, run, lambda r: r.state is RunState.FINISHED)
    assert is_running(lab.settings)
    pid = _supervisor_pid(lab)
    stop_mismatched_supervisor(lab.settings)
    assert process_start(pid) is not None
    stop_mismatched_supervisor(Settings.from_env({"LAB_HOME": str(lab.settings.home), "LAB_DATA": str(tmp_path)}))
    assert not is_running(lab.settings)
