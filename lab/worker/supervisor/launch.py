"""Starting the detached supervisor, finding out whether one is alive, and ending one that has other settings.

It is single by a file lock in the lab's home and survives the server and the terminal that started it: a session of its
own, no terminal on its streams.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from lab.executors.config import list_executors
from lab.runs.owner import Owner, this_host
from lab.runs.store import RunStore
from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor.pid_files import read_pid_file, starting_pid_path, supervisor_pid_path, write_pid_file

WARM = "--warm"
LEAVE = signal.SIGUSR1  # asks a worker to end after its run, at once where it has none
TERM_S = 15.0  # time a worker has to write its checkpoint when it is asked to end
STOP_JOBS_S = 15.0  # an engine that is being asked answers within this time, or not at all
END_S = TERM_S + STOP_JOBS_S + 15.0  # a supervisor that is asked to end is gone by then, on a busy machine too
LOG_BYTES = 5_000_000  # a longer log is put aside once, at the next start


def lock_path(settings: Settings) -> Path:
    """Return the lock that makes the supervisor single."""
    return settings.home / "supervisor.lock"


def log_path(settings: Settings) -> Path:
    """Return the log of supervisor and workers."""
    return settings.home / "logs" / "worker.log"


def failing_path(settings: Settings) -> Path:
    """Return the file that is there from when workers failed at their start, time after time, until one gets as far as its work."""
    return settings.home / "workers-failing"


def is_running(settings: Settings) -> bool:
    """Return whether a supervisor holds the lock."""
    lock = FileLock(lock_path(settings), timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True


def is_supervised(settings: Settings) -> bool:
    """Return whether a supervisor holds the lock, or was started and will hold it in a moment."""
    started = read_pid_file(starting_pid_path(settings))
    return is_running(settings) or (started is not None and started.alive)


def has_work(store: RunStore, settings: Settings) -> bool:
    """Return whether a supervisor is needed: for a queued run, one at an engine, or a sweep that decides what comes next."""
    return needs_worker(store) or store.jobs.count(list_executors(settings)) > 0


def needs_worker(store: RunStore) -> bool:
    """Return whether a worker of a host is needed: for a queued run, or for a sweep that decides what comes next."""
    return store.queue.count_queued(for_hosts=True) > 0 or store.sweeps.count_running() > 0


def count_needed(store: RunStore, *, warm: bool = False) -> int:
    """Return for how many workers of this host there is work: its running runs, the queued ones, or a sweep's next decision."""
    if not (warm or needs_worker(store)):
        return 0
    return max(1, store.queue.count_queued(for_hosts=True) + store.queue.count_running(host=this_host()))


def start_supervisor(settings: Settings, *, warm: bool = False) -> bool:
    """Start a detached supervisor unless one is alive; return whether one was started.

    warm: start a worker even with nothing queued, so that the next run need not wait for torch to be imported.
    """
    settings.make_home()
    if is_running(settings):
        return False
    with _open_log(settings) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.worker.supervisor", *([WARM] if warm else [])],
            cwd=CHECKOUT,
            env={**os.environ, **settings.environment()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        owner = Owner.of_process(process.pid)
        write_pid_file(starting_pid_path(settings), owner, settings)
    except OSError:  # on a full disk, `is_supervised` says for a second too long that nobody is there
        pass
    # Somebody has to collect it when it exits, or it stays behind as a zombie of the server.
    threading.Thread(target=process.wait, name="supervisor", daemon=True).start()
    return True


def stop_mismatched_supervisor(settings: Settings) -> None:
    """End a warm supervisor that was started with other settings; call it only while nothing is being trained.

    With another LAB_DATA, say, its worker would claim a run and look for the data in its own folder. Returns once it is
    gone: while it lives, no other is started.
    """
    running = read_pid_file(supervisor_pid_path(settings))
    if running is None or running.matches(settings) or not running.alive:
        return
    try:
        os.kill(running.owner.pid, signal.SIGTERM)
    except ProcessLookupError:  # it exited by itself, just now
        return
    end = time.monotonic() + END_S
    while is_running(settings) and time.monotonic() < end:
        time.sleep(0.1)


def _open_log(settings: Settings) -> BinaryIO:
    path = log_path(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")
