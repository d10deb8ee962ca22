"""What a supervisor cleans up when it starts, and what it leaves in place."""

import os
import time
from pathlib import Path

import pytest

from lab.atomic_files import TEMPORARY
from lab.errors import RunNotFoundError
from lab.runs.records import RunState
from lab.runs.removal import PURGE_AFTER_S
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.worker.supervisor.cleanup import clean_up
from tests.worker.worker_runs import open_lab, train

DAY_S = 24 * 3600.0


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def _file(lab: Lab, name: str, *, age_s: float) -> Path:
    path = Path(lab.settings.artifacts, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bytes")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def _store_in(lab: Lab, *, days: float) -> RunStore:
    """Open the lab's store with a clock that is `days` ahead."""
    return RunStore.open(lab.settings.database, clock=lambda: time.time() + days * DAY_S)


def test_a_deleted_run_can_be_restored_for_a_week(lab: Lab) -> None:
    run = train(lab).id
    folder = Path(lab.settings.artifacts, run)
    lab.store.removal.delete(run)
    assert PURGE_AFTER_S == 7 * DAY_S
    clean_up(lab.settings, lab.store)
    for days, restorable in ((6.9, True), (7.1, False)):
        later = _store_in(lab, days=days)
        clean_up(lab.settings, later)
        later.close()
        assert (lab.store.runs.count() == 0, folder.exists() and any(folder.iterdir())) == (True, restorable)
    with pytest.raises(RunNotFoundError, match="There is no run"):
        lab.store.runs.get(run, deleted=True)


def test_only_files_left_by_killed_writers_are_removed(lab: Lab) -> None:
    run = train(lab)
    assert run.state is RunState.FINISHED
    saved = {file.path for file in lab.store.files.list(run.id)}
    finished_at = run.finished_at or 0.0
    partial = _file(lab, f"{run.id}/.weights-1{TEMPORARY}", age_s=2 * 3600)
    writing = _file(lab, f"{run.id}/.weights-2{TEMPORARY}", age_s=60)
    orphan = _file(lab, f"{run.id}/weights-000000009-1.safetensors", age_s=0)
    young = _file(lab, f"{run.id}/weights-000000010-1.safetensors", age_s=0)
    foreign = _file(lab, "of-another-store/weights-1.safetensors", age_s=2 * 3600)
    os.utime(orphan, (finished_at - 2 * 3600,) * 2)
    clean_up(lab.settings, lab.store)
    assert [path.exists() for path in (partial, writing, orphan, young, foreign)] == [False, True, False, True, True]
    assert all(Path(lab.settings.artifacts, path).exists() for path in saved)


def test_a_cleanup_that_fails_is_postponed_and_logged(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(lab).id
    lab.store.removal.delete(run)
    later = RunStore.open(lab.settings.database, read_only=True)
    clean_up(lab.settings, later)
    later.close()
    assert "cleanup was postponed: This lab is read-only" in capfd.readouterr().err


def test_drawings_of_an_earlier_release_get_their_checksum(lab: Lab) -> None:
    lab.store.sketches.save(b"ink", label="7", dataset="digits")
    with lab.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE sketches SET seal = ''")
    clean_up(lab.settings, lab.store)
    assert lab.store.sketches.count_damaged() == 0
    with lab.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE sketches SET label = '1'")
    assert lab.store.sketches.count_damaged() == 1
