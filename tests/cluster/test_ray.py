"""Runs on a real Ray of two nodes, one of which is killed during 24 runs: no run is lost, no step written twice."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from lab.errors import StoreBusyError
from lab.metrics import BATCH_LOSS
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.rows import LEASE_S
from lab.service.lab import Lab
from lab.settings import CHECKOUT
from lab.training.checkpoint import weights_digest
from tests.cluster.ray import SECOND, RayCluster, started_ray
from tests.processes import end_workers
from tests.worker.worker_runs import SMALL, open_lab, train

pytestmark = pytest.mark.cluster
TIMEOUT_S = 900.0
RUNS = 24
TINY = SMALL.replace(epochs=60)
_T = TypeVar("_T")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with started_ray() as started:
        yield started


@pytest.fixture
def lab(cluster: RayCluster, tmp_path: Path) -> Iterator[Lab]:
    home = tmp_path / "ray"
    home.mkdir()
    (home / "executors.toml").write_text(
        f'[ray]\naddress = "{cluster.address}"\ntoken = "{cluster.token}"\npython = "{sys.executable}"\n'
    )
    yield open_lab(home, LAB_DEVICE="cpu")
    end_workers(home)


@contextmanager
def supervised(cluster: RayCluster, lab: Lab) -> Iterator[None]:
    """Run a supervisor in the namespace of the cluster, where the dashboard is reachable."""
    with (lab.settings.home / "supervisor.log").open("wb") as log:
        supervisor = subprocess.Popen(
            [*cluster.inside(), sys.executable, "-m", "lab.worker.supervisor"],
            cwd=CHECKOUT,
            env={**os.environ, **lab.settings.environment()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        supervisor.terminate()
        supervisor.wait(60)


def _until(condition: Callable[[], _T], *, what: str, lab: Lab, every_s: float = 0.25) -> _T:
    end = time.monotonic() + TIMEOUT_S
    while not (answer := condition()):
        assert time.monotonic() < end, f"{what}\n{(lab.settings.home / 'supervisor.log').read_text()[-4000:]}"
        time.sleep(every_s)
    return answer


def _submit(lab: Lab, seed: int) -> RunRecord:
    return lab.submissions.submit(lab.validation.resolve(TINY.replace(seed=seed)), executor="ray").run


def _held_in_training(cluster: RayCluster, lab: Lab) -> str:
    """Return a run on the second node with its worker suspended, so that it cannot end before its node; "" if none."""
    for worker in lab.store.workers.list():
        if not worker.run or (lab.store.runs.get(worker.run).progress.step or 0) < 4:
            continue
        try:
            process = psutil.Process(worker.owner.pid)
            above = [" ".join(parent.cmdline()) for parent in process.parents()]
            if not any(f"--node_ip_address={SECOND}" in command for command in above):
                continue
            process.suspend()
            try:
                if lab.store.runs.get(worker.run).state is RunState.RUNNING:
                    return worker.run
            except StoreBusyError:  # suspended in the middle of writing
                pass
            process.resume()
        except psutil.NoSuchProcess:
            continue
    return ""


def test_a_killed_node_loses_no_run_and_no_step(cluster: RayCluster, lab: Lab, tmp_path: Path) -> None:
    runs = [_submit(lab, seed).id for seed in range(RUNS)]

    def resumed() -> bool:
        return lab.store.runs.get(lost).attempts == 2

    with supervised(cluster, lab):
        lost = _until(lambda: _held_in_training(cluster, lab), what="nothing trains on the second node", lab=lab)
        cluster.raylet().kill()
        killed = time.monotonic()
        replacing = threading.Thread(
            target=cluster.add_node, args=("127.0.0.4", 52_367)
        )  # as a cluster replaces a lost node
        replacing.start()
        _until(resumed, what="the run was not resumed", lab=lab, every_s=0.1)
        waited_s = time.monotonic() - killed - LEASE_S  # its last lease may have been renewed at the kill
        sys.stdout.write(f"resumed {waited_s:.1f} s after the latest possible end of its lease\n")
        replacing.join()
        for run in runs:
            _until(
                lambda run=run: lab.store.runs.get(run).state is RunState.FINISHED,
                what=f"{run} has not ended",
                lab=lab,  # type: ignore[misc]
            )
    for run in runs:
        record = lab.store.runs.get(run)
        steps = lab.store.points.read(run)[BATCH_LOSS.id].step.tolist()
        assert steps == list(range(1, TINY.epochs * 2 + 1))
        assert record.attempts == (2 if run == lost else 1)
        assert len(lab.store.jobs.list(run)) == record.attempts, "a job has ended without its run"
    # On a busy machine a worker takes long to start, and so does the node that replaces the lost one.
    first = lab.store.jobs.list(lost)[-1]
    start_s = (lab.store.runs.get(lost).started_at or 0.0) - first.submitted_at
    assert waited_s <= 30.0 + 2 * start_s
    local = open_lab(tmp_path / "local", LAB_DEVICE="cpu")
    alone = train(local, TINY.replace(seed=runs.index(lost)))
    assert _digest(lab, lost) == _digest(local, alone.id)


def _digest(lab: Lab, run: str) -> str:
    return weights_digest(lab.weights.load(run, epoch=TINY.epochs).network.state_dict())


_PRINT_LOG = """
import os, sys
from lab.service.lab import Lab
from lab.settings import Settings
lab = Lab(Settings.from_env(os.environ))
print(lab.machines.jobs.log(lab.store.runs.get(sys.argv[1])))
"""


def test_the_lab_shows_the_log_of_a_job_and_stops_it(cluster: RayCluster, lab: Lab) -> None:
    run = lab.submissions.submit(lab.validation.resolve(SMALL.replace(epochs=5_000)), executor="ray").run
    with supervised(cluster, lab):
        _until(lambda: lab.store.runs.get(run.id).progress.step, what="the run does not train", lab=lab)
        shown = subprocess.run(
            [*cluster.inside(), sys.executable, "-c", _PRINT_LOG, run.id],
            cwd=CHECKOUT,
            env={**os.environ, **lab.settings.environment()},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        assert f"run {run.id} (lenet5 on digits), attempt 1" in shown
        lab.submissions.control(run.id, RunRequest.STOP)
        _until(lambda: lab.store.runs.get(run.id).state is RunState.STOPPED, what="the run does not stop", lab=lab)
        _until(lambda: not lab.store.jobs.count(["ray"]), what="its job is not closed", lab=lab)
    assert lab.store.jobs.list(run.id)[0].words == "SUCCEEDED"
