"""Claims of queued runs for one slot.

If the connection is lost, a claim may have been committed although its response was not received. The next claim
therefore first releases any run that this process may hold.
"""

from collections.abc import Collection

from lab.runs.owner import Owner
from lab.runs.records import RunRecord
from lab.runs.store import RunStore


class Claims:
    """The claims of one process for one slot."""

    def __init__(self, store: RunStore, *, slot: str, owner: Owner) -> None:
        self._leases, self._slot, self._owner = store.leases, slot, owner
        self._unsure = False  # whether the response to the last claim was lost

    def claim(
        self, *, run: str | None = None, executor: str | None = None, lacks: Collection[str] = ()
    ) -> RunRecord | None:
        """Claim a run for this process and return it, or None if there is none; see `Leases.claim`.

        Raises `StoreBusyError`, after which the call can be repeated.
        """
        if self._unsure:
            self._leases.release(slot=self._slot, owner=self._owner)
        self._unsure = True
        found = self._leases.claim(slot=self._slot, owner=self._owner, run=run, executor=executor, lacks=lacks)
        self._unsure = False
        return found
