"""A worker's entry in the store's table of workers: renewed while the worker waits, removed when it exits.

Renewing returns the number of waiting workers, which determines how often each of them looks for a run.
"""

import math
import time

from lab.errors import StoreBusyError, StoreError
from lab.runs import pace
from lab.runs.store import RunStore
from lab.runs.workers import SEEN_S, WorkerRecord
from lab.worker.supervisor.log import log_worker


class Presence:
    """Announces a worker in the store. Write errors, such as on a full disk, do not end the worker."""

    def __init__(self, store: RunStore, worker: WorkerRecord) -> None:
        self._store, self._worker = store, worker
        self._renewed = -math.inf
        self._waiting = 1

    def renew(self) -> None:
        """Write the entry if it is older than a few seconds. Raises `StoreBusyError`."""
        if time.monotonic() - self._renewed < SEEN_S:
            return
        try:
            self._waiting = self._store.workers.announce(self._worker)
        except StoreBusyError:
            raise
        except StoreError as error:
            log_worker(f"the table of workers could not be written: {error}")
        self._renewed = time.monotonic()

    def look_again_s(self, least_s: float) -> float:
        """Return the seconds until the next look for a run: `least_s` if few workers are waiting."""
        return pace.look_again_s(least_s, waiting=self._waiting)

    def end(self) -> None:
        """Remove the entry. If the store is unreachable, the entry of the exited worker remains."""
        try:
            self._store.workers.leave(self._worker)
        except StoreError as error:
            log_worker(f"the table of workers could not be written: {error}")
