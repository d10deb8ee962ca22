"""The worker: a process that claims queued runs and trains them one at a time, writing what happens to the store.

`work` is its life; `execute` is one run. The training loop yields events and a `RunRecorder` keeps them. A `Watch` renews
the lease and hears what the user wants, on a thread of its own, so that a long step never looks like a death. A
deliberate error ends the run with its sentence; anything else ends the process with its traceback in the log, and the
supervisor marks the run.
"""

import gc
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from lab.checkpoint_files import decode_checkpoint
from lab.data.resident import load_resident
from lab.devices import resolve_device
from lab.diagnosis.curves import DataFacts
from lab.errors import LabError, LeaseLostError, RunNotFoundError, StoreBusyError, StoreError, UnreadableRunError
from lab.networks import build_from_config
from lab.runs.outage import WAIT_S, Outage
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.rows import RENEW_S
from lab.service.judging import judge_older
from lab.service.lab import Lab
from lab.settings import Settings
from lab.training.checkpoint import Checkpoint
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Command, Ended
from lab.worker.recorder import RunRecorder
from lab.worker.supervisor.launch import start_supervisor

LISTEN_S = 0.2  # how often the user's request is looked at
IDLE_S = 300.0  # stay warm this long: importing torch again costs seconds
BALLAST_BYTES = 1_000_000  # room for the few rows that say why a run failed
_RESTART_S = 60.0  # a supervisor that cannot stay alive is started again this often at most
POLL_S = 0.3  # how often an idle worker looks for a queued run

_STATES = {
    "finished": RunState.FINISHED,
    "early-stopped": RunState.FINISHED,
    "paused": RunState.PAUSED,
    "stopped": RunState.STOPPED,
}


@dataclass
class Watch:
    """Renews a run's lease and hears the user's request, on a thread of its own."""

    lab: Lab
    run: RunRecord
    ending: threading.Event
    outage: Outage = field(default_factory=Outage)
    requested: RunRequest = RunRequest.RUN
    lost: bool = False
    gave_up: bool = False  # the loop was told to pause because the store is away for too long
    said: str = ""
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._listen, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _listen(self) -> None:
        renewed = time.monotonic()
        while not self._done.wait(LISTEN_S):
            due = time.monotonic() - renewed >= RENEW_S
            if due:
                renewed = (
                    time.monotonic()
                )  # tried is enough: on a full disk a request can be read, but no lease renewed
            try:
                self.requested = self._renew() if due else self.lab.store.leases.requested(self.run.id)
            except LeaseLostError as error:
                _say(str(error))
                self.lost = True
                return
                self.said = ""
            except StoreError as error:  # said once, not five times a second
                if str(error) != self.said:
                    self.said = str(error)
                    _say(self.said)

    def _renew(self) -> RunRequest:
        return self.lab.store.leases.heartbeat(self.run.id, self.run.lease)

    def command(self) -> Command:
        """Answer the training loop's question between two steps."""
        if self.lost or self.requested is RunRequest.STOP:
            return Command.STOP
        if self.ending.is_set() or self.requested is RunRequest.PAUSE:
            return Command.PAUSE
        if self.outage.exceeded:
            self.gave_up = True
            return Command.PAUSE
        return Command.RUN


def execute(lab: Lab, run: RunRecord, *, ending: threading.Event, wait_s: float = WAIT_S) -> None:
    """Train one claimed run to its end, whatever that is; the store says so afterwards.

    wait_s: how long the store may be busy or unreachable before the run is paused.
    """
    outage = Outage(limit_s=wait_s, ending=ending, say=_say)
    recorder = RunRecorder(lab.store, lab.artifacts, run, outage=outage)
    try:
        with Watch(lab, run, ending, outage) as watch:
            _train_and_finish(lab, run, recorder, watch)
    except (LeaseLostError, UnreadableRunError, StoreBusyError) as error:
        # Busy to the end of the process: whoever sees that it is gone marks the run interrupted.
        _say(f"run {run.id}: {error}")
    except LabError as error:
        _say(f"run {run.id} failed: {error}")
        _fail(lab, run, recorder, str(error))


def _train_and_finish(lab: Lab, run: RunRecord, recorder: RunRecorder, watch: Watch) -> None:
    try:
        ended = _train(lab, run, recorder, watch)
    except StoreBusyError:
        if watch.ending.is_set():
            raise
        recorder.pause_after_outage()
        return
    state, reason = _STATES[ended.outcome], ""
    if state is RunState.PAUSED and watch.gave_up and not watch.ending.is_set():
        recorder.pause_after_outage(ended)
        return
    if state is RunState.PAUSED and watch.ending.is_set() and watch.requested is not RunRequest.PAUSE:
        state, reason = RunState.INTERRUPTED, "The worker was asked to end; Resume continues where it stopped."
    # Still watched: the store may be away for longer than a lease lasts.
    recorder.finish(ended, state=state, reason=reason)


def _fail(lab: Lab, run: RunRecord, recorder: RunRecorder, reason: str) -> None:
    """Write down why a run failed, even on a disk that was filled to its last byte."""
    try:
        recorder.fail(reason)
    except (LeaseLostError, StoreBusyError) as error:
        _say(f"run {run.id}: {error}")
    except StoreError:
        _ballast(lab).unlink(missing_ok=True)
        recorder.fail(reason)


def _ballast(lab: Lab) -> Path:
    return lab.settings.home / "ballast"


def _take_ballast(lab: Lab) -> None:
    """Hold some room back, to be thrown off when the disk is full and the reason has to be written down."""
    if not _ballast(lab).exists():
        try:
            _ballast(lab).write_bytes(bytes(BALLAST_BYTES))
        except OSError as error:
            _say(f"no room could be held back for a full disk ({error.strerror})")


def _train(lab: Lab, run: RunRecord, recorder: RunRecorder, watch: Watch) -> Ended:
    network, data, device, resume = watch.outage.call(lambda: _prepare(lab, run, recorder))
    recorder.phase("training")
    return _listen(run, network, data, device, watch, resume, recorder)


def _prepare(
    lab: Lab, run: RunRecord, recorder: RunRecorder
) -> tuple[nn.Module, ResidentData, torch.device, Checkpoint | None]:
    """Read the data and build the network; done again where the store did not answer in between."""
    recorder.phase("reading data")
    device = resolve_device(lab.settings.device if run.config.device == "auto" else run.config.device)
    data = load_resident(run.config, root=lab.settings.data, device=device)
    recorder.describe(data.mean, data.std, DataFacts(data.classes, largest=data.largest_classes()))
    recorder.phase("building the network")
    saved = _starting_point(lab, run)
    resume = decode_checkpoint(saved) if saved is not None else None
    # A checkpoint holds every weight: a run that goes on needs neither its seed nor the run it was fine-tuned from.
    network = build_from_config(run.config) if resume else lab.weights.build_initial(run.config)
    return network, data, device, resume


def _listen(
    run: RunRecord,
    network: nn.Module,
    data: ResidentData,
    device: torch.device,
    watch: Watch,
    resume: Checkpoint | None,
    recorder: RunRecorder,
) -> Ended:
    events = train(run.config, network=network, data=data, device=device, command=watch.command, resume=resume)
    for event in events:
        if isinstance(event, Ended):
            return event
        recorder.take(event)
    raise AssertionError("training ended without its last event")


def _starting_point(lab: Lab, run: RunRecord) -> bytes | None:
    """Return the checkpoint to go on from: the run's own, or that of the shorter run which it continues."""
    own = lab.weights.newest_checkpoint(run.id)
    if own is not None or not run.parent or not run.family:
        return own
    try:
        if lab.store.runs.get(run.parent, deleted=True).family != run.family:
            return None
        lab.store.history.copy(run.parent, run.id, lease=run.lease)
    except RunNotFoundError:  # deleted for good: from the first step on it is the same run, only longer under way
        return None
    return lab.weights.newest_checkpoint(run.id)


def warm_up() -> None:
    """Take one step of a tiny network: the first optimizer imports half of torch, better now than in a run."""
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 1)).sum().backward()
    optimizer.step()


def work(lab: Lab, *, ending: threading.Event, idle_s: float = IDLE_S, wait_s: float = WAIT_S) -> None:
    """Train queued runs until asked to end, or until nothing was queued for `idle_s` seconds.

    wait_s: how long the store may be busy or unreachable before a run is paused.
    """
    owner = Owner.of_this_process()
    slot = str(resolve_device(lab.settings.device))
    idle_since = time.monotonic()
    outage = Outage(ending=ending, say=_say)
    unsure = False  # whether a claim may have been taken down though its answer was lost
    _take_ballast(lab)
    while not ending.is_set() and time.monotonic() - idle_since < idle_s:
        try:
            if unsure:
                lab.store.leases.release(slot=slot, owner=owner)
            run, unsure = lab.store.leases.claim(slot=slot, owner=owner), False
            outage.answered()
        except StoreBusyError as error:
            outage.refused(error)
            run, unsure = None, True
        if run is None:
            if not judge_older(lab.store, budget_s=POLL_S):
                ending.wait(POLL_S)
            continue
        _say(f"run {run.id} ({run.config.arch} on {run.config.dataset}), attempt {run.attempts}")
        execute(lab, run, ending=ending, wait_s=wait_s)
        _let_go()
        idle_since = time.monotonic()


def keep_supervised(settings: Settings, ending: threading.Event) -> None:
    """Start a new supervisor where this worker's was killed; it adopts this worker."""
    pause_s = RENEW_S
    while not ending.wait(pause_s):
        try:
            started = start_supervisor(settings)
        except (OSError, LabError) as error:
            _say(f"the supervisor is gone, and none could be started: {error}")
            started = True
        else:
            if started:
                _say("the supervisor was gone, and another was started")
        pause_s = min(2 * pause_s, _RESTART_S) if started else RENEW_S


def _let_go() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} worker {os.getpid()}: {text}\n")
    sys.stderr.flush()


def main() -> int:
    """Work with the settings of the environment until the work or the patience is over."""
    ending = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    settings = Settings.from_env(os.environ)
    threading.Thread(target=keep_supervised, args=(settings, ending), name="supervisor watch", daemon=True).start()
    warm_up()
    try:
        work(Lab(settings), ending=ending)
    except LabError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
