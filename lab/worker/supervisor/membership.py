"""What this host may do for its store: looked at every few seconds by the supervisor.

A machine that joined with a token also says that it is there, whether a worker of it lives or not. One of the lab's own
stores the data sets of waiting runs for those machines.
"""

import threading
import time
from dataclasses import dataclass, field

from lab.errors import LabError
from lab.runs import pace
from lab.runs.artifacts import ArtifactStore
from lab.runs.hosts import HostRecord, HostState, Release
from lab.runs.owner import this_host
from lab.runs.store import RunStore
from lab.settings import Settings
from lab.shared_datasets import SharedDatasets
from lab.worker.supervisor.log import log_supervisor
from lab.worker.supervisor.slots import host_slot_names

ASK_S = 2.0  # a machine that joined is seen, and one that was drained stops taking runs, at most this much later
MOST_ASK_S = 5.0  # the same where hundreds joined; three signs of life fit into `lab.runs.rows.SILENT_S`


@dataclass
class Membership:
    """One host of a store. Every call may raise `StoreError`."""

    settings: Settings
    store: RunStore
    record: HostRecord = field(default_factory=lambda: HostRecord(this_host()))
    _asked_at: float = float("-inf")
    _publisher: threading.Thread | None = None

    @classmethod
    def open(cls, settings: Settings, store: RunStore) -> "Membership":
        """Look up this host, and write down the release of one of the lab's own."""
        membership = cls(settings, store, store.hosts.find(this_host()) or HostRecord(this_host()))
        if not membership.joined:
            store.hosts.readmit(this_host())
            if not store.database.is_sqlite:
                store.hosts.set_release(Release.of_this_machine(), host=this_host())
        return membership

    @property
    def joined(self) -> bool:
        """Whether this machine joined with a token."""
        return self.record.joined

    @property
    def accepts(self) -> bool:
        """Whether a worker of this host may take a run."""
        return self.record.state is HostState.ACTIVE

    @property
    def expelled(self) -> bool:
        """Whether this machine has nothing to do here any more until it joins again."""
        return self.joined and self.record.state in (HostState.REMOVED, HostState.REFUSED)

    @property
    def reason(self) -> str:
        """Why it was expelled, and the way back."""
        return self.record.reason or "This machine was removed from the lab: `convlab worker --join` lets it return."

    @property
    def busy(self) -> bool:
        """Whether data sets are being stored."""
        return self._publisher is not None and self._publisher.is_alive()

    def step(self) -> None:
        """Renew what is known, every few seconds."""
        ask_s = pace.interval_s(ASK_S, askers=self.record.machines, a_second=pace.SIGNS_A_SECOND, most_s=MOST_ASK_S)
        if time.monotonic() - self._asked_at < ask_s:
            return
        self._asked_at = time.monotonic()
        if self.joined:
            lacks = self._shared().lacking()
            found = self.store.hosts.renew(self.record.host, slots=host_slot_names(self.settings), lacks=lacks)
            self.record = HostRecord(found.host, found.state, found.reason, joined=True, machines=found.machines)
            return
        self.record = self.store.hosts.find(self.record.host) or HostRecord(self.record.host)
        if not self.store.database.is_sqlite and not self.busy and self.store.hosts.has_joined():
            self._publisher = threading.Thread(target=self._publish, name="data sets", daemon=True)
            self._publisher.start()

    def look_again_s(self, least_s: float) -> float:
        """Return in how many seconds to look for work again: `least_s` while few machines have joined."""
        interval = pace.interval_s(least_s, askers=self.record.machines, a_second=pace.LOOKS_A_SECOND)
        return pace.spread_s(least_s, interval)

    def leave(self) -> None:
        """Take a machine that ends off the list."""
        if self.joined:
            self.store.hosts.leave(self.record.host)

    def _shared(self) -> SharedDatasets:
        artifacts = ArtifactStore(self.settings.artifacts, database=self.store.database)
        return SharedDatasets(self.store, artifacts, self.settings.data)

    def _publish(self) -> None:
        try:
            for dataset in self._shared().publish_waiting():
                log_supervisor(f"the data set {dataset} is stored for the machines that joined")
        except (LabError, OSError) as error:
            log_supervisor(f"a data set could not be stored for the machines that joined: {error}")
