"""The worker: a process that claims queued runs and trains them one at a time (`lab.worker.execution`)."""

import gc
import math
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import FrameType

import torch

from lab.background import start_thread
from lab.config import ENGINE
from lab.devices import available_devices, is_out_of_memory, release_memory, resolve_device, use_device
from lab.errors import LabError, StoreBusyError
from lab.runs.outage import WAIT_S, Outage
from lab.runs.owner import Owner
from lab.runs.rows import RENEW_S
from lab.runs.workers import WorkerRecord
from lab.service.lab import Lab
from lab.settings import Settings
from lab.stored_findings import fill_missing_findings
from lab.training.warm_up import warm_up
from lab.worker.claims import Claims
from lab.worker.disk_reserve import hold_reserve
from lab.worker.execution import execute
from lab.worker.presence import Presence
from lab.worker.supervisor.failures import failing_path
from lab.worker.supervisor.launch import LEAVE, start_supervisor
from lab.worker.supervisor.log import RECENT, log_worker
from lab.worker.supervisor.signal_event import SignalEvent
from lab.worker.supervisor.slots import Slot, read_slot

IDLE_S = 300.0  # an idle worker exits after this long: importing torch again costs seconds
POLL_S = 0.3  # how often an idle worker looks for a queued run if few workers do (`lab.runs.pace`)
_ONLY = Slot()  # the slot of a host with only one
_RESTART_S = 60.0  # minimum interval between restarts of a supervisor that keeps exiting


def prepare_device(device: torch.device) -> None:
    """Warm up the device before the first run, unless another process uses all of the GPU's memory."""
    use_device(device)  # so that a run whose device is "cuda" uses the GPU of this slot
    try:
        warm_up(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        log_worker(f"the device {device} has no free memory at the moment: {error}")


def work(
    lab: Lab,
    *,
    ending: threading.Event,
    leaving: threading.Event | None = None,
    slot_plan: Slot = _ONLY,
    idle_s: float = IDLE_S,
    wait_s: float = WAIT_S,
) -> None:
    """Train queued runs until `ending` is set, or until nothing was queued for `idle_s` seconds.

    leaving: set to end the worker after its current run. slot_plan: the worker's slot. wait_s: how long the store may
    be busy or unreachable before a run is paused.
    """
    owner = Owner.of_this_process()
    leaving = leaving or threading.Event()
    device = str(resolve_device(lab.settings.device))
    slot = slot_plan.name(device)
    presence = Presence(lab.store, WorkerRecord(owner, slot, device, ENGINE, slot_plan.count))
    idle_since = time.monotonic()
    look_at = -math.inf
    outage = Outage(ending=ending, say=log_worker)
    claims = Claims(lab.store, slot=slot, owner=owner)
    hold_reserve(lab.settings.home)
    failing_path(lab.settings).unlink(missing_ok=True)
    while not (ending.is_set() or leaving.is_set()):
        try:
            presence.renew()
            if (early_s := look_at - time.monotonic()) > 0:
                ending.wait(min(POLL_S, early_s))
                continue
            lacks = lab.shared_datasets.lacking() if lab.joined else frozenset()
            lab.sweeps.advance_due()
            run = claims.claim(lacks=lacks)
            outage.answered()
        except StoreBusyError as error:
            outage.refused(error)
            run = None
        if run is None:
            look_at = time.monotonic() + presence.look_again_s(POLL_S)
            filled = fill_missing_findings(lab.store, budget_s=POLL_S)
            if time.monotonic() - idle_since >= idle_s:  # a look has come first, even if the process was suspended
                break
            if not filled:
                ending.wait(POLL_S)
            continue
        hold_reserve(lab.settings.home)  # again, because a run on a full disk uses it up
        RECENT.clear()
        log_worker(f"run {run.id} ({run.config.arch} on {run.config.dataset}), attempt {run.attempts}")
        execute(lab, run, ending=ending, wait_s=wait_s)
        _free_memory()
        idle_since = time.monotonic()
    presence.end()


def keep_supervised(settings: Settings, ending: threading.Event) -> None:
    """Start a new supervisor whenever this worker's supervisor has exited; the new one adopts this worker."""
    pause_s = RENEW_S
    while not ending.wait(pause_s):
        try:
            started = start_supervisor(settings)
        except (OSError, LabError) as error:
            log_worker(f"the supervisor has exited, and none could be started: {error}")
            started = True
        else:
            if started:
                log_worker("the supervisor had exited, and another was started")
        pause_s = min(2 * pause_s, _RESTART_S) if started else RENEW_S


def _free_memory() -> None:
    gc.collect()
    for name in available_devices():
        release_memory(torch.device(name))


def main(arguments: Sequence[str] = ()) -> int:
    """Run one worker with the settings of the environment; return 0, or 1 after an error.

    arguments: the slot, such as "2/4"; empty for the only slot of its host.
    """
    ending, leaving = SignalEvent(), SignalEvent()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(LEAVE, lambda *_: leaving.set())
    settings = Settings.from_env(os.environ)
    try:
        start_thread(partial(keep_supervised, settings, ending), name="supervisor check")
        slot = read_slot(arguments[0], settings.device) if arguments else Slot(device=settings.device)
        prepare_device(resolve_device(slot.device))
        work(Lab(replace(settings, device=slot.device)), ending=ending, leaving=leaving, slot_plan=slot)
    except LabError as error:
        log_worker(str(error))
        return 1
    return 0
