"""Removing for good, in short transactions: runs that were deleted some time ago, and what a killed import left.

A run leaves `runs` first and becomes a partial run, which nobody sees. Then its points go, then its files with the list
of them, then the partial run itself. Whoever is killed in between leaves a partial run, which the next removal finds.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import delete, insert, select, update

from lab.runs.edits import PURGE_AFTER_S
from lab.runs.pace import Pace
from lab.runs.partial_table import partial_runs
from lab.runs.points import Points, unlisted
from lab.runs.schema import kept, runs
from lab.runs.seals import RAW, is_sound

Remove: TypeAlias = Callable[[Sequence[str]], None]
_FILES = 16  # taken off the list in the first transaction: each costs a call to the place where files are
_EXPIRED = 0.0  # a lease that no importer can renew
_FIRST_STEP = -(2**63)


class Removal(Points):
    """The part of `RunStore` that removes runs for good."""

    def purge(self, remove: Remove, *, older_than_s: float = PURGE_AFTER_S) -> None:
        """Remove for good what was deleted longer ago than this, and what imports that were killed have left.

        remove: is given the paths that no run lists any more, before they are taken off the list: whoever is killed in
        between finds them again.
        """
        limit = self.now() - older_than_s
        with self.database.read() as connection:
            gone = list(connection.execute(select(runs.c.number).where(runs.c.deleted_at <= limit)).scalars())
        pace = Pace(self.database)
        for number in gone:
            with pace.write(sized=False) as connection:
                still = (runs.c.number == number) & (runs.c.deleted_at <= limit)
                row = connection.execute(select(*RAW).where(still).with_for_update()).one_or_none()
                if row is not None and is_sound(row):  # else its time of deletion may be the damage
                    connection.execute(delete(runs).where(runs.c.number == number))
                    connection.execute(insert(partial_runs).values(number=number, id=row.id, lease_until=_EXPIRED))
        with self.database.read() as connection:
            expired = partial_runs.c.lease_until <= self.now()
            left = list(connection.execute(select(partial_runs.c.number).where(expired)).scalars())
        for number in left:
            self._remove_partial(number, remove, pace)

    def _remove_partial(self, number: int, remove: Remove, pace: Pace) -> None:
        """Remove a partial run and all that belongs to it; its importer, should it still live, can write no more."""
        with pace.write(sized=False) as connection:
            over = update(partial_runs).where(partial_runs.c.number == number).values(lease_until=_EXPIRED)
            run = connection.execute(over.returning(partial_runs.c.id)).scalar_one_or_none()
        if run is None:
            return
        self._delete_points(pace, number, after_step=_FIRST_STEP, hold=lambda _connection: None)
        files = Pace(self.database, first=_FILES, least=1)
        listed = select(kept.c.path).where(kept.c.run == run).order_by(kept.c.path)
        paths = [""]
        while paths:
            with files.write() as connection:
                paths = list(connection.execute(listed.limit(files.size)).scalars())
                connection.execute(delete(kept).where(kept.c.run == run, kept.c.path.in_(paths)))
                free = unlisted(connection, paths)
                if free:
                    remove(free)
        with pace.write(sized=False) as connection:
            connection.execute(delete(partial_runs).where(partial_runs.c.number == number))
