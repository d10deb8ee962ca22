"""Workers that outlived their supervisor, found by their pid files and adopted by the next supervisor."""

import contextlib
import math
import os
import signal
import subprocess
import time

from lab.runs.owner import Owner, is_alive
from lab.settings import Settings
from lab.worker.supervisor.launch import LEAVE
from lab.worker.supervisor.log import log_supervisor
from lab.worker.supervisor.pid_files import list_worker_pid_files
from lab.worker.supervisor.slots import Slot


class AdoptedWorker:
    """A worker that another supervisor started. It is no child of this process, so its exit code is unknown.

    It has the methods of `subprocess.Popen` that the supervisor calls. knows_leave: whether the worker handles `LEAVE`;
    the signal would kill a worker of an older release in the middle of its run.
    """

    def __init__(self, owner: Owner, *, knows_leave: bool = True) -> None:
        self._owner, self._knows_leave = owner, knows_leave

    def poll(self) -> int | None:
        """Return None while the process is alive, then 0; the store shows how its run ended."""
        return None if is_alive(self._owner) else 0

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has exited. Raises `subprocess.TimeoutExpired`."""
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("lab.worker", timeout or 0.0)
            time.sleep(0.1)
        return 0

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send a signal unless the process has exited or would not handle it."""
        if is_alive(self._owner) and (self._knows_leave or number != LEAVE):
            with contextlib.suppress(ProcessLookupError):  # it has just exited
                os.kill(self._owner.pid, number)


def find_workers(settings: Settings) -> tuple[tuple[Slot, AdoptedWorker], ...]:
    """Return the workers of this lab that outlived their supervisor, with their slots."""
    found = []
    for running in list_worker_pid_files(settings):
        if running.is_of_lab(settings) and running.alive:
            log_supervisor(f"worker {running.owner.pid} outlived its supervisor and is adopted")
            found.append((running.slot, AdoptedWorker(running.owner, knows_leave=running.knows_slots)))
    return tuple(found)
