"""Migrates a store to the current tables (`lab.runs.tables`), in one exclusive transaction (`lab.runs.migrations`)."""

from sqlalchemy import Connection, inspect, select, text

from lab.config import RunConfig
from lab.config.repeats import setting_key
from lab.errors import ConfigError, StoreError, StoreVersionError
from lab.runs.database import Database
from lab.runs.migrations import MIGRATIONS, Migration
from lab.runs.tables import points, runs, version_table

_WITH_SETTINGS = 2  # the schema that added the column `setting`
_DAMAGED = "The run store is damaged ({}): restore it from a copy, or point LAB_HOME to another place."
_MIGRATION_LOCK = 0x636F6E76  # "conv": the advisory lock that lets one process at a time migrate on Postgres


def migrate(database: Database, *, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring the store to the newest schema; any number of processes may do so concurrently.

    Raises `StoreVersionError` for a store written by a newer release, or an old one opened read-only.
    """
    newest = len(migrations)
    with database.read() as connection:
        found = _version(connection)
    if found == newest:
        return
    _refuse_newer(found, newest)
    if database.read_only:
        raise StoreVersionError(
            f"The run store has schema {found} and this release needs {newest}: start the lab once without "
            "LAB_READ_ONLY to bring it up to date."
        )
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        found = _version(connection)  # another process may have migrated while this one waited
        if not found:
            database.refuse_emptied()
        _refuse_newer(found, newest)
        for step in migrations[found:]:
            step(connection)
        if found < _WITH_SETTINGS:
            fill_settings(connection)
        connection.execute(version_table.delete())
        connection.execute(version_table.insert().values(version=newest))


def require_newest(database: Database) -> None:
    """Raise `StoreVersionError` unless the store has this release's schema."""
    newest = len(MIGRATIONS)
    with database.read() as connection:
        found = _version(connection)
    _refuse_newer(found, newest)
    if found < newest:
        raise StoreVersionError(
            f"The lab's store has schema {found} and this machine's ConvLab has schema {newest}: install the lab's "
            "release of ConvLab here, or update the lab first."
        )


def _version(connection: Connection) -> int:
    known = inspect(connection)
    if not known.has_table(version_table.name):
        if known.has_table(runs.name) or known.has_table(points.name):
            raise StoreError(_DAMAGED.format("it has runs, but no table lab_schema"))
        return 0
    found = connection.execute(version_table.select()).scalar()
    if not isinstance(found, int) or found < 1:
        raise StoreError(_DAMAGED.format(f"its schema is {str(found)[:40]!r}, which is not a number from 1"))
    return found


def _refuse_newer(found: int, newest: int) -> None:
    if found > newest:
        raise StoreVersionError(
            f"The run store has schema {found}, but this release of ConvLab reads schemas up to {newest}: "
            "update ConvLab, or point LAB_HOME to another place."
        )


def fill_settings(connection: Connection) -> None:
    """Compute `setting` for rows written before the column existed; an unreadable configuration gets none."""
    for run, config in connection.execute(select(runs.c.number, runs.c.config).where(runs.c.setting == "")).all():
        try:
            key = setting_key(RunConfig.from_dict(config))
        except ConfigError:
            continue
        connection.execute(runs.update().where(runs.c.number == run).values(setting=key))
