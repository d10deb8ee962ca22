"""Saved files in the database itself, for machines that share nothing but a Postgres server.

A file is written in parts in one transaction, so it exists completely or not at all. The methods are those of fsspec
that `lab.runs.artifacts` calls. Database errors keep their own messages, and a worker waits as for any other write.
"""

import errno
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType

from sqlalchemy import delete, func, insert, select

from lab.runs.database import Database
from lab.runs.tables import stored_files

PART_BYTES = 1 << 20  # one row, which the driver and the server hold in memory as a whole


class DatabaseFiles:
    """Files by path in the table `stored_files`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pipe_file(self, path: str, data: bytes) -> None:
        """Write a file, replacing any old one."""
        self._write(path, (data[at : at + PART_BYTES] for at in range(0, len(data) or 1, PART_BYTES)))

    def put_file(self, source: str, path: str) -> None:
        """Write a file with the content of a local one."""
        with Path(source).open("rb") as file:
            first = file.read(PART_BYTES)  # stored even if empty, so that an empty file exists as well
            self._write(path, chain((first,), iter(lambda: file.read(PART_BYTES), b"")))

    def _write(self, path: str, parts: Iterable[bytes]) -> None:
        with self._database.write() as connection:
            connection.execute(delete(stored_files).where(stored_files.c.path == path))
            for number, part in enumerate(parts):
                connection.execute(insert(stored_files).values(path=path, part=number, data=part))

    def cat_file(self, path: str) -> bytes:
        """Return a file's bytes. Raises `FileNotFoundError`."""
        query = select(stored_files.c.data).where(stored_files.c.path == path).order_by(stored_files.c.part)
        with self._database.read() as connection:
            parts = connection.execute(query).scalars().all()
        if not parts:
            raise FileNotFoundError(errno.ENOENT, "there is no such file in the database", path)
        return b"".join(map(bytes, parts))

    def open(self, path: str, mode: str = "rb") -> "_Reading":
        """Open a file for reading, part by part. Raises `FileNotFoundError`."""
        if mode != "rb" or not self.exists(path):
            raise FileNotFoundError(errno.ENOENT, "there is no such file in the database", path)
        return _Reading(self._parts(path))

    def _parts(self, path: str) -> Iterator[bytes]:
        query = select(stored_files.c.data).where(stored_files.c.path == path)
        number = 0
        while True:
            with self._database.read() as connection:
                part = connection.execute(query.where(stored_files.c.part == number)).scalar_one_or_none()
            if part is None:
                return
            yield bytes(part)
            number += 1

    def exists(self, path: str) -> bool:
        """Return whether a file exists."""
        counted = select(func.count()).where(stored_files.c.path == path, stored_files.c.part == 0)
        with self._database.read() as connection:
            return bool(connection.execute(counted).scalar_one())

    def rm_file(self, path: str) -> None:
        """Delete a file."""
        with self._database.write() as connection:
            connection.execute(delete(stored_files).where(stored_files.c.path == path))


class _Reading:
    """A file that is read from beginning to end, in the parts in which it is stored."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def read(self, _size: int = -1) -> bytes:
        """Return the next part, whatever its size, and b"" at the end."""
        return next(self._parts, b"")

    def __enter__(self) -> "_Reading":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None
