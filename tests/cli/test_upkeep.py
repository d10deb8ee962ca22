"""`verify` finds corrupted rows and files; the supervisor purges deleted runs and leftover files."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.cli.app import main
from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState, SavedFile, Series
from lab.runs.removal import PURGE_AFTER_S
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.supervisor import process


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


@pytest.fixture
def run(lab: Lab) -> RunRecord:
    """A finished run with one point and one saved file."""
    lab.store.queue.submit(RunConfig(), fingerprint="f", family="f", name="mine")
    claim = lab.store.leases.claim(slot="cpu", owner=Owner("elsewhere", 1, "x"))
    assert claim is not None
    step = np.array([1])
    lab.store.points.append(claim.id, claim.lease, {"lr": Series("lr", step, step * 0.5, step * 0.1)})
    path = f"{claim.id}/1.safetensors"
    sha256, size = lab.artifacts.write(path, b"weights")
    lab.store.files.add(claim.id, claim.lease, SavedFile(claim.id, "weights", 1, 1, path, sha256, size, 0.0))
    return lab.store.leases.finish(claim.id, claim.lease, state=RunState.FINISHED, summary={"test_accuracy": 0.5})


def _delete_long_ago(lab: Lab, run: RunRecord) -> None:
    RunStore.open(lab.settings.database, clock=lambda: time.time() - PURGE_AFTER_S - 1).removal.delete(run.id)


def _verify(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit, match=r"^[01]$") as exited:
        main(["verify", *words, "--json"])
    return int(str(exited.value)), json.loads(capsys.readouterr().out)


def test_verify_finds_no_problems_in_an_intact_lab(
    lab: Lab, run: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _verify(capsys) == (0, {"runs": 1, "problems": []})


def test_a_changed_point_and_a_changed_file_are_named(
    lab: Lab, run: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    with lab.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE points SET value = 0.25")
    (Path(lab.settings.artifacts) / run.id / "1.safetensors").write_bytes(b"weighty")
    code, answer = _verify(capsys, "mine")
    assert code == 1
    rows, file = answer["problems"]
    assert f"stored rows of run {run.id} are not those that were written" in rows
    assert "is not the file that was saved" in file


def test_a_run_whose_row_is_damaged_is_counted_and_named(
    lab: Lab, run: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    with lab.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET seconds = 1")
    code, answer = _verify(capsys)
    assert (code, answer["runs"]) == (1, 1)
    assert [problem.startswith(f"Run {run.id} is damaged") for problem in answer["problems"]] == [True]
    main(["runs"])
    assert answer["problems"][0] in capsys.readouterr().out.splitlines()  # below the table


def test_verify_detects_a_damaged_database_file(lab: Lab, run: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(lab.settings.home) / "lab.db"
    data = bytearray(file.read_bytes())
    at = data.index(b"CREATE INDEX runs_family")
    data[at : at + 12] = b"CREATE INDEZ"
    file.write_bytes(data)
    code, answer = _verify(capsys)
    assert code == 1
    assert "error" in answer or answer["problems"]


def test_the_supervisor_deletes_old_files_that_a_killed_worker_did_not_list(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.1)
    for path in (f"{run.id}/unlisted", f"{run.id}/young", "unrelated/1"):
        lab.artifacts.write(path, b"weights")
    root = Path(lab.settings.artifacts)
    for path in root.rglob("*"):
        if path.is_file() and path.name != "young":
            os.utime(path, (0, 0))
    assert process.main(lab.settings) == 0
    left = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert left == sorted([f"{run.id}/1.safetensors", f"{run.id}/young", "unrelated/1"])


def test_the_supervisor_purges_runs_that_were_deleted_a_week_ago(
    lab: Lab, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.1)
    lab.store.removal.delete(run.id)
    folder = Path(lab.settings.artifacts) / run.id
    stray = Path(lab.settings.artifacts) / ".half.tmp"
    stray.write_bytes(b"half")
    os.utime(stray, (0, 0))
    assert process.main(lab.settings) == 0
    assert folder.exists()
    assert not stray.exists()
    lab.store.removal.undelete(run.id)
    _delete_long_ago(lab, run)
    assert process.main(lab.settings) == 0
    assert not folder.exists()
    assert RunStore.open(lab.settings.database).runs.count() == 0


@pytest.mark.parametrize("words", [("worker",), ("datasets", "--fetch", "mnist")])
def test_a_read_only_lab_refuses_worker_and_fetch(
    lab: Lab, run: RunRecord, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    _delete_long_ago(lab, run)
    with pytest.raises(SystemExit, match=r"^1$"):
        main(["--read-only", *words])
    assert "This lab is read-only (--read-only or LAB_READ_ONLY): start it without" in capsys.readouterr().err
    assert lab.store.runs.get(run.id, deleted=True).id == run.id
    assert not lab.settings.data.exists()
