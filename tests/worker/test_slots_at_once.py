"""Two real workers on two slots: two runs at once, each with the bits that it has alone with as many threads."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lab.config import RunConfig
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.worker.supervisor.launch import is_running
from lab.worker.supervisor.pid_files import list_worker_pid_files, read_pid_file, supervisor_pid_path
from tests.processes import end_workers
from tests.worker.worker_runs import open_lab

TIMEOUT_S = 180.0
# A batch is large enough for a CPU's usual number of threads (`lab.worker.threads`).
SHORT = RunConfig(arch="lenet5", dataset="digits", train_limit=400, batch_size=100, epochs=40, device="cpu", keep_mb=1)
LONG = SHORT.replace(epochs=5_000)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab of two slots whose workers have one thread each."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    lab = open_lab(tmp_path, LAB_DEVICE="cpu")
    lab.machines.set_slots(2)
    yield lab
    running = read_pid_file(supervisor_pid_path(lab.settings))
    if running is not None and is_running(lab.settings):
        os.kill(running.owner.pid, signal.SIGTERM)
        _until(lambda: not is_running(lab.settings))
    end_workers(tmp_path)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, f"waited {TIMEOUT_S} s"
        time.sleep(0.05)


def _submit(lab: Lab, config: RunConfig, *, fresh: bool = False) -> str:
    run = lab.submissions.submit(lab.validation.resolve(config), fresh=fresh).run.id
    lab.workers.ensure()
    return run


def _finished(lab: Lab, run: str) -> RunRecord:
    _until(lambda: lab.store.runs.get(run).state is RunState.FINISHED)
    return lab.store.runs.get(run)


def _held(lab: Lab) -> dict[str, str]:
    return {worker.slot: worker.run for worker in lab.store.workers.list() if worker.alive and worker.run}


def _same_bits(lab: Lab, one: str, other: str) -> None:
    left, right = lab.store.points.read(one), lab.store.points.read(other)
    assert left.keys() == right.keys()
    for name in left.keys() - {"images_per_second", "memory_mb"}:
        series = left[name]
        np.testing.assert_array_equal(series.step, right[name].step, err_msg=name)
        np.testing.assert_array_equal(series.value, right[name].value, err_msg=name)
    saved = [[(file.step, file.kind, file.sha256) for file in lab.store.files.list(run)] for run in (one, other)]
    assert [entry[:2] for entry in saved[0]] == [entry[:2] for entry in saved[1]]
    weights = [[entry for entry in files if entry[1] == "weights"] for files in saved]
    assert weights[0]
    assert weights[0] == weights[1]


def test_two_runs_at_once_have_the_bits_that_they_have_alone(lab: Lab) -> None:
    configs = [SHORT.replace(seed=seed) for seed in (1, 2)]
    blocker = [_submit(lab, LONG.replace(seed=seed)) for seed in (3, 4)]  # until both workers are there
    _until(lambda: _held(lab).keys() == {"cpu", "cpu #2"})
    together = [_submit(lab, config) for config in configs]
    lab.store.leases.request(blocker[0], RunRequest.STOP)
    lab.store.leases.request(blocker[1], RunRequest.STOP)
    both = [_finished(lab, run) for run in together]
    first, second = sorted(both, key=lambda run: run.started_at or 0.0)
    assert (second.started_at or 0.0) < (first.finished_at or 0.0)
    assert [run.environment.threads for run in both] == [1, 1]
    for run, config in zip(together, configs, strict=True):
        alone = _submit(lab, config, fresh=True)
        _finished(lab, alone)  # before the next one is asked for
        _same_bits(lab, run, alone)


def test_a_slot_whose_worker_was_killed_is_filled_again_and_a_surplus_worker_ends_after_its_run(lab: Lab) -> None:
    runs = [_submit(lab, LONG.replace(seed=seed)) for seed in (1, 2)]
    _until(lambda: _held(lab).keys() == {"cpu", "cpu #2"})
    waiting = _submit(lab, LONG.replace(seed=3))
    killed = next(one for one in list_worker_pid_files(lab.settings) if one.slot.index == 1)
    lost = _held(lab)["cpu #2"]
    os.kill(killed.owner.pid, signal.SIGKILL)
    _until(lambda: _held(lab).get("cpu #2") == waiting)
    assert lab.store.runs.get(lost).state is RunState.INTERRUPTED
    other = next(run for run in runs if run != lost)
    assert _held(lab)["cpu"] == other
    lab.machines.set_slots(1)
    queued = _submit(lab, SHORT.replace(seed=4))
    time.sleep(2.0)  # the workers were told, and train on
    assert set(_held(lab).values()) == {other, waiting}
    lab.store.leases.request(waiting, RunRequest.STOP)
    _until(lambda: "cpu #2" not in {worker.slot for worker in lab.store.workers.list() if worker.alive})
    assert lab.store.runs.get(queued).state is RunState.QUEUED  # the surplus worker took nothing more
    lab.store.leases.request(other, RunRequest.STOP)
    assert _finished(lab, queued).environment.threads == 1
    assert [worker.slot for worker in lab.store.workers.list() if worker.alive] == ["cpu"]
