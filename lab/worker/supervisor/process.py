"""The supervisor process: marks the run of a dead worker interrupted at once and starts another for the rest of the queue.

It keeps one worker a slot, and no more than there is work for. Killed alone, it is started again by a worker or by the web
server, and adopts the workers that live. It exits when there is neither a worker nor anything queued.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from filelock import FileLock, Timeout

from lab.errors import StoreBusyError, StoreError
from lab.runs.outage import Outage
from lab.runs.owner import Owner
from lab.runs.store import RunStore
from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor.adopted import AdoptedWorker, find_workers
from lab.worker.supervisor.cleanup import clean_up
from lab.worker.supervisor.dispatch import Dispatcher
from lab.worker.supervisor.launch import (
    LEAVE,
    STOP_JOBS_S,
    TERM_S,
    count_needed,
    failing_path,
    has_work,
    lock_path,
)
from lab.worker.supervisor.log import log_supervisor
from lab.worker.supervisor.membership import Membership
from lab.worker.supervisor.pid_files import supervisor_pid_path, worker_pid_path, write_pid_file
from lab.worker.supervisor.slots import Slot, count_slots, host_slots, worker_environment

POLL_S = 0.5
IDLE_S = 5.0  # with no worker and nothing queued for this long, exit
LOCK_S = 1.0  # longer than `is_running` holds the lock, so that it never turns a new supervisor away
MAX_FAST_EXITS = 3  # a worker that fails this often without taking a run will not do better the next time
FAST_EXIT_S = 60.0  # a worker that lived no longer than this failed fast
STORE_TIMEOUT_S = 3600.0  # with no worker and a store that is away for this long, exit: the next visit starts another


@dataclass
class SlotWorker:
    """The worker process of a slot. leaving: it was asked to end after its run, because its slot is another one now."""

    process: "subprocess.Popen[bytes] | AdoptedWorker"
    slot: Slot = Slot()
    started_at: float = 0.0
    leaving: bool = False


@dataclass
class Supervisor:
    """Keeps one worker a slot: `run` returns when nothing is left to do or it was asked to end."""

    settings: Settings
    workers: dict[int, SlotWorker] = field(default_factory=dict)  # by the index of the slot
    cleanup: threading.Thread | None = None  # while it runs, there is something left to do
    jobs: Dispatcher | None = None  # looks after the jobs at engines, on a thread of its own
    membership: Membership | None = None  # of this host, once the store is open
    warm: bool = False  # start a worker though nothing is queued
    ending: bool = False
    fast_exits: Counter[int] = field(default_factory=Counter)  # of each slot, in a row
    idle_since: float = field(default_factory=time.monotonic)
    look_at: float = float("-inf")  # when the store is asked for work the next time
    outage: Outage = field(default_factory=lambda: Outage(limit_s=STORE_TIMEOUT_S, say=log_supervisor))

    @property
    def gave_up(self) -> bool:
        """Whether the workers of every slot failed too often in a row."""
        return all(self.fast_exits[index] >= MAX_FAST_EXITS for index in range(count_slots(self.settings)))

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
        """Keep workers alive while runs are queued; mark the runs of those that died."""
        while not self.ending:
            try:
                self._step(store)
                self.outage.answered()
            except StoreBusyError as error:  # unknown whether something is queued
                self.outage.refused(error)
                if not self.outage.exceeded:
                    self.idle_since = time.monotonic()
            if self._has_duties():
                self.idle_since = time.monotonic()
            if self.jobs is not None and self.jobs.busy:
                self.idle_since = time.monotonic()
            if not self.workers and time.monotonic() - self.idle_since > IDLE_S:
                return
            time.sleep(POLL_S)
        self._end_workers()
        try:
            store.leases.recover()
            if self.membership is not None:
                self.membership.leave()
        except StoreBusyError as error:
            log_supervisor(f"what the workers left is marked by the next supervisor: {error}")

    def _has_duties(self) -> bool:
        """Whether there is something to do though no worker lives: cleaning up, data sets to store, or being there."""
        cleaning = self.cleanup is not None and self.cleanup.is_alive()
        return cleaning or (
            self.membership is not None
            and (self.membership.joined or self.membership.busy or not self.membership.accepts)
        )

    def _step(self, store: RunStore) -> None:
        ended = [(index, code) for index, worker in self.workers.items() if (code := worker.process.poll()) is not None]
        for index, code in ended:
            self._handle_exit(index, code, store)
        if self.workers:
            self.idle_since = time.monotonic()
        due = bool(ended) or time.monotonic() >= self.look_at
        if due:
            self.look_at = time.monotonic() + (self.membership.look_again_s(POLL_S) if self.membership else POLL_S)
        if due and (ended or not self.workers):
            for run in store.leases.recover():
                log_supervisor(f"run {run} was left by a dead worker and is interrupted now")
        slots = self._usable_slots()
        self._dismiss_surplus(slots)
        if self.membership is not None and self.membership.expelled and not self.workers:
            log_supervisor(self.membership.reason)
            self.ending = True
        free = [slot for slot in slots if slot.index not in self.workers and self._may_start(slot)]
        if not due or not free or len(self.workers) >= len(slots):
            return
        missing = min(len(slots), count_needed(store, warm=self.warm)) - len(self.workers)
        for slot in free[: max(0, missing)]:
            self.warm = False
            self._start_worker(slot)

    def _usable_slots(self) -> tuple[Slot, ...]:
        """Return the slots that are to have a worker: none on a machine that was sent away."""
        if self.membership is not None:
            self.membership.step()
            if self.membership.expelled:
                return ()
        return host_slots(self.settings)

    def _may_start(self, slot: Slot) -> bool:
        if self.membership is not None and not self.membership.accepts:
            return False
        return self.fast_exits[slot.index] < MAX_FAST_EXITS

    def _dismiss_surplus(self, slots: Sequence[Slot]) -> None:
        """Ask the workers of slots that are gone, or have another device or share of the cores now, to end after their run."""
        for worker in self.workers.values():
            if worker.slot not in slots and not worker.leaving:
                worker.leaving = True
                log_supervisor(f"the worker of slot {worker.slot.index + 1} ends after its run: the slots have changed")
                worker.process.send_signal(LEAVE)

    def _start_worker(self, slot: Slot) -> None:
        place = f" for slot {slot.index + 1} of {slot.count}" if slot.count > 1 else ""
        log_supervisor(f"starting a worker{place}")
        started_at = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.worker", *slot.arguments()],
            cwd=CHECKOUT,
            env=worker_environment(slot, self.settings, os.environ),
            stdin=subprocess.DEVNULL,
        )
        self.workers[slot.index] = SlotWorker(process, slot, started_at)
        owner = Owner.of_process(process.pid)
        try:
            write_pid_file(worker_pid_path(self.settings, slot.index), owner, self.settings, slot=slot)
        except OSError as error:
            log_supervisor(
                f"no pid file could be written ({error.strerror}), so a new supervisor cannot adopt this worker"
            )

    def _handle_exit(self, index: int, code: int, store: RunStore) -> None:
        worker = self.workers.pop(index)
        if code == 0 or worker.leaving:
            self.fast_exits[index] = 0
            return
        log_supervisor(f"the worker ended with exit code {code}")
        interrupted = store.leases.recover()
        for run in interrupted:
            store.logs.add(run, f"the worker ended with exit code {code}")
        fast = time.monotonic() - worker.started_at < FAST_EXIT_S
        self.fast_exits[index] = self.fast_exits[index] + 1 if fast and not interrupted else 0
        if self.fast_exits[index] >= MAX_FAST_EXITS:
            log_supervisor(
                f"the worker failed {self.fast_exits[index]} times before it took a run: see the lines above"
            )
            with contextlib.suppress(OSError):  # on a full disk the pages say that a worker is starting
                failing_path(self.settings).touch()

    def _end_workers(self) -> None:
        for worker in self.workers.values():
            worker.process.terminate()
        end = time.monotonic() + TERM_S
        for worker in self.workers.values():
            try:
                worker.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                log_supervisor("the worker did not end in time and is killed")
                worker.process.kill()
                worker.process.wait()

    def end(self, _signal: int, _frame: FrameType | None) -> None:
        """Signal handler: end the workers, which save a checkpoint, then exit."""
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
            adopted = {slot.index: SlotWorker(worker, slot) for slot, worker in find_workers(settings)}
            supervisor = Supervisor(settings, warm=warm, workers=adopted)
            signal.signal(signal.SIGTERM, supervisor.end)
            signal.signal(signal.SIGINT, supervisor.end)
            # Now: whoever reads it may end this process, and its workers must end with it.
            _write_own_pid_file(settings)
            store = supervisor.open_store()
            supervisor.membership = supervisor.outage.call(lambda: Membership.open(settings, store))
            stop_duties = _lab_duties(supervisor, store) if not supervisor.membership.joined else None
            supervisor.run(store)
            if stop_duties is not None:
                stop_duties()
            again = not (supervisor.ending or supervisor.outage.exceeded) and not supervisor.gave_up
    except Timeout:
        log_supervisor(f"another worker is alive and holds {lock_path(settings)}: queue runs, and it will train them")
        return 1
    except StoreError as error:
        log_supervisor(str(error))
        return 1
    # A run queued between the last poll and the release of the lock would wait for ever.
    return main(settings) if again and _may_be_queued(store, settings) else 0


def _lab_duties(supervisor: Supervisor, store: RunStore) -> Callable[[], None]:
    """Clear away, and look after the jobs at engines, as the lab's own machines do; return what ends the latter."""
    # Removing a large run takes a minute, for which no queued run has to wait.
    cleaning = threading.Thread(target=clean_up, args=(supervisor.settings, store), name="cleanup", daemon=True)
    supervisor.cleanup, supervisor.jobs = cleaning, Dispatcher(supervisor.settings, store)
    ending = threading.Event()
    dispatching = threading.Thread(target=supervisor.jobs.run, args=(ending,), name="jobs", daemon=True)
    cleaning.start()
    dispatching.start()

    def stop() -> None:
        ending.set()
        dispatching.join(STOP_JOBS_S)

    return stop


def _may_be_queued(store: RunStore, settings: Settings) -> bool:
    try:
        return has_work(store, settings)
    except StoreBusyError:
        return True
