"""The supervisor process: marks the run of a dead worker interrupted at once and starts another for the rest of the queue.

Killed alone, it is started again by its worker or by the web server, and adopts the worker that lives. It exits when
there is neither a worker nor anything queued.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from types import FrameType

from filelock import FileLock, Timeout

from lab.errors import StoreBusyError, StoreError
from lab.runs.outage import Outage
from lab.runs.owner import Owner, process_start, this_host
from lab.runs.store import RunStore
from lab.settings import CHECKOUT, PROCESS_ENVIRONMENT, Settings
from lab.worker.supervisor.adopted import AdoptedWorker, find_worker
from lab.worker.supervisor.cleanup import clean_up
from lab.worker.supervisor.launch import TERM_S, has_work, lock_path
from lab.worker.supervisor.log import log_supervisor
from lab.worker.supervisor.pid_files import supervisor_pid_path, worker_pid_path, write_pid_file

POLL_S = 0.5
IDLE_S = 5.0  # with no worker and nothing queued for this long, exit
LOCK_S = 1.0  # longer than `is_running` holds the lock, so that it never turns a new supervisor away
MAX_FAST_EXITS = 3  # a worker that fails this often without taking a run will not do better the next time
FAST_EXIT_S = 60.0  # a worker that lived no longer than this failed fast
STORE_TIMEOUT_S = 3600.0  # with no worker and a store that is away for this long, exit: the next visit starts another


@dataclass
class Supervisor:
    """Keeps one worker: `run` returns when nothing is left to do or it was asked to end."""

    settings: Settings
    worker: "subprocess.Popen[bytes] | AdoptedWorker | None" = None
    cleanup: threading.Thread | None = None  # while it runs, there is something left to do
    warm: bool = False  # start a worker though nothing is queued
    ending: bool = False
    fast_exits: int = 0
    started_at: float = 0.0
    idle_since: float = field(default_factory=time.monotonic)
    outage: Outage = field(default_factory=lambda: Outage(limit_s=STORE_TIMEOUT_S, say=log_supervisor))

    def open_store(self) -> RunStore:
        """Open the store, waiting for a server that does not answer. Raises `StoreError`."""
        while True:
            try:
                return RunStore.open(self.settings.database)
            except StoreBusyError as error:
                self.outage.refused(error)
                if self.ending or self.outage.exceeded:
                    raise
                time.sleep(POLL_S)

    def run(self, store: RunStore) -> None:
        """Keep a worker alive while runs are queued; mark the runs of those that died."""
        while not self.ending:
            try:
                self._step(store)
                self.outage.answered()
            except StoreBusyError as error:  # unknown whether something is queued
                self.outage.refused(error)
                if not self.outage.exceeded:
                    self.idle_since = time.monotonic()
            if self.cleanup is not None and self.cleanup.is_alive():
                self.idle_since = time.monotonic()
            if self.worker is None and time.monotonic() - self.idle_since > IDLE_S:
                return
            time.sleep(POLL_S)
        self._end_worker()
        try:
            store.leases.recover()
        except StoreBusyError as error:
            log_supervisor(f"what the worker left is marked by the next supervisor: {error}")

    def _step(self, store: RunStore) -> None:
        if self.worker is not None and (code := self.worker.poll()) is not None:
            self._handle_exit(code, store)
        if self.worker is not None:
            self.idle_since = time.monotonic()
            return
        for run in store.leases.recover():
            log_supervisor(f"run {run} was left by a dead worker and is interrupted now")
        if self.fast_exits >= MAX_FAST_EXITS or not (self.warm or has_work(store)):
            return
        self.warm = False
        log_supervisor("starting a worker")
        self.started_at = time.monotonic()
        self.worker = subprocess.Popen(
            [sys.executable, "-m", "lab.worker"],
            cwd=CHECKOUT,
            env={**PROCESS_ENVIRONMENT, **os.environ, **self.settings.environment()},
            stdin=subprocess.DEVNULL,
        )
        owner = Owner(this_host(), self.worker.pid, process_start(self.worker.pid) or "")
        try:
            write_pid_file(worker_pid_path(self.settings), owner, self.settings)
        except OSError as error:
            log_supervisor(
                f"no pid file could be written ({error.strerror}), so a new supervisor cannot adopt this worker"
            )

    def _handle_exit(self, code: int, store: RunStore) -> None:
        self.worker = None
        if code == 0:
            self.fast_exits = 0
            return
        log_supervisor(f"the worker ended with exit code {code}")
        interrupted = store.leases.recover()
        fast = time.monotonic() - self.started_at < FAST_EXIT_S
        self.fast_exits = self.fast_exits + 1 if fast and not interrupted else 0
        if self.fast_exits >= MAX_FAST_EXITS:
            log_supervisor(f"the worker failed {self.fast_exits} times before it took a run: see the lines above")

    def _end_worker(self) -> None:
        if self.worker is None:
            return
        self.worker.terminate()
        try:
            self.worker.wait(TERM_S)
        except subprocess.TimeoutExpired:
            log_supervisor("the worker did not end in time and is killed")
            self.worker.kill()
            self.worker.wait()

    def end(self, _signal: int, _frame: FrameType | None) -> None:
        """Signal handler: end the worker, which saves a checkpoint, then exit."""
        self.ending = True


def _write_own_pid_file(settings: Settings) -> None:
    try:
        write_pid_file(supervisor_pid_path(settings), Owner.of_this_process(), settings)
    except OSError as error:
        log_supervisor(
            f"no pid file could be written ({error.strerror}), so a lab with other settings cannot end this supervisor"
        )


def main(settings: Settings | None = None, *, warm: bool = False) -> int:
    """Run one supervisor in this process; return 0, or 1 if another is alive or the store cannot be opened."""
    settings = settings or Settings.from_env(os.environ)
    settings.make_home()
    try:
        with FileLock(lock_path(settings), timeout=LOCK_S):
            _write_own_pid_file(settings)
            supervisor = Supervisor(settings, warm=warm, worker=find_worker(settings))
            signal.signal(signal.SIGTERM, supervisor.end)
            signal.signal(signal.SIGINT, supervisor.end)
            store = supervisor.open_store()
            # Removing a large run takes a minute, for which no queued run has to wait.
            supervisor.cleanup = threading.Thread(target=clean_up, args=(settings, store), name="cleanup", daemon=True)
            supervisor.cleanup.start()
            supervisor.run(store)
            again = not (supervisor.ending or supervisor.outage.exceeded) and supervisor.fast_exits < MAX_FAST_EXITS
    except Timeout:
        log_supervisor(f"another worker is alive and holds {lock_path(settings)}: queue runs, and it will train them")
        return 1
    except StoreError as error:
        log_supervisor(str(error))
        return 1
    # A run queued between the last poll and the release of the lock would wait for ever.
    return main(settings) if again and _may_be_queued(store) else 0


def _may_be_queued(store: RunStore) -> bool:
    try:
        return has_work(store)
    except StoreBusyError:
        return True
