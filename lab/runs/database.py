"""Access to the database: short transactions, one writer at a time, no connection kept across a fork.

SQLite uses `BEGIN IMMEDIATE` for every write, `synchronous=FULL` and a rollback journal (the write-ahead log only if
the linked SQLite does not have its corruption bug). Server connections are tested before use, detect a lost host within
half a minute, and read from one snapshot. Every error of the driver is raised as a `LabError` of one sentence.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from lab.atomic_files import make_private
from lab.errors import LabError, ReadOnlyError, StoreError
from lab.runs.database_errors import explain_refusal
from lab.runs.encoding import decode_json, encode_json
from lab.settings import SAVED_FILES
from lab.system_errors import reason, remedy
from lab.text import hide_password
from lab.user_files import require_file

BUSY_S = 15.0  # longer than a regular write (milliseconds) and than a short suspension of another process
MAX_VALUES = 5_000  # bound values in one statement, of which SQLite allows some 32,000
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "afs", "9p", "ncpfs", "fuse.sshfs"})
# A host that vanished is detected after some 25 s, not after the operating system's quarter of an hour.
_LIBPQ = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
# A client cut off inside a transaction would hold its row locks for hours, so nobody could take over its run. Shorter
# than a lease with its grace period, longer than any pause between two of our statements.
_IDLE_TRANSACTION_S = 15.0
SQLITE_NEEDED = "3.35"  # the first with RETURNING
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8, extract(epoch FROM pg_postmaster_start_time())::float8"


def refuse_old_sqlite(version: str) -> None:
    """Raise `StoreError` if this SQLite is too old, as that of Red Hat Enterprise Linux 9 is (3.34)."""
    if _number(version) < _number(SQLITE_NEEDED):
        raise StoreError(
            f"This Python uses SQLite {version}, but the run store needs {SQLITE_NEEDED} or newer: use a Python that "
            "brings its own (from uv or conda), or a Postgres server (LAB_DATABASE)."
        )


def wal_is_safe(version: str) -> bool:
    """Return whether this SQLite keeps its write-ahead log intact when a checkpoint coincides with a commit.

    Releases 3.7.0 to 3.51.2 can corrupt it, except 3.44.6 and 3.50.7, which have the fix.
    """
    number = _number(version)
    return number > (3, 51, 2) or number in {(3, 44, 6), (3, 50, 7)}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def file_system_of(path: Path) -> str:
    """Return the type of the file system that holds the path, such as "ext4"; "" if unknown."""
    target = path.resolve()
    best = ("", "")
    for part in psutil.disk_partitions(all=True):
        if target.is_relative_to(part.mountpoint) and len(part.mountpoint) >= len(best[0]):
            best = (part.mountpoint, part.fstype)
    return best[1].lower()


def journal_mode(version: str, file_system: str) -> str:
    """Return SQLite's journal mode; TRUNCATE was the fastest rollback journal (docs/benchmarks.md)."""
    return "WAL" if wal_is_safe(version) and file_system not in NETWORK_FILE_SYSTEMS else "TRUNCATE"


class Moment(NamedTuple):
    """The time at the store, and when its server started, both in seconds since the epoch.

    database: the store's, so that the processes of a store that was copied are told from its own (`lab.runs.serving`).
    """

    now: float
    up_since: float = 0.0
    database: URL | None = None


class Database:
    """One database, accessed in short transactions from any thread of any process."""

    def __init__(self, url: str, *, read_only: bool = False, busy_s: float = BUSY_S) -> None:
        self.url = _parsed(url)
        self.read_only = read_only
        self.busy_s = busy_s
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine: Engine | None = None
        self._pid = -1
        if self.is_sqlite:
            refuse_old_sqlite(sqlite3.sqlite_version)
            self._created = _prepare_file(self.url, read_only=read_only)
            self._journal = journal_mode(sqlite3.sqlite_version, file_system_of(Path(str(self.url.database)).parent))

    @staticmethod
    def is_sqlite_url(url: str) -> bool:
        """Return whether a URL is that of an SQLite file. Raises `StoreError` for an invalid URL."""
        return _parsed(url).get_backend_name() == "sqlite"

    @property
    def engine(self) -> Engine:
        """This process's engine; a forked child creates its own and leaves its parent's connections alone."""
        if self._engine is None or self._pid != os.getpid():
            if self._engine is not None:
                self._engine.dispose(close=False)
            self._engine = self._sqlite_engine() if self.is_sqlite else self._server_engine()
            self._pid = os.getpid()
        return self._engine

    def close(self) -> None:
        """Close the connections of this process."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()

    def _server_engine(self) -> Engine:
        libpq = self.url.get_driver_name() in ("psycopg", "psycopg2")
        engine = create_engine(
            self.url,
            json_serializer=encode_json,
            json_deserializer=decode_json,
            pool_pre_ping=True,
            pool_recycle=600,
            connect_args={k: v for k, v in _LIBPQ.items() if k not in self.url.query} if libpq else {},
        )

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = {round(1000 * self.busy_s)}")
                cursor.execute(f"SET idle_in_transaction_session_timeout = {round(1000 * _IDLE_TRANSACTION_S)}")
            connection.commit()

        return engine

    def _sqlite_engine(self) -> Engine:
        engine = create_engine(
            self.url,
            poolclass=NullPool,  # opening takes 0.15 ms, and no connection is inherited by a child
            json_serializer=encode_json,
            json_deserializer=decode_json,
            connect_args={"timeout": self.busy_s},
        )

        @event.listens_for(engine, "connect")
        def _configure(connection: sqlite3.Connection, _record: Any) -> None:
            connection.isolation_level = None  # `_begin` below starts transactions explicitly
            connection.text_factory = _lenient_text
            mode = connection.execute(f"PRAGMA journal_mode={self._journal}").fetchone()[0]
            if self._journal != "WAL" and mode == "wal":
                raise sqlite3.OperationalError("database is locked: it cannot leave WAL while others hold it")
            connection.execute("PRAGMA synchronous=FULL")
            if self.read_only:
                connection.execute("PRAGMA query_only=ON")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            if options.get("isolation_level") != "AUTOCOMMIT":
                connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")

        return engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection whose reads all see the same snapshot."""
        with self._converted_errors(writes=False), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def read_in_parts(self) -> Iterator[Connection]:
        """Yield a connection in autocommit mode, for long reads: each statement sees its own snapshot.

        With the rollback journal, no writer can commit while a transaction reads.
        """
        with self._converted_errors(writes=False), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection that holds the write lock; leaving the block commits, an exception rolls back.

        Raises `ReadOnlyError`, `StoreBusyError` after `busy_s` seconds of waiting, `StoreUnreachableError` if the
        server does not respond, and `StoreError` for a full disk.
        """
        if self.read_only:
            raise ReadOnlyError(
                "This lab is read-only, so nothing was changed: start it without LAB_READ_ONLY to train or edit."
            )
        with self._converted_errors(), self.engine.connect() as connection:
            connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def refuse_emptied(self) -> None:
        """Raise `StoreError` if the SQLite file existed but was empty while runs have saved files next to it.

        Call it with the write lock held, if there are no tables. In a newly created store the saved files would be
        deleted as strays, because no run lists them.
        """
        if not self.is_sqlite or self._created:
            return
        path = Path(str(self.url.database))
        saved = path.with_name(SAVED_FILES)
        if path.stat().st_size == 0 and saved.is_dir() and any(saved.iterdir()):
            raise StoreError(
                f"The file of the run store {path} is empty, but runs have saved files in {saved}: restore it from a "
                "copy, or remove it to start with an empty store."
            )

    def moment(self, connection: Connection) -> Moment:
        """Return the store's own time: the server's, so that hosts need not agree, or with SQLite this host's."""
        if self.is_sqlite:
            return Moment(time.time(), database=self.url)
        now, up_since = connection.exec_driver_sql(_CLOCK).one()
        return Moment(now, up_since, self.url)

    @contextmanager
    def _converted_errors(self, *, writes: bool = True) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, exc.TimeoutError, sqlite3.Error) as error:
            raise self._explain(error, writes=writes) from error
        except UnicodeDecodeError as error:  # raised by the driver: SQLite's message quotes a damaged name
            raise self._explain(sqlite3.DatabaseError("malformed: a name is not UTF-8"), writes=writes) from error

    def _explain(self, error: Exception, *, writes: bool) -> LabError:
        if self.is_sqlite:
            where = str(self.url.database)
        else:
            where = hide_password(self.url.render_as_string(hide_password=False))
        return explain_refusal(error, where=where, busy_s=self.busy_s, writes=writes)


def _lenient_text(stored: bytes) -> str:
    """Decode UTF-8, with invalid bytes as escapes, so that one damaged row does not break a list."""
    return stored.decode("utf-8", errors="backslashreplace")


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect().import_dbapi()
    except ImportError as error:
        raise StoreError(
            f"LAB_DATABASE is {hide_password(url)!r}, but its driver {error.name} is not installed: install it, or use "
            "sqlite:////path/lab.db or postgresql+psycopg://user@host/name."
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(
            f"LAB_DATABASE is {hide_password(url)!r}, which is not a database URL: use sqlite:////path/lab.db or "
            "postgresql+psycopg://user@host/name."
        ) from error
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("An in-memory SQLite store is visible to one process: use a file, sqlite:////path/lab.db.")
    return parsed


def _prepare_file(url: URL, *, read_only: bool) -> bool:
    """Make sure that the file exists, private to its owner; return whether it was created."""
    path = Path(str(url.database))
    try:
        if path.exists():
            require_file(path)
            return False
        if read_only:
            raise StoreError(f"There is no run store at {path} to read: start the lab once without LAB_READ_ONLY.")
        make_private(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        how = remedy(error, "choose another location with LAB_HOME")
        raise StoreError(f"The run store {path} cannot be created ({reason(error)}): {how}.") from error
    return True
