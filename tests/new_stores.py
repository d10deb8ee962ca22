"""New stores in a few milliseconds: the result of the migrations is recorded once and replayed for every further test.

Tests of the migrations start with a store of another release, or with an address without a store (`bare_url`), and call
`lab.runs.schema.migrate` itself. `tests/runs/test_new_stores.py` compares the two ways.
"""

import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, text

from lab.runs import schema
from lab.runs.database import Database
from lab.runs.store import RunStore

# Tables, sequences and indexes with their columns, which a test may have changed without restoring them.
_LAYOUT = """
SELECT relname, relkind::text, (
  SELECT string_agg(concat_ws(' ', attname, atttypid, attnotnull, attisdropped), ',' ORDER BY attnum)
  FROM pg_attribute WHERE attrelid = pg_class.oid)
FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace) ORDER BY relname
"""


@cache
def _statements() -> tuple[str, ...]:
    """Return the SQL of a new SQLite store with the newest schema."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lab.db"
        database = Database(f"sqlite:///{file}")
        schema.migrate(database)
        database.close()
        with closing(sqlite3.connect(file)) as connection:
            dumped = list(connection.iterdump())
    return tuple(each for each in dumped[1:-1] if "sqlite_sequence" not in each)  # without BEGIN and COMMIT


def migrate(database: Database) -> None:
    """Migrate a store to the newest schema as `lab.runs.schema.migrate` does, but a new SQLite file in one step."""
    if database.is_sqlite and not database.read_only and not Path(str(database.url.database)).stat().st_size:
        with database.write() as connection:
            if not schema._version(connection):  # another thread may have done this while this one waited
                driver = connection.connection.driver_connection
                assert driver is not None
                for statement in _statements():
                    driver.execute(statement)
    schema.migrate(database)


class SpareStores:
    """Empty stores of the newest version on a Postgres server, each in its own schema, used by one test at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._spare: list[str] = []
        self._new: list[tuple[object, ...]] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Yield the address of an empty store; empty it for the next test, or drop it if its tables were changed."""
        admin = create_engine(self._url)
        name = self._spare.pop() if self._spare else self._make(admin)
        yield schema_url(self._url, name)
        with admin.begin() as connection:
            if _layout(connection, name) == self._new:
                _empty(connection, name)
                self._spare.append(name)
            else:
                connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
        admin.dispose()

    def _make(self, admin: Engine) -> str:
        name = f"test_{secrets.token_hex(6)}"
        with admin.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        RunStore.open(schema_url(self._url, name)).close()
        with admin.begin() as connection:
            self._new = _layout(connection, name)
            assert not _rows(connection, name), (
                "the migrations insert rows into a new store: `_empty` would delete them"
            )
        return name


def schema_url(url: str, name: str) -> str:
    """Return the address of a schema of a Postgres database."""
    return f"{url}?options=-csearch_path%3D{name}"


def _layout(connection: Connection, name: str) -> list[tuple[object, ...]]:
    versions = [(f"version {version}",) for version in _versions(connection, name)]
    return versions + [tuple(row) for row in connection.execute(text(_LAYOUT), {"schema": name})]


def _versions(connection: Connection, name: str) -> list[object]:
    if connection.execute(text("SELECT to_regclass(:table)"), {"table": f"{name}.lab_schema"}).scalar() is None:
        return []
    return list(connection.exec_driver_sql(f"SELECT version FROM {name}.lab_schema").scalars())


def _tables(connection: Connection, name: str) -> list[str]:
    found = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema AND tablename <> 'lab_schema'")
    return [f"{name}.{table}" for table in connection.execute(found, {"schema": name}).scalars()]


def _rows(connection: Connection, name: str) -> bool:
    return any(
        connection.exec_driver_sql(f"SELECT EXISTS (SELECT FROM {table})").scalar()
        for table in _tables(connection, name)
    )


def _empty(connection: Connection, name: str) -> None:
    """Delete all rows and restart their numbers at 1."""
    connection.exec_driver_sql("; ".join(f"DELETE FROM {table}" for table in _tables(connection, name)))
    connection.execute(
        text(
            "SELECT setval(oid::regclass, 1, false) FROM pg_class "
            "WHERE relkind = 'S' AND relnamespace = CAST(:schema AS regnamespace)"
        ),
        {"schema": name},
    )
