"""Detects silent damage to what is stored: `check_file`, `verify` for a run, `checksum_older_rows` for older releases.

Every change renews the checksum of what it writes (`lab.runs.checksums`). Older releases computed one digest when a
run ended. This digest is still verified, and a run that passes gets a checksum then.
"""

import math
import time
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import DBAPIError

from lab.errors import StoreError
from lab.formatting import plural
from lab.runs.checksums import RAW, has_checksum, is_intact
from lab.runs.context import StoreContext
from lab.runs.older_rows import checksum_older_run, older_row_fits
from lab.runs.records import RunState
from lab.runs.row_changes import find_row
from lab.runs.rows import damage_words, decoded
from lab.runs.sums import curve_names, stored_sums
from lab.runs.tables import metadata, points, runs, series_names, stored_files

_STEPS = 10_000  # of SQLite's virtual machine between two checks of the deadline
_MAX = 5  # problems that are reported
CHECK_S = 0.25  # time limit of the check when a lab is opened; `doctor` and `verify` have none
CHECK_EVERY_S = 600.0  # how often a running server repeats it


class Integrity:
    """`RunStore.integrity`: compares the stored data with its checksums."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context
        self._checked_at = -CHECK_EVERY_S
        self._warnings: tuple[str, ...] = ()

    def check_file(self, *, within_s: float | None = None) -> tuple[str, ...]:
        """Return the problems that SQLite's own check finds in the file; none on a server, which checks itself.

        within_s: stop after this time and return what was found; a large file takes a second per 200 MB. The names of
        the curves are checked first and the points last: one damaged name loses a curve of every run.
        """
        if not self.context.database.is_sqlite:
            return ()
        try:
            with self.context.database.read() as connection:
                found = _integrity(connection, within_s)
        except StoreError as error:
            return (str(error),)
        if found == ["ok"]:
            return ()
        where = self.context.database.url.database
        return tuple(
            f"The database {where} is damaged ({line[:90]}): its lists may lack runs, or show those of another store. "
            "Restore it from a copy."
            for line in found
        )

    def warnings(self) -> tuple[str, ...]:
        """Return the result of a quick check of the file, which runs when a lab is opened and every ten minutes."""
        now = time.monotonic()
        if now - self._checked_at >= CHECK_EVERY_S:
            self._checked_at = now
            self._warnings = self.check_file(within_s=CHECK_S)[:1]
        return self._warnings

    def check_names(self) -> tuple[str, ...]:
        """Return a sentence for each curve that runs have written and whose name is missing in the store.

        Such a curve is missing in each of these runs, and in their results. The file's own check does not detect this
        if a damaged file was copied or repaired.
        """
        with self.context.database.read() as connection:
            known = set(connection.execute(select(series_names.c.name)).scalars())
            written = [curve_names(row) for row in connection.execute(select(*RAW)) if row.seal and is_intact(row)]
        lost = sorted({name for names in written for name in names} - known)
        return tuple(
            f"The name of the curve {name[:60]!r}, which {plural(sum(name in names for names in written), 'run')} "
            "wrote, is not in the database any more: restore it from a copy."
            for name in lost
        )

    def verify(self, run: str) -> tuple[str, ...]:
        """Return a sentence for each part of a run that is not as it was written."""
        with self.context.database.read_in_parts() as connection:
            row = find_row(connection, run, deleted=True)
            if not is_intact(row):
                return (damage_words(run),)
            sound = _sums_fit(connection, row) if has_checksum(row) else older_row_fits(connection, row)
        if not sound and row.state == RunState.RUNNING:  # its worker may be writing: compare within one snapshot
            with self.context.database.read() as connection:
                sound = _sums_fit(connection, find_row(connection, run, deleted=True))
        if sound:
            return ()
        return (
            f"The stored rows of run {run} are not those that were written (their checksum differs): do not trust its "
            "numbers; restore the store from a copy, or train the run again.",
        )

    def checksum_older_rows(self) -> tuple[str, ...]:
        """Compute the checksums of an older release's runs that are intact; return a sentence for each damaged one."""
        problems: list[str] = []
        with self.context.database.read() as connection:
            waiting = list(connection.execute(select(runs.c.id).where(runs.c.seal == "")).scalars())
        for run in waiting:
            if not checksum_older_run(self.context, run):
                problems.append(damage_words(run))
        return tuple(problems)


def _integrity(connection: Connection, within_s: float | None) -> list[str]:
    """Return the problems of the tables one by one, or else of the file as a whole; ["ok"] if there are none."""
    end = math.inf if within_s is None else time.monotonic() + within_s
    large = {points.name, stored_files.name}
    small = [series_names.name, *sorted(metadata.tables.keys() - large - {series_names.name})]
    for what in (*small, _MAX):
        found = _look_until(connection, f"PRAGMA integrity_check({what})", end)
        if found != ["ok"]:
            return found
    return ["ok"]


def _look_until(connection: Connection, pragma: str, end: float) -> list[str]:
    """Return the result of a check; ["ok"] if the time is up before it has found anything."""
    driver: Any = connection.connection.dbapi_connection
    driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        return list(connection.exec_driver_sql(pragma).scalars())
    except DBAPIError as error:
        if "interrupted" in str(error):
            return ["ok"]
        raise
    finally:
        driver.set_progress_handler(None, 0)


def _sums_fit(connection: Connection, row: Row[Any]) -> bool:
    return bool(stored_sums(connection, row.number, row.id) == decoded(row.sums))
