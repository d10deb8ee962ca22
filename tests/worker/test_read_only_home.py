"""A home that this user cannot write: pages are shown, and what would train says why it cannot."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import ArtifactError, ReadOnlyError, WorkerStartError
from lab.service.lab import Lab
from lab.service.machines import NOBODY
from lab.worker.supervisor.launch import is_running, lock_path, start_supervisor
from tests.small_disk import make_read_only, mounted_disk
from tests.worker.worker_runs import SMALL, open_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab with a queued run whose disk is mounted read-only."""
    with mounted_disk(tmp_path / "disk", megabytes=8) as disk:
        lab = open_lab(disk / "home")
        lab.submissions.submit(lab.validation.resolve(SMALL))
        assert not is_running(lab.settings)  # creates the lock file
        make_read_only(disk)
        yield lab


def test_machines_are_shown_and_no_worker_is_started_in_advance(lab: Lab) -> None:
    assert [entry.why for entry in lab.machines.show().waiting] == [NOBODY]
    lab.workers.warm_up()
    with pytest.raises(
        WorkerStartError, match=r"No worker can be started \(Read-only file system: .*worker\.log|logs\)"
    ):
        lab.workers.ensure()


def test_what_is_written_is_refused_with_the_reason(lab: Lab) -> None:
    with pytest.raises(ReadOnlyError, match="its disk is not mounted read-only"):
        lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=1)))
    with pytest.raises(ArtifactError, match=r"Read-only file system\): make its disk writable, or choose"):
        lab.artifacts.write("a/b", b"x")


def test_the_supervisor_of_another_user_is_found_by_its_lock(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", megabytes=8) as disk:
        settings = open_lab(disk / "home").settings
        settings.make_home()
        lock_path(settings).touch()
        # A reader holds the lock as the owner of the home does: the file system is made read-only below it.
        with lock_path(settings).open() as held:
            make_read_only(disk)
            assert not is_running(settings)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert is_running(settings)
            assert not start_supervisor(settings)
