"""Long writes as a sequence of short transactions, so that a concurrent training never waits long for the lock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from lab.runs.database import Database

WORK_S = 0.015  # target for the statements of a transaction; its commit takes as long again, even with few rows
# A writer that waits for SQLite's lock retries after 1, 2, 5, 10, 15, 20 and then every 25 ms for a while
# (`sqliteDefaultBusyCallback`), so a longer pause lets it get the lock.
PAUSE_S = 0.03
_FIRST, _MIN, MAX_ROWS = 2_000, 1_000, 8_192  # rows in one transaction


class ThrottledWriter:
    """Sizes the transactions of one long write by the duration of the previous ones."""

    def __init__(self, database: Database, *, first: int = _FIRST, least: int = _MIN) -> None:
        self._database = database
        self._size, self._least = first, least
        self._took_s: float | None = None  # duration of the last transaction, None before the first
        self.longest_s = 0.0  # the longest time that the write lock was held

    @property
    def size(self) -> int:
        """The number of rows that the next transaction may write."""
        return self._size

    @contextmanager
    def write(self, *, sized: bool = True) -> Iterator[Connection]:
        """Yield a connection for one transaction, after a pause as long as the last one, in which others may write.

        sized: whether it writes `size` rows, so that its duration determines the size of the next one.
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
            self._size = int(min(MAX_ROWS, max(self._least, self._size * factor)))
