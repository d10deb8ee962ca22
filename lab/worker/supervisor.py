"""The supervisor: a small detached process that keeps a worker alive while there is work, and leaves when there is none.

It is single by a file lock in the lab's home, survives the server and the terminal that started it (a session of its
own, no terminal on its streams), marks the run of a dead worker interrupted at once and starts another for the rest of
the queue. Killed alone, it is started again by its worker or by the web server, and adopts the worker that lives, known
by its pid file. It never imports torch; the worker does.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from lab.atomic_files import write_atomically
from lab.errors import LabError, StoreBusyError, StoreError
from lab.runs.artifacts import ArtifactStore
from lab.runs.outage import Outage
from lab.runs.owner import Owner, is_alive, process_start, this_host
from lab.runs.store import RunStore
from lab.settings import CHECKOUT, PROCESS_ENVIRONMENT, Settings

POLL_S = 0.5
IDLE_S = 5.0  # with no worker and nothing queued for this long, leave
WARM = "--warm"
LOCK_S = 1.0  # longer than a look at the lock takes, so that a look never turns a new supervisor away
TERM_S = 15.0  # time a worker has to write its checkpoint when it is asked to end
LOG_BYTES = 5_000_000  # a longer log is put aside once, at the next start
FAST_DEATHS = 3  # a worker that dies this often without taking a run will not do better the next time
GIVE_UP_S = 3600.0  # with no worker and a store that is away for this long, leave: the next visit starts another
START_S = 60.0  # a fast death is one within this time


def lock_path(settings: Settings) -> Path:
    """Return the lock that makes the supervisor single."""
    return settings.home / "supervisor.lock"


def log_path(settings: Settings) -> Path:
    """Return the log of supervisor and workers."""
    return settings.home / "logs" / "worker.log"


def is_running(settings: Settings) -> bool:
    """Say whether a supervisor holds the lock."""
    lock = FileLock(lock_path(settings), timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True


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
    # Somebody has to collect it when it leaves, or it stays behind as a zombie of the server.
    threading.Thread(target=process.wait, name="supervisor", daemon=True).start()
    return True


def _card_path(settings: Settings) -> Path:
    return settings.home / "supervisor.json"


def worker_pid_path(settings: Settings) -> Path:
    """Return the pid file of the worker."""
    return settings.home / "worker.json"


def _write_pid_file(path: Path, owner: Owner, settings: Settings) -> None:
    """Write down a process and its settings, whole or not at all. Raises OSError."""
    card = {"pid": owner.pid, "pid_start": owner.pid_start, "host": owner.host, "settings": settings.environment()}
    write_atomically(path, (json.dumps(card).encode(),))


def _leave_card(settings: Settings) -> None:
    try:
        _write_pid_file(_card_path(settings), Owner.of_this_process(), settings)
    except OSError as error:
        _say(f"no card could be left ({error.strerror}), so a lab with other settings will not dismiss this worker")


def _read_card(path: Path) -> tuple[Owner, Any] | None:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        return Owner(host=card["host"], pid=card["pid"], pid_start=card["pid_start"]), card["settings"]
    except (OSError, ValueError, KeyError, TypeError):  # none was left, or an older release tore it on a full disk
        return None


def dismiss_stranger(settings: Settings) -> None:
    """End a warm supervisor that was started with other settings; call it only while nothing is being trained.

    With another LAB_DATA, say, its worker would claim a run and look for the data in its own place.
    """
    card = _read_card(_card_path(settings))
    if card is None or card[1] == settings.environment() or not is_alive(card[0]):
        return
    try:
        os.kill(card[0].pid, signal.SIGTERM)
    except ProcessLookupError:  # it left by itself, just now
        return
    end = time.monotonic() + TERM_S
    while is_running(settings) and time.monotonic() < end:
        time.sleep(0.1)


def _open_log(settings: Settings) -> BinaryIO:
    path = log_path(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")


class AdoptedWorker:
    """A worker that another supervisor started: no child of this process, so nobody here learns its exit code."""

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


def _living_worker(settings: Settings) -> AdoptedWorker | None:
    """Return the worker of these settings that outlived its supervisor, if there is one."""
    card = _read_card(worker_pid_path(settings))
    if card is None or card[1] != settings.environment() or not is_alive(card[0]):
        return None
    _say(f"worker {card[0].pid} outlived its supervisor and is adopted")
    return AdoptedWorker(card[0])


@dataclass
class Supervisor:
    """One supervisor's life: `run` returns when nothing is left to do or it was asked to end."""

    settings: Settings
    worker: "subprocess.Popen[bytes] | AdoptedWorker | None" = None
    tidying: threading.Thread | None = None  # while it removes what was deleted, there is something left to do
    warm: bool = False  # start a worker though nothing is queued
    ending: bool = False
    deaths: int = 0
    started_at: float = 0.0
    idle_since: float = field(default_factory=time.monotonic)
    outage: Outage = field(default_factory=lambda: Outage(limit_s=GIVE_UP_S, say=_say))

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
        """Keep a worker while runs are queued; recover what dead ones left."""
        while not self.ending:
            try:
                self._step(store)
                self.outage.answered()
            except StoreBusyError as error:  # nobody knows whether something is queued
                self.outage.refused(error)
                if not self.outage.exceeded:
                    self.idle_since = time.monotonic()
            if self.tidying is not None and self.tidying.is_alive():
                self.idle_since = time.monotonic()
            if self.worker is None and time.monotonic() - self.idle_since > IDLE_S:
                return
            time.sleep(POLL_S)
        self._end_worker()
        try:
            store.leases.recover()
        except StoreBusyError as error:
            _say(f"what the worker left is marked by the next supervisor: {error}")

    def _step(self, store: RunStore) -> None:
        if self.worker is not None and (code := self.worker.poll()) is not None:
            self._buried(code, store)
        if self.worker is not None:
            self.idle_since = time.monotonic()
            return
        for run in store.leases.recover():
            _say(f"run {run} was left by a dead worker and is interrupted now")
        if self.deaths >= FAST_DEATHS or not (self.warm or store.queue.count_queued()):
            return
        self.warm = False
        _say("starting a worker")
        self.started_at = time.monotonic()
        self.worker = subprocess.Popen(
            [sys.executable, "-m", "lab.worker"],
            cwd=CHECKOUT,
            env={**PROCESS_ENVIRONMENT, **os.environ, **self.settings.environment()},
            stdin=subprocess.DEVNULL,
        )
        owner = Owner(this_host(), self.worker.pid, process_start(self.worker.pid) or "")
        try:
            _write_pid_file(worker_pid_path(self.settings), owner, self.settings)
        except OSError as error:
            _say(f"no pid file could be written ({error.strerror}), so a new supervisor would not know this worker")

    def _buried(self, code: int, store: RunStore) -> None:
        self.worker = None
        if code == 0:
            self.deaths = 0
            return
        _say(f"the worker ended with exit code {code}")
        interrupted = store.leases.recover()
        quick = time.monotonic() - self.started_at < START_S
        self.deaths = self.deaths + 1 if quick and not interrupted else 0
        if self.deaths >= FAST_DEATHS:
            _say(f"the worker died {self.deaths} times before it took a run: see the lines above")

    def _end_worker(self) -> None:
        if self.worker is None:
            return
        self.worker.terminate()
        try:
            self.worker.wait(TERM_S)
        except subprocess.TimeoutExpired:
            _say("the worker did not end in time and is killed")
            self.worker.kill()
            self.worker.wait()

    def end(self, _signal: int, _frame: FrameType | None) -> None:
        """Signal handler: end the worker, let it keep a checkpoint, then leave."""
        self.ending = True


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} supervisor {os.getpid()}: {text}\n")
    sys.stderr.flush()


def _tidy(settings: Settings, store: RunStore) -> None:
    """Remove what was deleted a week ago, half-written files, and whole ones that a killed worker did not list."""
    artifacts = ArtifactStore(settings.artifacts)
    try:
        for problem in store.integrity.seal_older():
            _say(problem)
        store.sketches.seal_older()
        store.removal.purge(artifacts.delete)
        artifacts.sweep()
        artifacts.delete(store.files.find_orphans(artifacts.old_files()))
    except (OSError, LabError) as error:
        _say(f"tidying was left for later: {error}")


def main(settings: Settings | None = None, *, warm: bool = False) -> int:
    """Run one supervisor in this process; return 0, or 1 if another is alive or the store cannot be opened."""
    settings = settings or Settings.from_env(os.environ)
    settings.make_home()
    try:
        with FileLock(lock_path(settings), timeout=LOCK_S):
            _leave_card(settings)
            supervisor = Supervisor(settings, warm=warm, worker=_living_worker(settings))
            signal.signal(signal.SIGTERM, supervisor.end)
            signal.signal(signal.SIGINT, supervisor.end)
            store = supervisor.open_store()
            # Removing a large run takes a minute, for which no queued run has to wait.
            supervisor.tidying = threading.Thread(target=_tidy, args=(settings, store), name="tidy", daemon=True)
            supervisor.tidying.start()
            supervisor.run(store)
            again = not (supervisor.ending or supervisor.outage.exceeded) and supervisor.deaths < FAST_DEATHS
    except Timeout:
        _say(f"another worker is alive and holds {lock_path(settings)}: queue runs, and it will train them")
        return 1
    except StoreError as error:
        _say(str(error))
        return 1
    # A run queued between the last look and the release of the lock would wait for ever.
    return main(settings) if again and _may_be_queued(store) else 0


def _may_be_queued(store: RunStore) -> bool:
    try:
        return store.queue.count_queued() > 0
    except StoreBusyError:
        return True


if __name__ == "__main__":
    sys.exit(main(warm=WARM in sys.argv))
