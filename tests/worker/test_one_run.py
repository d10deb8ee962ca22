"""What a worker prepares before it trains a run: threads, the checkpoint to continue from, and a disk reserve."""

import resource
import shutil
from pathlib import Path

import pytest
import torch

from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.worker import execution
from lab.worker.disk_reserve import RESERVE_BYTES, hold_reserve, release_reserve, reserve_path
from lab.worker.execution import _set_threads, _starting_point
from tests.worker.worker_runs import SMALL, claim, open_lab, train


@pytest.mark.parametrize(("device", "expected"), [("cpu", [7]), ("cuda", []), ("mps", [])])
def test_only_a_run_on_the_cpu_sets_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, expected: list[int]
) -> None:
    lab, calls, threads = open_lab(tmp_path), [], []

    def threads_for(config: object, *, usual: int, resume: object) -> int:
        calls.append((config, usual, resume))
        return 7

    monkeypatch.setattr(execution, "threads_for", threads_for)
    monkeypatch.setattr(execution, "_USUAL_THREADS", 5)
    monkeypatch.setattr(execution.torch, "set_num_threads", threads.append)
    run = lab.submissions.submit(lab.validation.resolve(SMALL)).run
    _set_threads(run, torch.device(device), None)
    assert threads == expected
    assert calls == [(run.config, 5, None)] * len(expected)


def _longer(lab: Lab, epochs: int, *, parent: str | None, family: str) -> RunRecord:
    """Claim a run with more epochs than its parent."""
    config = SMALL.replace(epochs=epochs)
    lab.store.queue.submit(config, fingerprint=f"{epochs} {parent} {family}", family=family, parent=parent)
    return claim(lab)


def test_a_run_continues_from_its_own_checkpoint_or_that_of_the_shorter_run_of_its_family(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    shorter = train(lab)
    saved = lab.weights.newest_checkpoint(shorter.id)
    assert saved is not None
    assert shorter.family
    assert _starting_point(lab, shorter) == saved
    for at, (parent, family, continues) in enumerate(
        [
            (None, shorter.family, False),
            (shorter.id, "", False),
            (shorter.id, "another", False),
            ("missing", shorter.family, False),
            (shorter.id, shorter.family, True),
        ]
    ):
        run = _longer(lab, 2 + at, parent=parent, family=family)
        assert (_starting_point(lab, run) == saved) is continues
        curves = lab.store.points.read(run.id)
        assert bool(curves) is continues, "its history is that of the shorter run"
        assert [file.epoch for file in lab.weights.list(run.id)] == [1] * continues
        lab.store.leases.finish(run.id, run.lease, state=execution.RunState.FAILED)
    lab.store.removal.delete(shorter.id)
    deleted = _longer(lab, 9, parent=shorter.id, family=shorter.family)
    assert _starting_point(lab, deleted) == saved, "a deleted run is available until it is purged"


def test_the_disk_reserve_is_written_once_and_a_failure_to_write_it_is_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hold_reserve(tmp_path)
    assert reserve_path(tmp_path).read_bytes() == bytes(RESERVE_BYTES)
    reserve_path(tmp_path).write_bytes(b"it exists")
    hold_reserve(tmp_path)
    assert reserve_path(tmp_path).read_bytes() == b"it exists"
    release_reserve(tmp_path)
    release_reserve(tmp_path)
    assert not reserve_path(tmp_path).exists()
    assert capfd.readouterr().err == ""
    hold_reserve(tmp_path / "nowhere")
    assert "no disk space could be held in reserve (No such file or directory)" in capfd.readouterr().err


def test_no_disk_reserve_is_held_if_it_would_take_more_than_half_of_the_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(8_000_000, 6_000_001, 1_999_999))
    hold_reserve(tmp_path)
    assert not reserve_path(tmp_path).exists()
    assert "no disk space is held in reserve: only 2.00 MB are free" in capfd.readouterr().err
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(8_000_000, 6_000_000, 2_000_000))
    hold_reserve(tmp_path)
    assert reserve_path(tmp_path).exists()


def test_a_disk_reserve_that_does_not_fit_leaves_no_partial_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        hold_reserve(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
    assert "no disk space could be held in reserve (File too large)" in capfd.readouterr().err
