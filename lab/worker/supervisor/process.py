"""The supervisor process: immediately marks the run of a dead worker interrupted and starts a worker for the queue.

It keeps at most one worker per slot, and no more than there is work for. If only the supervisor is killed, a worker or
the web server starts another one, which adopts the running workers. It exits if there is no worker and nothing is
queued.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import FrameType

from filelock import FileLock, Timeout

from lab.background import start_thread
from lab.errors import StoreBusyError, StoreError, ThreadStartError
from lab.runs.outage import Outage
from lab.runs.owner import Owner
from lab.runs.store import RunStore
from lab.settings import CHECKOUT, Settings
from lab.system_errors import reason, remedy
from lab.worker.supervisor.adopted import AdoptedWorker, find_workers
from lab.worker.supervisor.cleanup import clean_up
from lab.worker.supervisor.dispatch import Dispatcher
from lab.worker.supervisor.failures import exit_reason, log_size, record_failing
from lab.worker.supervisor.launch import (
    LEAVE,
    STOP_JOBS_S,
    TERM_S,
    count_needed,
    has_work,
    lock_path,
)
from lab.worker.supervisor.log import log_supervisor
from lab.worker.supervisor.membership import Membership
from lab.worker.supervisor.pid_files import read_pid_file, supervisor_pid_path, worker_pid_path, write_pid_file
from lab.worker.supervisor.signal_event import SignalEvent
from lab.worker.supervisor.slots import Slot, count_slots, host_slots, worker_environment

POLL_S = 0.5
IDLE_S = 5.0  # exit after this time without a worker and without queued runs
LOCK_S = 1.0  # longer than `is_running` holds the lock, so that it cannot prevent a new supervisor from starting
MAX_FAST_EXITS = 3  # consecutive failures of a worker without a claimed run after which it is not started again
FAST_EXIT_S = 60.0  # an exit within this time of the start counts as fast
STORE_TIMEOUT_S = 3600.0  # exit after this time without a worker and without the store; the next visit starts another


@dataclass
class SlotWorker:
    """The worker process of a slot. leaving: it was asked to exit after its run, because its slot has changed.

    log_from: the size of the log in bytes when it was started.
    """

    process: "subprocess.Popen[bytes] | AdoptedWorker"
    slot: Slot = Slot()
    started_at: float = 0.0
    leaving: bool = False
    log_from: int = 0


@dataclass
class Supervisor:
    """Keeps one worker per slot alive: `run` returns when nothing is left to do or `ending` is set.

    ending: also ends every wait for the store. store_timeout_s: how long it waits without a worker for the store.
    """

    settings: Settings
    workers: dict[int, SlotWorker] = field(default_factory=dict)  # by the index of the slot
    cleanup: threading.Thread | None = None  # the supervisor does not exit while it is running
    jobs: Dispatcher | None = None  # manages the jobs at executors in a separate thread
    membership: Membership | None = None  # of this host, once the store is open
    warm: bool = False  # start a worker even if nothing is queued
    ending: threading.Event = field(default_factory=SignalEvent)
    fast_exits: Counter[int] = field(default_factory=Counter)  # consecutive, by slot
    idle_since: float = field(default_factory=time.monotonic)
    look_at: float = float("-inf")  # when to look for work in the store next
    store_timeout_s: float = STORE_TIMEOUT_S

    def __post_init__(self) -> None:
        self.outage = Outage(limit_s=self.store_timeout_s, ending=self.ending, say=log_supervisor)

    @property
    def gave_up(self) -> bool:
        """Whether the workers of every slot have failed too often in a row."""
        return all(self.fast_exits[index] >= MAX_FAST_EXITS for index in range(count_slots(self.settings)))

    def run(self, store: RunStore) -> None:
        """Keep workers alive while runs are queued, and mark the runs of dead workers interrupted."""
        while not self.ending.is_set():
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
            log_supervisor(f"the next supervisor marks the runs that the workers left: {error}")

    def _has_duties(self) -> bool:
        """Return whether the supervisor must not exit even without workers: for cleanup, data sets or membership."""
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
                log_supervisor(f"run {run} was left by a dead worker and is now marked interrupted")
        slots = self._usable_slots()
        self._dismiss_surplus(slots)
        if self.membership is not None and self.membership.expelled and not self.workers:
            log_supervisor(self.membership.reason)
            self.ending.set()
        free = [slot for slot in slots if slot.index not in self.workers and self._may_start(slot)]
        if not due or not free or len(self.workers) >= len(slots):
            return
        missing = min(len(slots), count_needed(store, warm=self.warm)) - len(self.workers)
        for slot in free[: max(0, missing)]:
            self.warm = False
            self._start_worker(slot)

    def _usable_slots(self) -> tuple[Slot, ...]:
        """Return the slots that should have a worker; none on a machine that was expelled."""
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
        """Ask workers whose slot was removed or has another device or share of the cores to exit after their run."""
        for worker in self.workers.values():
            if worker.slot not in slots and not worker.leaving:
                worker.leaving = True
                log_supervisor(f"the worker of slot {worker.slot.index + 1} ends after its run: the slots have changed")
                worker.process.send_signal(LEAVE)

    def _start_worker(self, slot: Slot) -> None:
        place = f" for slot {slot.index + 1} of {slot.count}" if slot.count > 1 else ""
        log_supervisor(f"starting a worker{place}")
        started_at, log_from = time.monotonic(), log_size(self.settings)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "lab.worker", *slot.arguments()],
                cwd=CHECKOUT,
                env=worker_environment(slot, self.settings, os.environ),
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            why = f"{reason(error)}: {remedy(error, 'make sure that this user can start processes')}"
            log_supervisor(f"no process can be started ({why})")
            self._record_failure(slot.index, why)
            return
        self.workers[slot.index] = SlotWorker(process, slot, started_at, log_from=log_from)
        owner = Owner.of_process(process.pid)
        try:
            write_pid_file(worker_pid_path(self.settings, slot.index), owner, self.settings, slot=slot)
        except OSError as error:
            log_supervisor(
                f"no pid file could be written ({reason(error)}), so a new supervisor cannot adopt this worker"
            )

    def _handle_exit(self, index: int, code: int, store: RunStore) -> None:
        worker = self.workers.pop(index)
        if code == 0 or worker.leaving:
            self.fast_exits[index] = 0
            return
        why = exit_reason(self.settings, code, since=worker.log_from)
        log_supervisor(f"the worker ended with exit code {code}")
        interrupted = store.leases.recover()
        for run in interrupted:
            store.logs.add(run, f"the worker ended with exit code {code}")
        fast = time.monotonic() - worker.started_at < FAST_EXIT_S
        if fast and not interrupted:
            self._record_failure(index, why)
        else:
            self.fast_exits[index] = 0

    def _record_failure(self, index: int, why: str) -> None:
        self.fast_exits[index] += 1
        if self.fast_exits[index] >= MAX_FAST_EXITS:
            log_supervisor(
                f"the worker failed {self.fast_exits[index]} times before it claimed a run: see the lines above"
            )
            record_failing(self.settings, why)

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
        """Handle a signal: end the workers, which save checkpoints, and then exit."""
        self.ending.set()


def _write_own_pid_file(settings: Settings) -> None:
    try:
        write_pid_file(supervisor_pid_path(settings), Owner.of_this_process(), settings)
    except OSError as error:
        log_supervisor(
            f"no pid file could be written ({reason(error)}), so a lab with other settings cannot end this supervisor"
        )


def main(settings: Settings | None = None, *, warm: bool = False) -> int:
    """Run one supervisor in this process; return 0, or 1 if another is running or the store cannot be opened."""
    settings = settings or Settings.from_env(os.environ)
    settings.make_home()
    try:
        with FileLock(lock_path(settings), timeout=LOCK_S):
            adopted = {slot.index: SlotWorker(worker, slot) for slot, worker in find_workers(settings)}
            former = read_pid_file(supervisor_pid_path(settings))
            copied = former is not None and former.is_of_original(settings)
            supervisor = Supervisor(settings, warm=warm, workers=adopted)
            signal.signal(signal.SIGTERM, supervisor.end)
            signal.signal(signal.SIGINT, supervisor.end)
            # Only now, after the signal handlers: a reader of this file may end this process, and its workers must end
            # with it.
            _write_own_pid_file(settings)
            store = supervisor.outage.call(lambda: RunStore.open(settings.database))
            supervisor.membership = supervisor.outage.call(lambda: Membership.open(settings, store))
            if copied:
                supervisor.outage.call(store.jobs.disown)
            stop_duties = _lab_duties(supervisor, store) if not supervisor.membership.joined else None
            supervisor.run(store)
            if stop_duties is not None:
                stop_duties()
            again = not (supervisor.outage.hopeless or supervisor.gave_up)
    except Timeout:
        log_supervisor(
            f"another supervisor is running and holds {lock_path(settings)}: queue runs, and it will train them"
        )
        return 1
    except (StoreError, ThreadStartError) as error:
        log_supervisor(str(error))
        return 1
    # A run queued between the last poll and the release of the lock would wait forever.
    return main(settings) if again and _may_be_queued(store, settings) else 0


def _lab_duties(supervisor: Supervisor, store: RunStore) -> Callable[[], None]:
    """Start the cleanup and the dispatcher, which only the lab's own machines run; return what stops the dispatcher."""
    # A separate thread, because removing a large run takes a minute and queued runs must not wait for it.
    supervisor.cleanup = start_thread(partial(clean_up, supervisor.settings, store), name="cleanup")
    supervisor.jobs = Dispatcher(supervisor.settings, store)
    ending = threading.Event()
    dispatching = start_thread(partial(supervisor.jobs.run, ending), name="jobs")

    def stop() -> None:
        ending.set()
        dispatching.join(STOP_JOBS_S)

    return stop


def _may_be_queued(store: RunStore, settings: Settings) -> bool:
    try:
        return has_work(store, settings)
    except StoreBusyError:
        return True
