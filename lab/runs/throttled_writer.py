"""Long writes as a sequence of short transactions, so that a training beside them never waits long for the lock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from lab.runs.database import Database

WORK_S = 0.015  # what the statements of one transaction aim at; the commit costs as much again, however few rows it has
# A writer that waits for SQLite's lock looks for it after 1, 2, 5, 10, 15, 20 and then every 25 ms for a while
# (`sqliteDefaultBusyCallback`): a pause longer than that is one in which it gets the lock.
PAUSE_S = 0.03
_FIRST, _LEAST, MOST_ROWS = 2_000, 1_000, 8_192  # rows in one transaction


class ThrottledWriter:
    """Sizes the transactions of one long write by how long the ones before them took."""

    def __init__(self, database: Database, *, first: int = _FIRST, least: int = _LEAST) -> None:
        self._database = database
        self._size, self._least = first, least
        self._took_s: float | None = None  # the last transaction, as soon as there was one
        self.longest_s = 0.0  # how long the write lock was held at most

    @property
    def size(self) -> int:
        """How many rows the next transaction may write."""
        return self._size

    @contextmanager
    def write(self, *, sized: bool = True) -> Iterator[Connection]:
        """Give a connection for one transaction, after a pause, as long as the last one took, in which others may write.

        sized: whether it writes `size` rows, so that its duration tells how many the next one may write.
        """
        if self._took_s is not None:
            time.sleep(max(PAUSE_S, self._took_s))
        with self._database.write() as connection:
            start = time.perf_counter()
            yield connection
            worked = time.perf_counter() - start
        self._took_s = time.perf_counter() - start
        self.longest_s = max(self.longest_s, self._took_s)
        if sized:
            factor = min(2.0, max(0.25, WORK_S / max(worked, 1e-6)))
            self._size = int(min(MOST_ROWS, max(self._least, self._size * factor)))
