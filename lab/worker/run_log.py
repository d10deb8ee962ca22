"""What a worker logs while it trains a run, stored with the run so that every machine can read it."""

import traceback

from lab.errors import StoreError
from lab.runs.owner import this_host
from lab.runs.store import RunStore
from lab.worker.supervisor.log import RECENT


class RunLogWriter:
    """The log of one run, from the lines of this process."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._stored: tuple[str, ...] = ()

    def store_new(self, store: RunStore) -> None:
        """Write the newest lines into the store, if there are new ones. Raises `StoreError`."""
        lines = tuple(RECENT)
        if lines != self._stored:
            store.logs.write(self._run, host=this_host(), lines=lines)
            self._stored = lines

    def close(self, store: RunStore, error: BaseException | None) -> None:
        """Write the last lines, with the traceback of a bug; a store that is away does without them."""
        if error is not None:
            RECENT.extend("".join(traceback.format_exception(error)).rstrip().splitlines())
        try:
            self.store_new(store)
        except StoreError:  # the run's own words say what happened; these lines are in this machine's log too
            return
