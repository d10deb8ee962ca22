"""A full disk fails a run with its reason and loses no acknowledged row; once there is space, Resume finishes it."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.runs.records import RunRequest, RunState
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.loop import work
from tests.small_disk import mounted_disk

pytestmark = pytest.mark.long

CONFIG = RunConfig(arch="lenet5", dataset="digits", epochs=4, batch_size=32)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", megabytes=8) as disk:
        yield disk


def _work(home: Path) -> None:
    work(Lab(Settings.from_env({"LAB_HOME": str(home)})), ending=threading.Event(), idle_s=0.2)


def _fill(disk: Path, *, leave: int) -> Path:
    """Write a file that leaves about `leave` bytes free."""
    filler = disk / "filler"
    filler.write_bytes(b"\0" * max(0, shutil.disk_usage(disk).free - leave))
    return filler


@pytest.mark.parametrize("leave", [600_000, 40_000], ids=["no space for weights", "no space for points"])
def test_a_full_disk_fails_the_run_with_its_reason_and_resume_finishes_it(small_disk: Path, leave: int) -> None:
    home = small_disk / "home"
    lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
    run = lab.submissions.submit(lab.validation.resolve(CONFIG)).run.id
    _hold_reserve(lab)
    filler = _fill(small_disk, leave=leave)
    _work(home)
    failed = lab.store.runs.get(run)
    assert failed.state is RunState.FAILED
    assert "space" in failed.reason or "full" in failed.reason
    known = {name: series.step.tolist() for name, series in lab.store.points.read(run).items()}
    filler.unlink()
    lab.submissions.control(run, RunRequest.RUN)
    _work(home)
    finished = lab.store.runs.get(run)
    assert finished.state is RunState.FINISHED, finished.reason
    points = lab.store.points.read(run)
    assert all(set(steps) <= set(points[name].step.tolist()) for name, steps in known.items())
    steps = points["batch/loss"].step.tolist()
    assert steps == list(range(1, len(steps) + 1))


def _hold_reserve(lab: Lab) -> None:
    """Start a worker once, because a worker reserves disk space when it starts: here before the disk fills up."""
    lab.store.leases.request(lab.store.runs.list()[0].id, RunRequest.PAUSE)
    _work(lab.settings.home)
    lab.store.leases.request(lab.store.runs.list()[0].id, RunRequest.RUN)
