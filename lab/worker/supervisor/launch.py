"""Starts the detached supervisor, checks whether one is running, and ends one that has other settings.

A file lock in the lab's home ensures that there is only one. It survives the server and the terminal that started it,
because it has its own session and no terminal on its streams.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from filelock import FileLock, Timeout

from lab.atomic_files import make_folder
from lab.background import start_thread
from lab.errors import ThreadStartError, WorkerStartError
from lab.executors.config import list_executors
from lab.runs.owner import Owner, is_suspended, this_host
from lab.runs.store import RunStore
from lab.settings import CHECKOUT, Settings
from lab.system_errors import reason, remedy
from lab.worker.supervisor.pid_files import read_pid_file, starting_pid_path, supervisor_pid_path, write_pid_file

WARM = "--warm"
LEAVE = signal.SIGUSR1  # asks a worker to exit after its run, or immediately if it has none
TERM_S = 15.0  # time for a worker to save a checkpoint after SIGTERM
STOP_JOBS_S = 15.0  # time for a pending request to an executor to complete
END_S = TERM_S + STOP_JOBS_S + 15.0  # time for a supervisor to exit after SIGTERM, even on a busy machine
LOG_BYTES = 5_000_000  # a longer log is renamed at the next start


def lock_path(settings: Settings) -> Path:
    """Return the lock file that ensures a single supervisor."""
    return settings.home / "supervisor.lock"


def log_path(settings: Settings) -> Path:
    """Return the log file of supervisor and workers."""
    return settings.home / "logs" / "worker.log"


def is_running(settings: Settings) -> bool:
    """Return whether a supervisor holds the lock."""
    lock = FileLock(lock_path(settings), timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True
    except OSError:  # the lock cannot be written: another user's home, a read-only or a full disk
        return _is_locked(lock_path(settings))


def _is_locked(path: Path) -> bool:
    """Return whether a process holds a lock on a file that this user may only read."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def is_supervised(settings: Settings) -> bool:
    """Return whether a supervisor holds the lock, or has just been started and is about to acquire it."""
    started = read_pid_file(starting_pid_path(settings))
    return is_running(settings) or (started is not None and started.is_of_home(settings) and started.alive)


def suspension(settings: Settings) -> str:
    """Return a sentence without its end if the supervisor holds the lock but is suspended, and what to do; else ""."""
    running = [read_pid_file(path(settings)) for path in (supervisor_pid_path, starting_pid_path)]
    pid = next((one.owner.pid for one in running if one and one.is_of_home(settings) and is_suspended(one.owner)), 0)
    return (
        f"the supervisor, process {pid}, is suspended and holds {lock_path(settings)}: continue it with `kill -CONT "
        f"{pid}`, or end it with `kill -KILL {pid}`"
        if pid
        else ""
    )


def has_work(store: RunStore, settings: Settings) -> bool:
    """Return whether a supervisor is needed: for a queued run, a run at an executor, or a sweep that is running."""
    return needs_worker(store) or store.jobs.count(list_executors(settings)) > 0


def needs_worker(store: RunStore) -> bool:
    """Return whether a worker of a host is needed: for a queued run, or for a running sweep to add trials."""
    return store.queue.count_queued(for_hosts=True) > 0 or store.sweeps.count_running() > 0


def count_needed(store: RunStore, *, warm: bool = False) -> int:
    """Return how many workers this host needs: for its running runs, the queued runs, or a running sweep."""
    if not (warm or needs_worker(store)):
        return 0
    return max(1, store.queue.count_queued(for_hosts=True) + store.queue.count_running(host=this_host()))


def start_supervisor(settings: Settings, *, warm: bool = False) -> bool:
    """Start a detached supervisor unless one is running; return whether one was started.

    warm: start a worker even if nothing is queued, so that the next run does not have to wait for importing torch.
    Raises `WorkerStartError` if no process can be started or the home cannot be written.
    """
    settings.make_home()
    if is_running(settings):
        return False
    process = _start_reaped(settings, warm=warm)
    try:
        owner = Owner.of_process(process.pid)
        write_pid_file(starting_pid_path(settings), owner, settings)
    except OSError:  # on a full disk, `is_supervised` returns False for about a second
        pass
    return True


def _start_reaped(settings: Settings, *, warm: bool) -> "subprocess.Popen[bytes]":
    """Start the process, and a thread that reaps it when it exits, or it would remain as a zombie of the server.

    The thread comes first: where none can start, a supervisor could not start any either.
    """
    started: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
    process = None
    try:
        start_thread(lambda: (found := started.get()) and found.wait(), name="supervisor")
        process = _start(settings, warm=warm)
    except ThreadStartError as error:
        raise WorkerStartError(f"No worker can be started. {error}") from error
    except OSError as error:
        what = reason(error) + (f": {error.filename}" if error.filename else "")
        how = f"make sure that this user can write to the lab's home {settings.home}"
        raise WorkerStartError(f"No worker can be started ({what}): {remedy(error, how)}.") from error
    finally:
        started.put(process)
    return process


def _start(settings: Settings, *, warm: bool) -> "subprocess.Popen[bytes]":
    with _open_log(settings) as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lab.worker.supervisor", *([WARM] if warm else [])],
            cwd=CHECKOUT,
            env={**os.environ, **settings.environment()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def stop_mismatched_supervisor(settings: Settings) -> None:
    """End a warm supervisor that was started with other settings. Call this only while nothing is being trained.

    With another LAB_DATA, for example, its worker would claim a run and look for the data in the wrong folder. Returns
    after the supervisor has exited, because no other can be started until then, or at once if it is suspended.
    """
    running = read_pid_file(supervisor_pid_path(settings))
    if running is None or running.matches(settings) or not running.is_of_home(settings) or not running.alive:
        return
    try:
        os.kill(running.owner.pid, signal.SIGTERM)
    except ProcessLookupError:  # it has just exited by itself
        return
    if is_suspended(running.owner):  # it ends when it is continued
        return
    end = time.monotonic() + END_S
    while is_running(settings) and time.monotonic() < end:
        time.sleep(0.1)


def _open_log(settings: Settings) -> BinaryIO:
    path = log_path(settings)
    make_folder(path.parent, mode=0o700)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")
