"""What all parts of the run store share: the database, and the clock that its times are compared with."""

import math
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from lab.runs.database import Database, Moment
from lab.runs.rows import LEASE_S

_ASK_EVERY_S = 60.0  # how often the server's clock is read


class StoreContext:
    """One database with its clock. clock: returns seconds since the epoch and replaces the store's own time."""

    def __init__(self, database: Database, clock: Callable[[], float] | None = None) -> None:
        self.database = database
        self.clock = clock
        self._asked_at, self._ahead_s = -math.inf, 0.0  # server clock minus this process's monotonic clock

    def moment(self, connection: Connection) -> Moment:
        """Return the time on the store's clock, or on the clock this store was opened with."""
        if self.clock is None:
            return self.database.moment(connection)
        return Moment(self.clock(), database=self.database.url)

    def now(self) -> float:
        """Return the current time on the store's clock, the only clock to compare the store's times with."""
        if self.clock is not None:
            return self.clock()
        if self.database.is_sqlite:
            return time.time()
        if time.monotonic() - self._asked_at > _ASK_EVERY_S:
            with self.database.read() as connection:
                self._ahead_s = self.database.moment(connection).now - time.monotonic()
            self._asked_at = time.monotonic()
        return time.monotonic() + self._ahead_s

    def renewed_lease(self, connection: Connection) -> dict[str, Any]:
        """Return the columns of `runs` that renew an owner's lease."""
        return {"lease_until": self.moment(connection).now + LEASE_S}
