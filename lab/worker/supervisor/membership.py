"""The state of this host in the store, which the supervisor updates every few seconds.

A machine that joined with a token also announces itself, even if none of its workers is running. The lab's own machines
publish the data sets of queued runs for joined machines.
"""

import threading
import time
from dataclasses import dataclass, field

from lab.background import start_thread
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

ASK_S = 2.0  # largest delay until a joined machine is shown and a drained one stops claiming runs
MAX_ASK_S = 5.0  # the same if hundreds of machines joined; `lab.runs.rows.SILENT_S` is at least three times as long


@dataclass
class Membership:
    """The membership of one host in a store. Every method may raise `StoreError`."""

    settings: Settings
    store: RunStore
    record: HostRecord = field(default_factory=lambda: HostRecord(this_host()))
    _asked_at: float = float("-inf")
    _publisher: threading.Thread | None = None

    @classmethod
    def open(cls, settings: Settings, store: RunStore) -> "Membership":
        """Look up this host, and record its release if it is one of the lab's own."""
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
        """Whether the workers of this host may claim runs."""
        return self.record.state is HostState.ACTIVE

    @property
    def expelled(self) -> bool:
        """Whether this machine was removed or refused and has to join again."""
        return self.joined and self.record.state in (HostState.REMOVED, HostState.REFUSED)

    @property
    def reason(self) -> str:
        """Why this machine was expelled, and how to join again."""
        return self.record.reason or "This machine was removed from the lab: `convlab worker --join` lets it return."

    @property
    def busy(self) -> bool:
        """Whether data sets are being published."""
        return self._publisher is not None and self._publisher.is_alive()

    def step(self) -> None:
        """Update the record of this host if it is older than a few seconds."""
        ask_s = pace.interval_s(ASK_S, askers=self.record.machines, a_second=pace.SIGNS_A_SECOND, most_s=MAX_ASK_S)
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
            self._publisher = start_thread(self._publish, name="data sets")

    def look_again_s(self, least_s: float) -> float:
        """Return the seconds until the next look for work: `least_s` if few machines have joined."""
        return pace.look_again_s(least_s, waiting=self.record.machines)

    def leave(self) -> None:
        """Remove a joined machine from the list of hosts when its supervisor exits."""
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
