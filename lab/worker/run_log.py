"""The log of a worker while it trains a run, stored with the run so that every machine can read it."""

import traceback

from lab.errors import StoreError
from lab.runs.owner import this_host
from lab.runs.store import RunStore
from lab.worker.supervisor.log import RECENT


class RunLogWriter:
    """Stores the log lines of this process as the log of one run."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._stored: tuple[str, ...] = ()

    def store_new(self, store: RunStore) -> None:
        """Store the latest lines if there are new ones. Raises `StoreError`."""
        lines = tuple(RECENT)
        if lines != self._stored:
            store.logs.write(self._run, host=this_host(), lines=lines)
            self._stored = lines

    def close(self, store: RunStore, error: BaseException | None) -> None:
        """Store the last lines, including the traceback of a bug. Errors of the store are ignored."""
        if error is not None:
            RECENT.extend("".join(traceback.format_exception(error)).rstrip().splitlines())
        try:
            self.store_new(store)
        except StoreError:  # the run's reason says what happened, and these lines are also in this machine's log
            return
