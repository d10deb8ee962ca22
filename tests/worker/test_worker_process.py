"""The worker as a process: its exit code, and the effect of Ctrl-C."""

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


def test_a_worker_that_cannot_open_its_lab_reports_the_error_and_fails(tmp_path: Path) -> None:
    environment = {**os.environ, "LAB_HOME": str(tmp_path), "LAB_DATABASE": "nonsense"}
    done = subprocess.run(
        _WORKER, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "LAB_DATABASE is 'nonsense', which is not a database URL" in done.stderr


def test_a_worker_exits_with_0_and_no_output_on_ctrl_c(tmp_path: Path) -> None:
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    settings.make_home()
    with (
        FileLock(lock_path(settings)),  # so that it starts no supervisor
        subprocess.Popen(
            _WORKER, cwd=CHECKOUT, env={**os.environ, **settings.environment()}, stderr=subprocess.PIPE
        ) as worker,
    ):
        wait_until(lambda: (tmp_path / "ballast").exists())  # the first file that it writes
        worker.send_signal(signal.SIGINT)
        _, error = worker.communicate(timeout=LIMIT_S)
        assert (worker.returncode, error.decode()) == (0, "")


def test_the_interval_returns_to_two_seconds_once_a_supervisor_was_found_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for six times: three times it has exited at once, then it is alive."""
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
