"""One run from claim to end: prepares data and network, trains, and passes every event to the recorder.

A `LabError` and memory that runs out end the run with a message. Any other exception ends the process with its
traceback in the log, and the supervisor marks the run interrupted.
"""

import sys
import threading

import torch
from torch import nn

from lab.checkpoint_files import decode_checkpoint
from lab.devices import is_out_of_memory, resolve_device
from lab.diagnosis.curves import DataFacts
from lab.errors import (
    ArtifactsUnreachableError,
    LabError,
    LeaseLostError,
    RunNotFoundError,
    StoreBusyError,
    StoreError,
    UnreadableRunError,
)
from lab.networks import build_from_config
from lab.runs.outage import WAIT_S, Outage
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.threads import threads_for
from lab.training.checkpoint import Checkpoint
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Ended
from lab.worker.disk_reserve import release_reserve
from lab.worker.fork_start import ForkStart, RecomputingEndedError
from lab.worker.heartbeat import Heartbeat
from lab.worker.ranks import steps_on_devices
from lab.worker.recorder import RunRecorder
from lab.worker.run_data import read_data
from lab.worker.run_progress import TRAINING
from lab.worker.supervisor.log import log_worker
from lab.worker.training_pace import TrainingPace

_NO_MEMORY = "There is not enough memory for this network and its optimizer: choose a smaller network, input size or another device."
_USUAL_THREADS = torch.get_num_threads()  # of a process that has not trained yet
_STATES = {
    "finished": RunState.FINISHED,
    "early-stopped": RunState.FINISHED,
    "paused": RunState.PAUSED,
    "stopped": RunState.STOPPED,
}


def execute(lab: Lab, run: RunRecord, *, ending: threading.Event, wait_s: float = WAIT_S) -> None:
    """Train one claimed run until it ends for any reason, and store its final state.

    wait_s: how long the store may be busy or unreachable before the run is paused.
    """
    outage = Outage(limit_s=wait_s, ending=ending, say=log_worker)
    pace = TrainingPace()
    recorder = RunRecorder(lab.store, lab.artifacts, run, outage=outage, pace=pace)
    heartbeat = Heartbeat(lab, run, ending, outage, pace)
    try:
        with heartbeat:
            _train_and_finish(lab, run, recorder, heartbeat)
    except (LeaseLostError, UnreadableRunError, StoreBusyError, ArtifactsUnreachableError) as error:
        # The store was busy until the process ended. The run is marked interrupted once its lease expires or the
        # supervisor notices the exit.
        log_worker(f"run {run.id}: {error}")
    except LabError as error:
        _fail(lab, run, recorder, str(error))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        # Where a smaller batch helps, training has tried it; this is the network, its optimizer or the data.
        _fail(lab, run, recorder, _NO_MEMORY)
    finally:
        heartbeat.log.close(lab.store, sys.exception())


def _train_and_finish(lab: Lab, run: RunRecord, recorder: RunRecorder, heartbeat: Heartbeat) -> None:
    try:
        ended = _train(lab, run, recorder, heartbeat)
    except (StoreBusyError, ArtifactsUnreachableError):
        if heartbeat.ending.is_set():
            raise
        recorder.pause_after_outage()
        return
    state, reason = _STATES[ended.outcome], ""
    if state is RunState.FINISHED and not recorder.saved_all:  # no result without its weights
        recorder.pause_after_outage()
        return
    by_budget = heartbeat.over_budget and not heartbeat.ending.is_set() and heartbeat.requested is RunRequest.RUN
    if ended.planned or (state is RunState.PAUSED and by_budget):
        # It fulfils RUN, because nobody requested this pause; a request made in the meantime takes precedence.
        why = f"after epoch {ended.epoch}" if ended.planned else "because its minutes of computing are used up"
        recorder.finish(ended, state=state, reason=f"Its sweep pauses it {why}.", fulfils=RunRequest.RUN)
        return
    leaving = heartbeat.sent_away or (heartbeat.ending.is_set() and (heartbeat.joined or bool(run.executor)))
    if state is RunState.PAUSED and leaving and heartbeat.requested is RunRequest.RUN:
        recorder.hand_back(ended)
        return
    if state is RunState.PAUSED and heartbeat.timed_out and not heartbeat.ending.is_set():
        recorder.pause_after_outage(ended)
        return
    if state is RunState.PAUSED and heartbeat.ending.is_set() and heartbeat.requested is not RunRequest.PAUSE:
        state, reason = RunState.INTERRUPTED, "The worker was asked to end; Resume continues where it stopped."
    # The heartbeat continues, because the store may be unreachable for longer than a lease lasts.
    recorder.finish(ended, state=state, reason=reason)


def _fail(lab: Lab, run: RunRecord, recorder: RunRecorder, reason: str) -> None:
    """Store why a run failed, even on a disk that is completely full."""
    log_worker(f"run {run.id} failed: {reason}")
    try:
        recorder.fail(reason)
    except (LeaseLostError, StoreBusyError) as error:
        log_worker(f"run {run.id}: {error}")
    except StoreError:
        release_reserve(lab.settings.home)
        recorder.fail(reason)


def _train(lab: Lab, run: RunRecord, recorder: RunRecorder, heartbeat: Heartbeat) -> Ended:
    network, data, device, resume = heartbeat.outage.call(lambda: _prepare(lab, run, recorder))
    _set_threads(run, device, resume)  # also for epochs that a fork recomputes
    if resume is None and run.config.fork_of:
        try:
            resume = ForkStart(lab, run, recorder, device, heartbeat.command, heartbeat.outage).make(data)
        except RecomputingEndedError as error:
            return error.ended
        _set_threads(run, device, resume)
    recorder.phase(TRAINING)
    return _record_events(lab, run, network, data, device, heartbeat, resume, recorder)


def _prepare(
    lab: Lab, run: RunRecord, recorder: RunRecorder
) -> tuple[nn.Module, ResidentData, torch.device, Checkpoint | None]:
    """Read the data and build the network; repeated from the start if the store does not respond in between."""
    recorder.phase("reading data")
    device = resolve_device(lab.settings.device if run.config.device == "auto" else run.config.device)
    data = read_data(lab, run.config, device)
    recorder.describe(data.mean, data.std, DataFacts(data.classes, largest=data.largest_classes()))
    recorder.phase("building the network")
    saved = _starting_point(lab, run)
    resume = decode_checkpoint(saved) if saved is not None else None
    # A checkpoint has every weight: a resumed run needs neither its seed nor the run that it was fine-tuned from.
    has_state = resume is not None or run.config.fork_of
    network = build_from_config(run.config) if has_state else lab.weights.build_initial(run.config)
    return network, data, device, resume


def _set_threads(run: RunRecord, device: torch.device, resume: Checkpoint | None) -> None:
    if device.type == "cpu":
        torch.set_num_threads(threads_for(run.config, usual=_USUAL_THREADS, resume=resume))


def _record_events(
    lab: Lab,
    run: RunRecord,
    network: nn.Module,
    data: ResidentData,
    device: torch.device,
    heartbeat: Heartbeat,
    resume: Checkpoint | None,
    recorder: RunRecorder,
) -> Ended:
    with steps_on_devices(run.config, lab.settings, device) as steps:
        events = train(
            run.config,
            network=network,
            data=data,
            device=device,
            command=heartbeat.command,
            resume=resume,
            steps=steps,
            pause_epoch=run.pause_epoch,
        )
        for event in events:
            if isinstance(event, Ended):
                return event
            recorder.record(event)
    raise AssertionError("training ended without its last event")


def _starting_point(lab: Lab, run: RunRecord) -> bytes | None:
    """Return the checkpoint to resume from: the run's own, or that of the shorter run that it continues."""
    own = lab.weights.newest_checkpoint(run.id)
    if own is not None or not run.parent or not run.family:
        return own
    try:
        if lab.store.runs.get(run.parent, deleted=True).family != run.family:
            return None
        lab.store.history.copy(run.parent, run.id, lease=run.lease)
    except RunNotFoundError:  # purged: training from the first step gives the same result, it only takes longer
        return None
    return lab.weights.newest_checkpoint(run.id)
