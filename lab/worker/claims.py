"""Claims of queued runs for one slot. A claim may be committed though its answer was lost with the connection: the next one
releases first what this process may hold without knowing it."""

from collections.abc import Collection

from lab.runs.owner import Owner
from lab.runs.records import RunRecord
from lab.runs.store import RunStore


class Claims:
    """The claims of one process for one slot."""

    def __init__(self, store: RunStore, *, slot: str, owner: Owner) -> None:
        self._leases, self._slot, self._owner = store.leases, slot, owner
        self._unsure = False  # whether the answer to the last claim was lost

    def claim(
        self, *, run: str | None = None, executor: str | None = None, lacks: Collection[str] = ()
    ) -> RunRecord | None:
        """Return the run that this process may train now, None where there is none; as `Leases.claim`.

        Raises `StoreBusyError`, after which it is to be called again.
        """
        if self._unsure:
            self._leases.release(slot=self._slot, owner=self._owner)
        self._unsure = True
        found = self._leases.claim(slot=self._slot, owner=self._owner, run=run, executor=executor, lacks=lacks)
        self._unsure = False
        return found
