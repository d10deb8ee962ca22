"""Two real workers in two slots: each of two concurrent runs has the bits that it has alone with as many threads."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lab.config import RunConfig
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.worker.supervisor.launch import is_running
from lab.worker.supervisor.pid_files import list_worker_pid_files, read_pid_file, supervisor_pid_path
from tests.processes import end_workers
from tests.waiting import wait_until
from tests.worker.worker_runs import open_lab

pytestmark = pytest.mark.long

# A batch is large enough for a CPU's usual number of threads (`lab.threads`).
STEPS, EPOCHS = 4, 10  # steps of an epoch; epochs of concurrent runs that are compared
SHORT = RunConfig(arch="lenet5", dataset="digits", train_limit=400, batch_size=100, epochs=40, device="cpu", keep_mb=1)
LONG = SHORT.replace(epochs=5_000)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab with two slots whose workers have one thread each."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    lab = open_lab(tmp_path, LAB_DEVICE="cpu")
    lab.machines.set_slots(2)
    yield lab
    running = read_pid_file(supervisor_pid_path(lab.settings))
    if running is not None and is_running(lab.settings):
        os.kill(running.owner.pid, signal.SIGTERM)
        wait_until(lambda: not is_running(lab.settings))
    end_workers(tmp_path)


def _submit(lab: Lab, config: RunConfig, *, fresh: bool = False) -> str:
    run = lab.submissions.submit(lab.validation.resolve(config), fresh=fresh).run.id
    lab.workers.ensure()
    return run


def _finished(lab: Lab, run: str) -> RunRecord:
    wait_until(lambda: lab.store.runs.get(run).state is RunState.FINISHED)
    return lab.store.runs.get(run)


def _claimed(lab: Lab) -> dict[str, str]:
    return {worker.slot: worker.run for worker in lab.store.workers.list() if worker.alive and worker.run}


def _stopped_after(lab: Lab, runs: list[str], step: int) -> list[RunRecord]:
    """Stop runs once each has taken `step` steps while all of them were in training."""
    wait_until(lambda: all((run.progress.step or 0) >= step for run in map(lab.store.runs.get, runs)))
    assert [lab.store.runs.get(run).state for run in runs] == [RunState.RUNNING] * len(runs)
    for run in runs:
        lab.store.leases.request(run, RunRequest.STOP)
    wait_until(lambda: all(lab.store.runs.get(run).state is RunState.STOPPED for run in runs))
    return [lab.store.runs.get(run) for run in runs]


def _assert_same_bits(lab: Lab, one: str, other: str) -> None:
    """Assert that the steps and the saved epochs that both runs have are bit-identical."""
    left, right = lab.store.points.read(one), lab.store.points.read(other)
    assert left.keys() == right.keys()
    for name in left.keys() - {"images_per_second", "memory_mb"}:
        count = min(len(left[name].step), len(right[name].step))
        np.testing.assert_array_equal(left[name].step[:count], right[name].step[:count], err_msg=name)
        np.testing.assert_array_equal(left[name].value[:count], right[name].value[:count], err_msg=name)
    saved = [
        {file.step: file.sha256 for file in lab.weights.list(run) if file.step % STEPS == 0} for run in (one, other)
    ]
    shared = saved[0].keys() & saved[1].keys()
    assert len(shared) >= EPOCHS
    assert {step: saved[0][step] for step in shared} == {step: saved[1][step] for step in shared}


def test_two_concurrent_runs_have_the_bits_that_they_have_alone(lab: Lab) -> None:
    configs = [LONG.replace(seed=seed, keep_mb=1_000) for seed in (1, 2)]
    blockers = [_submit(lab, LONG.replace(seed=seed)) for seed in (3, 4)]  # they run until both workers are there
    wait_until(lambda: _claimed(lab).keys() == {"cpu", "cpu #2"})
    together = [_submit(lab, config) for config in configs]
    for blocker in blockers:
        lab.store.leases.request(blocker, RunRequest.STOP)
    wait_until(lambda: set(_claimed(lab).values()) == set(together))
    at = max(lab.store.runs.get(run).progress.step or 0 for run in together)
    for run, config in zip(_stopped_after(lab, together, at + EPOCHS * STEPS), configs, strict=True):
        assert run.environment.threads == 1
        (alone,) = _stopped_after(lab, [_submit(lab, config, fresh=True)], (run.progress.step or 0))
        _assert_same_bits(lab, run.id, alone.id)


def test_the_slot_of_a_killed_worker_is_filled_and_a_surplus_worker_exits_after_its_run(lab: Lab) -> None:
    runs = [_submit(lab, LONG.replace(seed=seed)) for seed in (1, 2)]
    wait_until(lambda: _claimed(lab).keys() == {"cpu", "cpu #2"})
    waiting = _submit(lab, LONG.replace(seed=3))
    killed = next(one for one in list_worker_pid_files(lab.settings) if one.slot.index == 1)
    lost = _claimed(lab)["cpu #2"]
    os.kill(killed.owner.pid, signal.SIGKILL)
    wait_until(lambda: _claimed(lab).get("cpu #2") == waiting)
    assert lab.store.runs.get(lost).state is RunState.INTERRUPTED
    other = next(run for run in runs if run != lost)
    assert _claimed(lab)["cpu"] == other
    lab.machines.set_slots(1)
    queued = _submit(lab, SHORT.replace(seed=4))
    time.sleep(2.0)  # the workers were asked to leave, and continue their runs
    assert set(_claimed(lab).values()) == {other, waiting}
    lab.store.leases.request(waiting, RunRequest.STOP)
    wait_until(lambda: "cpu #2" not in {worker.slot for worker in lab.store.workers.list() if worker.alive})
    assert lab.store.runs.get(queued).state is RunState.QUEUED  # the surplus worker claimed nothing more
    lab.store.leases.request(other, RunRequest.STOP)
    assert _finished(lab, queued).environment.threads == 1
    assert [worker.slot for worker in lab.store.workers.list() if worker.alive] == ["cpu"]
