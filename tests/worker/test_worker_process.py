"""The worker as a process: its exit code, and what a Ctrl-C does to it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from lab.settings import CHECKOUT, Settings
from lab.worker.loop import keep_supervised
from lab.worker.supervisor.launch import lock_path
from tests.waiting import LIMIT_S, wait_until
from tests.worker.worker_runs import Pauses

pytestmark = pytest.mark.long

_WORKER = [sys.executable, "-m", "lab.worker"]


def test_a_worker_that_cannot_open_its_lab_says_so_and_fails(tmp_path: Path) -> None:
    environment = {**os.environ, "LAB_HOME": str(tmp_path), "LAB_DATABASE": "nonsense"}
    done = subprocess.run(
        _WORKER, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "LAB_DATABASE is 'nonsense', which is not a database URL" in done.stderr


def test_a_worker_ends_in_peace_at_ctrl_c(tmp_path: Path) -> None:
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    settings.make_home()
    with (
        FileLock(lock_path(settings)),  # so that it starts no supervisor
        subprocess.Popen(
            _WORKER, cwd=CHECKOUT, env={**os.environ, **settings.environment()}, stderr=subprocess.PIPE
        ) as worker,
    ):
        wait_until(lambda: (tmp_path / "ballast").exists())  # the first thing that it does
        worker.send_signal(signal.SIGINT)
        _, said = worker.communicate(timeout=LIMIT_S)
        assert (worker.returncode, said.decode()) == (0, "")


def test_a_supervisor_that_lived_is_looked_for_every_two_seconds_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked for six times: killed at once three times, then alive."""
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    settings.make_home()
    lock = FileLock(lock_path(settings))

    class Revived(Pauses):
        def wait(self, timeout: float | None = None) -> bool:
            if len(self.taken) == 3:
                lock.acquire()
            return super().wait(timeout)

    pauses = Revived(6)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    keep_supervised(settings, pauses)
    lock.release()
    assert pauses.taken == [2, 4, 8, 16, 2, 2]
