"""Notices when something stored has changed by itself: `check` the file, `verify` a run, `seal_older` what came before.

What is written now is sealed at every change (`lab.runs.seals`). An older release took one digest when a run ended; it
is still verified, and what passes is sealed then.
"""

import hashlib
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import DBAPIError

from lab.errors import StoreError
from lab.runs.base import StoreBase
from lab.runs.curves import fetch
from lab.runs.encoding import encode_json
from lab.runs.records import RunState
from lab.runs.rows import damage_words, decoded, listed_record
from lab.runs.schema import kept, runs, series_names
from lab.runs.seals import EMPTY_SUM, RAW, added, file_sum, is_sealed, is_sound, points_sum

_FIELDS = ("id", "config", "fingerprint", "family", "seconds", "reason", "device", "summary", "environment", "notices")
_JSON_FIELDS = ("config", "summary", "environment", "notices")
_STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock
CHECK_S = 0.25  # what opening a lab may spend on the file's structure; `doctor` and `verify` take their time
CHECK_EVERY_S = 600.0  # how often a server that stays open looks again


class Digests(StoreBase):
    """The part of `RunStore` that compares what is stored with its checksums."""

    _checked_at = -CHECK_EVERY_S
    _warnings: tuple[str, ...] = ()

    def check(self, *, within_s: float | None = None) -> tuple[str, ...]:
        """Return what SQLite's own check finds wrong with the file, none on a server, which looks after itself.

        within_s: give up after so long, and return nothing; a large file takes a second for each 200 MB.
        """
        if not self.database.is_sqlite:
            return ()
        try:
            with self.database.read() as connection:
                found = _integrity(connection, within_s)
        except StoreError as error:
            return (str(error),)
        if found == ["ok"]:
            return ()
        where = self.database.url.database
        return tuple(
            f"The database {where} is damaged ({line[:90]}): runs may be missing from the lists. Restore it from a copy."
            for line in found
        )

    def warnings(self) -> tuple[str, ...]:
        """Return what a quick check of the file found; it is made when a lab is opened and every ten minutes."""
        now = time.monotonic()
        if now - self._checked_at >= CHECK_EVERY_S:
            self._checked_at = now
            self._warnings = self.check(within_s=CHECK_S)[:1]
        return self._warnings

    def verify(self, run: str) -> tuple[str, ...]:
        """Return a sentence for each thing of a run that is not as it was written."""
        with self.database.read_in_parts() as connection:
            row = self._find(connection, run, deleted=True)
            if not is_sound(row):
                return (damage_words(run),)
            sound = _sums_fit(connection, row) if is_sealed(row) else _older_fits(connection, row)
        if not sound and row.state == RunState.RUNNING:  # its worker writes meanwhile: one moment decides
            with self.database.read() as connection:
                sound = _sums_fit(connection, self._find(connection, run, deleted=True))
        if sound:
            return ()
        return (
            f"The stored rows of run {run} are not those that were written (their checksum differs): do not trust its "
            "numbers; restore the store from a copy, or train the run again.",
        )

    def seal_older(self) -> tuple[str, ...]:
        """Seal the runs that an older release wrote, each once it is found to be sound; return what is wrong."""
        problems: list[str] = []
        with self.database.read() as connection:
            waiting = list(connection.execute(select(runs.c.id).where(runs.c.seal == "")).scalars())
        for run in waiting:
            if not self.seal_older_run(run):
                problems.append(damage_words(run))
        return tuple(problems)

    def seal_older_run(self, run: str) -> bool:
        """Seal one run that an older release wrote; return whether it is sound. One that is gone needs none.

        Its points are read before the lock: of an ended run nobody writes any, and of others the row would be another.
        """
        query = select(*RAW).where(runs.c.id == run)
        with self.database.read_in_parts() as connection:
            row = connection.execute(query).one_or_none()
            if row is None or is_sealed(row):
                return True
            if listed_record(row, moment=self._moment(connection)).problem or not _older_fits(connection, row):
                return False
            sums = stored_sums(connection, row.number, row.id)
        with self.database.write() as connection:
            now = connection.execute(query.with_for_update()).one_or_none()
            if now is not None and not is_sealed(now) and tuple(now) == tuple(row):
                given = update(runs).where(runs.c.number == row.number).values(sums=sums)
                self._seal(connection, connection.execute(given.returning(*RAW)).one())
        return True

    def _adopt(self, connection: Connection, row: Row[Any]) -> Row[Any] | None:
        """Seal a row of an older release and return it, or nothing where it is not as it was when its run ended."""
        if listed_record(row, moment=self._moment(connection)).problem or not _older_fits(connection, row):
            return None
        given = update(runs).where(runs.c.number == row.number).values(sums=stored_sums(connection, row.number, row.id))
        return self._seal(connection, connection.execute(given.returning(*RAW)).one())


def _integrity(connection: Connection, within_s: float | None) -> list[str]:
    driver: Any = connection.connection.dbapi_connection
    end = time.monotonic() + (within_s or 0.0)
    if within_s is not None:
        driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        return list(connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars())
    except DBAPIError as error:
        if "interrupted" in str(error):  # the time is over; nothing was found so far
            return ["ok"]
        raise
    finally:
        driver.set_progress_handler(None, 0)


def stored_sums(connection: Connection, number: int, run: str) -> dict[str, str]:
    """Return the sums of what is stored of a run, read through; curves and files that are empty have none."""
    found = {
        f"points/{name.name}": points_sum(name.name, fetch(connection, number, name.number))
        for name in connection.execute(select(series_names)).all()
    }
    found["files"] = sum_files(connection.execute(select(kept).where(kept.c.run == run)))
    return {key: one for key, one in found.items() if one != EMPTY_SUM}


def sum_files(rows: Iterable[Row[Any]]) -> str:
    """Return the sum of saved files' rows."""
    return added(EMPTY_SUM, *map(file_sum, rows))


def _sums_fit(connection: Connection, row: Row[Any]) -> bool:
    return bool(stored_sums(connection, row.number, row.id) == decoded(row.sums))


def _older_fits(connection: Connection, row: Row[Any]) -> bool:
    return not row.digest or bool(row.digest == row_digest(row, content_digest(connection, row)))


def content_digest(connection: Connection, row: Row[Any]) -> str:
    """Return an older release's SHA-256 of a run's points and list of saved files."""
    digest = hashlib.sha256()
    names = connection.execute(select(series_names).order_by(series_names.c.name)).all()
    for name in names:
        for index, part in enumerate(fetch(connection, row.number, name.number)):
            digest.update(b"" if index else name.name.encode() + b"\0")
            digest.update(part.tobytes())
    for file in connection.execute(select(kept).where(kept.c.run == row.id).order_by(kept.c.path)):
        digest.update(f"{file.path}\0{file.kind}\0{file.step}\0{file.epoch}\0{file.sha256}\0{file.bytes}\0".encode())
    return digest.hexdigest()


def row_digest(row: Row[Any], content: str) -> str:
    """Return an older release's SHA-256 of a row of `runs` together with the digest of what belongs to it."""
    values = {name: getattr(row, name) for name in _FIELDS}
    values |= {name: decoded(values[name]) for name in _JSON_FIELDS}
    return hashlib.sha256(encode_json({"content": content, **values}).encode()).hexdigest()
