"""The heartbeat of a run: a thread that renews its lease, so that a long step is not mistaken for a dead worker."""

import threading
import time
from dataclasses import dataclass, field

from lab.background import start_thread
from lab.errors import LeaseLostError, StoreError
from lab.runs.hosts import HostState
from lab.runs.outage import Outage
from lab.runs.owner import this_host
from lab.runs.records import RunRecord, RunRequest
from lab.runs.rows import RENEW_S
from lab.service.lab import Lab
from lab.training.events import Command
from lab.worker.run_log import RunLogWriter
from lab.worker.supervisor.log import log_worker
from lab.worker.training_pace import TrainingPace

REQUEST_POLL_S = 0.2  # how often the requested state is read if few runs are in training (`lab.runs.pace`)
COUNT_EVERY = 5  # renewals between counts of the runs in training


@dataclass
class Heartbeat:
    """Renews a run's lease and reads the requested state in a separate thread."""

    lab: Lab
    run: RunRecord
    ending: threading.Event
    outage: Outage = field(default_factory=Outage)
    pace: TrainingPace = field(default_factory=TrainingPace)
    requested: RunRequest = RunRequest.RUN
    lost: bool = False
    timed_out: bool = False  # training was paused because the store was unreachable for too long
    joined: bool = False  # this machine joined with a token and shares no files with the lab
    sent_away: bool = False  # this host is drained, removed or refused: its runs go back into the queue
    over_budget: bool = False  # training was paused because its sweep has used up its minutes
    _renewals: int = 0
    _last_error: str = ""  # last error of the store, to log it only once
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.log = RunLogWriter(self.run.id)

    def __enter__(self) -> "Heartbeat":
        self._thread = start_thread(self._beat, name="heartbeat")
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        renewed = time.monotonic()
        while not self._done.wait(self.pace.request_s(REQUEST_POLL_S)):
            due = time.monotonic() - renewed >= RENEW_S
            if due:  # set even if the renewal fails: on a full disk requests can be read, but leases not renewed
                renewed = time.monotonic()
            try:
                self.requested = self._renew() if due else self.lab.store.leases.requested(self.run.id)
            except LeaseLostError:
                # Not logged: a run that has just ended has no lease either, and if the lease was lost, the recorder's
                # next write raises.
                self.lost = True
                return
            except StoreError as error:  # logged once, not at every poll
                if str(error) != self._last_error:
                    self._last_error = str(error)
                    log_worker(self._last_error)

    def _renew(self) -> RunRequest:
        request = self.lab.store.leases.heartbeat(self.run.id, self.run.lease)
        host = self.lab.store.hosts.find(this_host())
        self.joined = host is not None and host.joined
        self.sent_away = host is not None and host.state is not HostState.ACTIVE
        self.log.store_new(self.lab.store)
        if self._renewals % COUNT_EVERY == 0:
            self.pace.training = self.lab.store.queue.count_running()
        self._renewals += 1
        self.over_budget = self.lab.store.sweeps.is_over_budget(self.run.id)
        return request

    def command(self) -> Command:
        """Return the command for the training loop, which polls this method between steps."""
        if self.lost or self.requested is RunRequest.STOP:
            return Command.STOP
        if self.ending.is_set() or self.requested is RunRequest.PAUSE or self.over_budget or self.sent_away:
            return Command.PAUSE
        if self.outage.exceeded:
            self.timed_out = True
            return Command.PAUSE
        return Command.RUN
