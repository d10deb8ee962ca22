"""A worker's entry in the store's table of workers: renewed while it waits, taken off when it ends.

What comes back is how many wait, and so how often each of them may look for a run.
"""

import math
import time

from lab.errors import StoreBusyError, StoreError
from lab.runs import pace
from lab.runs.store import RunStore
from lab.runs.workers import SEEN_S, WorkerRecord
from lab.worker.supervisor.log import log_worker


class Presence:
    """Says that a worker is there. A store that cannot take it down, such as one on a full disk, ends no worker."""

    def __init__(self, store: RunStore, worker: WorkerRecord) -> None:
        self._store, self._worker = store, worker
        self._renewed = -math.inf
        self._waiting = 1

    def renew(self) -> None:
        """Write the entry, every few seconds. Raises `StoreBusyError`."""
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
        """Return in how many seconds to look for a run again: `least_s` while few wait."""
        interval = pace.interval_s(least_s, askers=self._waiting, a_second=pace.LOOKS_A_SECOND)
        return pace.spread_s(least_s, interval)

    def end(self) -> None:
        """Take the entry off; where the store is away it stays, and shows a worker that has ended."""
        try:
            self._store.workers.leave(self._worker)
        except StoreError as error:
            log_worker(f"the table of workers could not be written: {error}")
