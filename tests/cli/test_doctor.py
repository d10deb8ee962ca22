"""The doctor writes where the lab writes: it finds a full disk, a damaged run and a damaged drawing."""

import json
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from lab import __version__
from lab.cli.app import main
from lab.cli.commands.doctor import PACKAGES, _version, examine
from lab.config import RunConfig
from lab.service.lab import Lab
from lab.settings import Settings
from tests.small_disk import mounted_disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", megabytes=2) as disk:
        yield disk


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAB_HOME", "LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)


def _doctor(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit, match=r"^[01]$") as exited:
        main([*flags, "doctor", "--json"])
    return int(str(exited.value)), json.loads(capsys.readouterr().out)


def _lab(home: Path, **more: str) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(home), **more}))


def _fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler:
        filler.write(bytes(shutil.disk_usage(disk).free))
    assert shutil.disk_usage(disk).free == 0


def test_a_full_disk_is_found(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = small_disk / "home"
    assert _lab(home).store.runs.count() == 0
    _fill(small_disk)
    code, found = _doctor(capsys, "--home", str(home))
    assert code == 1
    assert any(f"Nothing can be written to {home} (No space left on device)" in p for p in found["problems"])
    assert any("could not be saved (No space left on device)" in p for p in found["problems"])
    assert sum("Only 0.0 kB are free" in p for p in found["problems"]) == 1
    assert found["free_bytes"] == {"home": 0, "artifacts": 0, "database": 0}
    assert all(len(problem) < 300 for problem in found["problems"])
    assert [path.name for path in home.iterdir()] == ["lab.db", "lab.db-journal"] or not list(home.glob(".doctor*"))


@pytest.mark.parametrize("which", ["LAB_ARTIFACTS", "LAB_DATABASE"])
def test_a_full_disk_is_found_under_artifacts_and_database(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    place = str(small_disk) if which == "LAB_ARTIFACTS" else f"sqlite:///{small_disk}/lab.db"
    home = tmp_path / "home"
    assert _lab(home, **{which: place}).store.runs.count() == 0
    _fill(small_disk)
    flag = "--artifacts" if which == "LAB_ARTIFACTS" else "--database"
    code, found = _doctor(capsys, "--home", str(home), flag, place)
    assert code == 1
    assert any("No space left on device" in problem for problem in found["problems"])


def test_a_nearly_full_disk_is_reported(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = _doctor(capsys, "--home", str(small_disk / "home"))
    assert code == 1
    (problem,) = found["problems"]  # one, though home, database and artifacts are all on this disk
    free = found["free_bytes"]["home"]
    assert 0 < free < 100_000_000
    assert problem.startswith(
        f"Only {free / 1e6:,.2f} MB are free at {small_disk / 'home'}, but training needs at least 100"
    )
    assert "free disk space" in problem


def test_the_doctor_writes_nothing_in_a_read_only_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _lab(tmp_path).store.runs.count() == 0
    before = sorted(tmp_path.rglob("*"))
    assert _doctor(capsys, "--home", str(tmp_path), "--read-only")[1]["problems"] == []
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_run_and_a_damaged_drawing_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = _lab(tmp_path)
    run, _ = lab.store.queue.submit(RunConfig(dataset="digits"), fingerprint="f", family="f")
    lab.store.sketches.save(b"png", label="3", dataset="mnist")
    with lab.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET seconds = 1")
        connection.exec_driver_sql("UPDATE sketches SET label = '8'")
    code, found = _doctor(capsys, "--home", str(tmp_path))
    assert code == 1
    rows, drawings = found["problems"]
    assert f"Run {run.id} is damaged" in rows
    assert "1 saved drawing is damaged in the database and left out" in drawings


def test_the_doctor_leaves_no_files_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = _lab(tmp_path)
    lab.artifacts.write("saved/one", b"weights")
    for _ in range(2):
        assert _doctor(capsys, "--home", str(tmp_path))[1]["problems"] == []
        assert [path.name for path in Path(lab.settings.artifacts).rglob("*") if path.is_file()] == ["one"]
        assert [path.name for path in tmp_path.iterdir() if ".doctor" in path.name] == []


def test_the_doctor_reports_versions_paths_and_contents(tmp_path: Path) -> None:
    found = examine(_lab(tmp_path / "home", LAB_DATA=str(tmp_path / "data")))
    assert found["packages"] == {name: metadata.version(name) for name in PACKAGES}
    assert found["packages"].keys() >= {"torch", "streamlit", "plotly", "sqlalchemy"}
    assert (found["convlab"], found["python"], found["sqlite"]) == (
        __version__,
        platform.python_version(),
        sqlite3.sqlite_version,
    )
    assert (found["home"], found["data"]) == (str(tmp_path / "home"), str(tmp_path / "data"))
    assert (found["store"]["runs"], found["problems"], found["datasets"]) == (0, [], ["digits"])
    assert _version("a-package-that-nobody-has") is None
