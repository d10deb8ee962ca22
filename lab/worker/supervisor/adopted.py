"""A worker that outlived its supervisor, known by its pid file and adopted by the next supervisor."""

import contextlib
import math
import os
import signal
import subprocess
import time

from lab.runs.owner import Owner, is_alive
from lab.settings import Settings
from lab.worker.supervisor.log import log_supervisor
from lab.worker.supervisor.pid_files import read_pid_file, worker_pid_path


class AdoptedWorker:
    """A worker that another supervisor started: no child of this process, so its exit code is unknown.

    It has those methods of `subprocess.Popen` that the supervisor calls.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def poll(self) -> int | None:
        """Return None while it lives, then 0: how it ended shows in the store."""
        return None if is_alive(self._owner) else 0

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("lab.worker", timeout or 0.0)
            time.sleep(0.1)
        return 0

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if is_alive(self._owner):
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(self._owner.pid, number)


def find_worker(settings: Settings) -> AdoptedWorker | None:
    """Return the worker of these settings that outlived its supervisor, if there is one."""
    running = read_pid_file(worker_pid_path(settings))
    if running is None or not running.matches(settings) or not running.alive:
        return None
    log_supervisor(f"worker {running.owner.pid} outlived its supervisor and is adopted")
    return AdoptedWorker(running.owner)
