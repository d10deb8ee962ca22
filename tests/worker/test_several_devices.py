"""One run on two processes of a CPU: the losses of one process within rounding, pauses, and the loss of a process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from lab.config import RunConfig
from lab.errors import ConfigError, DeviceError
from lab.runs.records import RunRecord, RunRequest, RunState, Series
from lab.service.lab import Lab
from lab.training.checkpoint import weights_digest
from lab.training.team import Team
from lab.worker.ranks import check_devices
from tests.waiting import LIMIT_S, wait_until
from tests.worker.worker_runs import open_lab, train

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
# 208 images in batches of 33: the last batch has 10 images, and 33 images are split into 17 and 16.
TWO = RunConfig(
    arch="lenet5", dataset="digits", train_limit=260, val_fraction=0.2, batch_size=33, epochs=2, device="cpu", devices=2
)
# Adam turns the rounding noise in a gradient that should be 0 into a step. The bias before a batch norm has such a
# gradient: it does not affect training, but the running averages follow it with a delay.
BATCH_NORM = TWO.replace(arch="lenet-bn", optimizer="sgd", lr=0.005, augment="sketch")
# At a given step the worker waits between two steps: for the exit of a process, or for a line with a request, which it
# then waits to read from the store.
WORKER = """
import sys, threading
import pytest
from tests.worker.worker_runs import between_steps, claim, open_lab, wait_until
from lab.worker.execution import execute

def hold(beat):
    print("waiting", flush=True)
    request = sys.stdin.readline().strip()
    wait_until(lambda: beat.requested == request)

lab, step = open_lab(sys.argv[1]), int(sys.argv[2])
if step:
    between_steps(pytest.MonkeyPatch(), hold, when=lambda run: (run.progress.step or 0) >= step)
execute(lab, claim(lab), ending=threading.Event())
"""
RESET = """
import sys, psutil, torch
from lab.settings import Settings
from lab.worker.ranks import steps_on_devices
from tests.worker.test_several_devices import TWO
with steps_on_devices(TWO, Settings.from_env({"LAB_HOME": sys.argv[1]}), torch.device("cpu")):
    (rank,) = psutil.Process().children()
    rank.kill()
    raise RuntimeError("Connection reset by peer")
"""


@pytest.mark.parametrize("config", [TWO, BATCH_NORM], ids=["lenet5", "batch-norm-and-dropout"])
def test_two_processes_have_the_losses_of_one(tmp_path: Path, config: RunConfig) -> None:
    single, pair = (_trained(tmp_path / str(n), config.replace(devices=n)) for n in (1, 2))
    for name in ("batch/loss", "train/loss", "val/loss", "test/loss"):
        assert pair[name].step.tolist() == single[name].step.tolist()
        np.testing.assert_allclose(pair[name].value, single[name].value, rtol=2e-4, err_msg=name)
    # If rounding selects the other of two equal values in a pooling layer, a gradient jumps, but the loss does not.
    assert pair["grad_norm"].value[0] == pytest.approx(single["grad_norm"].value[0], rel=2e-4)
    for name in ("batch/accuracy", "lr"):
        assert pair[name].value.tolist() == single[name].value.tolist()


def _trained(home: Path, config: RunConfig) -> dict[str, Series]:
    lab = open_lab(home)
    run = train(lab, config)
    assert (run.state, run.reason) == (RunState.FINISHED, "")
    assert run.environment.steps == ("launched" if config.devices == 1 else f"launched, on {config.devices} devices")
    return dict(lab.store.points.read(run.id))


def test_shares_cover_every_image_once_and_differ_by_at_most_one() -> None:
    for size in (1, 2, 3, 8):
        for images in (8, 9, 33, 250):
            shares = [Team(rank, size, None).share(images) for rank in range(size)]
            assert [image for share in shares for image in range(images)[share]] == list(range(images))
            assert max(one.stop - one.start for one in shares) - min(one.stop - one.start for one in shares) <= 1


def test_more_devices_than_cores_or_than_images_in_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=f"devices is 16, but this machine has {os.cpu_count()} cores"):
        check_devices(TWO.replace(devices=16), torch.device("cpu"))
    with pytest.raises(ConfigError, match="devices is 2, but float16 decides on each device"):
        TWO.replace(precision="float16")
    run = train(open_lab(tmp_path), TWO.replace(train_limit=64, batch_size=63, val_fraction=0.0))
    assert run.state is RunState.FAILED
    assert (
        "The smallest batch has size 1, but there are 2 devices: choose fewer devices or another batch size."
        in run.reason
    )


def _start(home: Path, *, hold_at: int = 0) -> "subprocess.Popen[bytes]":
    """Start a worker; return it once it waits at step `hold_at`, or at once if that is 0."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(home), str(hold_at)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    assert not hold_at or worker.stdout.readline() == b"waiting\n"
    return worker


def _ranks(worker: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    return [p for p in psutil.Process(worker.pid).children() if "lab.worker.rank" in p.cmdline()]


def test_a_connection_lost_before_the_exit_of_its_rank_is_noticed_does_not_fail_the_run(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", RESET, str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ended.returncode == 75
    assert "exited early with code -9" in ended.stdout + ended.stderr


def _weights(lab: Lab, run: RunRecord) -> str:
    return weights_digest(lab.weights.load(run.id).network.state_dict())


def test_a_lost_process_ends_the_worker_and_the_resumed_run_has_the_same_bits(tmp_path: Path) -> None:
    config = BATCH_NORM.replace(epochs=7, eval_every=5)  # 7 steps an epoch
    whole = open_lab(tmp_path / "whole")
    expected = _weights(whole, train(whole, config))
    lab = open_lab(tmp_path / "lost")
    run = lab.submissions.submit(lab.validation.resolve(config)).run.id
    with _start(tmp_path / "lost", hold_at=15) as worker:  # two epochs are saved
        (rank,) = _ranks(worker)
        os.kill(rank.pid, signal.SIGKILL)
        assert worker.wait(LIMIT_S) == 75
    assert lab.store.leases.recover() == [run]
    assert lab.store.runs.get(run).state is RunState.INTERRUPTED

    lab.store.leases.request(
        run, RunRequest.RUN
    )  # the next attempt is paused mid-epoch, and the one after loses its worker
    with _start(tmp_path / "lost", hold_at=30) as worker:
        lab.store.leases.request(run, RunRequest.PAUSE)
        worker.communicate(RunRequest.PAUSE.value.encode(), timeout=LIMIT_S)
        assert worker.returncode == 0
    paused = lab.store.runs.get(run)
    assert (paused.state, paused.summary.step) == (RunState.PAUSED, 30)

    lab.store.leases.request(run, RunRequest.RUN)
    with _start(tmp_path / "lost", hold_at=40) as worker:
        (rank,) = _ranks(worker)
        worker.kill()
    wait_until(lambda: not rank.is_running())  # it does not outlive its worker
    lab.store.leases.recover()
    lab.store.leases.request(run, RunRequest.RUN)
    with _start(tmp_path / "lost") as worker:
        assert worker.wait(2 * LIMIT_S) == 0
    ended = lab.store.runs.get(run)
    assert (ended.state, ended.attempts) == (RunState.FINISHED, 4)
    assert _weights(lab, ended) == expected
    assert [notice for notice in ended.notices if "other conditions" in notice] == []
