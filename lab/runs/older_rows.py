"""Rows written by an older release, which computed one digest when a run ended instead of a checksum at every change.

Such a row gets its checksum once its digest shows that it is unchanged since its run ended.
"""

import hashlib
from typing import Any

from sqlalchemy import Connection, Row, select, update

from lab.runs.checksums import RAW, has_checksum
from lab.runs.context import StoreContext
from lab.runs.curves import fetch
from lab.runs.database import Moment
from lab.runs.encoding import encode_json
from lab.runs.row_changes import write_checksum
from lab.runs.rows import decoded, listed_record
from lab.runs.sums import stored_sums
from lab.runs.tables import runs, saved_files, series_names

_FIELDS = ("id", "config", "fingerprint", "family", "seconds", "reason", "device", "summary", "environment", "notices")
_JSON_FIELDS = ("config", "summary", "environment", "notices")


def checksum_older_run(context: StoreContext, run: str) -> bool:
    """Compute the checksum of one run of an older release; return whether it is intact. A purged run counts as intact.

    Its points are read before the lock is taken: nothing writes those of an ended run, and otherwise the row differs.
    """
    query = select(*RAW).where(runs.c.id == run)
    with context.database.read_in_parts() as connection:
        row = connection.execute(query).one_or_none()
        if row is None or has_checksum(row):
            return True
        if listed_record(row, moment=context.moment(connection)).problem or not older_row_fits(connection, row):
            return False
        sums = stored_sums(connection, row.number, row.id)
    with context.database.write() as connection:
        now = connection.execute(query.with_for_update()).one_or_none()
        if now is not None and not has_checksum(now) and tuple(now) == tuple(row):
            _write_sums(connection, row, sums)
    return True


def adopt_older_row(connection: Connection, row: Row[Any], *, moment: Moment) -> Row[Any] | None:
    """Compute the checksum of a row of an older release and return the row, or None if it has changed since its end."""
    if listed_record(row, moment=moment).problem or not older_row_fits(connection, row):
        return None
    return _write_sums(connection, row, stored_sums(connection, row.number, row.id))


def _write_sums(connection: Connection, row: Row[Any], sums: dict[str, str]) -> Row[Any]:
    stored = update(runs).where(runs.c.number == row.number).values(sums=sums)
    return write_checksum(connection, connection.execute(stored.returning(*RAW)).one())


def older_row_fits(connection: Connection, row: Row[Any]) -> bool:
    """Return whether a row without a checksum is unchanged since its run ended; True for one without a digest."""
    return not row.digest or bool(row.digest == row_digest(row, content_digest(connection, row)))


def content_digest(connection: Connection, row: Row[Any]) -> str:
    """Return the SHA-256, as computed by older releases, of a run's points and list of saved files."""
    digest = hashlib.sha256()
    names = connection.execute(select(series_names).order_by(series_names.c.name)).all()
    for name in names:
        for index, part in enumerate(fetch(connection, row.number, name.number)):
            digest.update(b"" if index else name.name.encode() + b"\0")
            digest.update(part.tobytes())
    for file in connection.execute(select(saved_files).where(saved_files.c.run == row.id).order_by(saved_files.c.path)):
        digest.update(f"{file.path}\0{file.kind}\0{file.step}\0{file.epoch}\0{file.sha256}\0{file.bytes}\0".encode())
    return digest.hexdigest()


def row_digest(row: Row[Any], content: str) -> str:
    """Return the SHA-256, as computed by older releases, of a row of `runs` and the digest of its points and files."""
    values = {name: getattr(row, name) for name in _FIELDS}
    values |= {name: decoded(values[name]) for name in _JSON_FIELDS}
    return hashlib.sha256(encode_json({"content": content, **values}).encode()).hexdigest()
