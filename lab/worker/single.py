"""A worker for exactly one run, as executors start it: claim the run, train it, and exit.

USR1, USR2, TERM and HUP have the same effect: save a checkpoint and put the run back into the queue, to be resumed
later. Executors and their versions differ in which of these signals they send before they end a job.
"""

import signal
import threading
import time
from types import FrameType

from lab.config import ENGINE
from lab.devices import resolve_device
from lab.errors import LabError, StoreBusyError
from lab.runs.outage import Outage
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState
from lab.runs.rows import FOREIGN_GRACE_S, LEASE_S
from lab.runs.workers import WorkerRecord
from lab.service.lab import Lab
from lab.worker.claims import Claims
from lab.worker.disk_reserve import hold_reserve
from lab.worker.execution import execute
from lab.worker.exit_codes import LATER
from lab.worker.presence import Presence
from lab.worker.supervisor.log import log_worker
from lab.worker.supervisor.signal_event import SignalEvent

CLAIM_S = LEASE_S + FOREIGN_GRACE_S + 10.0  # how long a lost worker may still hold the lease of the run
_POLL_S = 0.5


def end_on_signals() -> threading.Event:
    """Install handlers for these signals and return the event that they set."""
    ending = SignalEvent()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)
    return ending


def train_one(
    lab: Lab,
    run: str,
    *,
    ending: threading.Event,
    job: str = "",
    executor: str | None = None,
    claim_s: float = CLAIM_S,
) -> int:
    """Train one queued run until it ends or `ending` is set; return the exit code.

    job: the executor's name of this worker's job, used as the name of its slot. executor: its id. claim_s: how long
    to wait for a run that another worker holds or a user is editing.
    """
    owner = Owner.of_this_process()
    slot = job or f"run {run}"
    presence = Presence(lab.store, WorkerRecord(owner, slot, str(resolve_device(lab.settings.device)), ENGINE, 0))
    hold_reserve(lab.settings.home)
    try:
        claims = Claims(lab.store, slot=slot, owner=owner)
        claimed = _claim(lab, run, claims, executor, presence, ending, claim_s)
        if claimed is None:
            return _unclaimed(lab, run, ending)
        log_worker(f"run {run} ({claimed.config.arch} on {claimed.config.dataset}), attempt {claimed.attempts}")
        execute(lab, claimed, ending=ending)
        return _code(lab.store.runs.get(run, deleted=True))
    finally:
        presence.end()


def _claim(
    lab: Lab,
    run: str,
    claims: Claims,
    executor: str | None,
    presence: Presence,
    ending: threading.Event,
    claim_s: float,
) -> RunRecord | None:
    outage = Outage(ending=ending, say=log_worker)
    end = time.monotonic() + claim_s
    while not ending.is_set():
        try:
            presence.renew()
            claimed = claims.claim(run=run, executor=executor)
            outage.answered()
            if claimed is not None:
                return claimed
            if not _may_be_free_soon(lab.store.runs.get(run), executor) or time.monotonic() > end:
                return None
        except StoreBusyError as error:
            outage.refused(error)
        ending.wait(_POLL_S)
    return None


def _may_be_free_soon(run: RunRecord, executor: str | None) -> bool:
    """Return whether a run that could not be claimed is held by another worker, or locked while a user edits it."""
    return run.state.in_training or (run.state is RunState.QUEUED and executor in (None, run.executor))


def _unclaimed(lab: Lab, run: str, ending: threading.Event) -> int:
    record = lab.store.runs.get(run, deleted=True)
    log_worker(f"run {run} is {record.state.value} and not for this worker: nothing was done")
    return LATER if ending.is_set() and record.state is RunState.QUEUED else 0


def _code(run: RunRecord) -> int:
    log_worker(f"run {run.id} is {run.state.value}")
    return LATER if run.state is RunState.QUEUED else 0


def main(lab: Lab, run: str, *, job: str = "", executor: str | None = None) -> int:
    """Run this process as the worker of one run; return 0, `LATER`, or 1 after an error."""
    ending = end_on_signals()
    try:
        return train_one(lab, run, ending=ending, job=job, executor=executor)
    except LabError as error:
        log_worker(str(error))
        return 1
