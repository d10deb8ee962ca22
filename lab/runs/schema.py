"""The tables of runs, and the bringing up of a store to them, in one exclusive transaction (`lab.runs.migrations`)."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from lab.config import RunConfig
from lab.errors import ConfigError, StoreError, StoreVersionError
from lab.runs.database import Database
from lab.runs.encoding import setting_key
from lab.runs.migrations import MIGRATIONS, Migration

metadata = MetaData()
_json: TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")
_real: TypeEngine[Any] = Float(53)
# A fingerprint may belong to one run only among those that are, or will be, its answer.
CACHED = text("state IN ('queued', 'running', 'finished') AND deleted_at IS NULL")
IN_SLOT = text("state = 'running'")
SHOWN = text("deleted_at IS NULL")
WITHOUT_FINDINGS = text("findings IS NULL")
WAITING = text("state = 'queued' AND deleted_at IS NULL")
BOUND = text("executor <> ''")

version_table = Table("lab_schema", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True),  # inside the store only: half the room of a text key in `points`
    Column("id", String(32), nullable=False, unique=True),  # random: what everybody else knows the run by
    Column("name", Text, nullable=False),
    Column("config", _json, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("family", String(64), nullable=False),
    Column("cache_key", String(64)),  # the fingerprint, or NULL for a run that is no answer to others
    Column("state", String(16), nullable=False),
    Column("want", String(8), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("lease", Integer, nullable=False, server_default="0"),  # the fencing token: one more at every claim
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_until", _real),
    Column("slot", Text),
    Column("host", Text),
    Column("pid", Integer),
    Column("pid_start", Text),
    Column("created_at", _real, nullable=False),
    Column("queued_at", _real, nullable=False),
    Column("started_at", _real),
    Column("finished_at", _real),
    Column("deleted_at", _real),
    Column("seconds", _real, nullable=False, server_default="0"),
    Column("device", Text, nullable=False, server_default=""),
    Column("parent", String(32)),
    Column("origin", Text, nullable=False),
    Column("pinned", Integer, nullable=False, server_default="0"),
    Column("note", Text, nullable=False, server_default=""),
    Column("tags", Text, nullable=False, server_default=""),
    Column("progress", _json, nullable=False),
    Column("summary", _json, nullable=False),
    Column("environment", _json, nullable=False),
    Column("notices", _json, nullable=False),
    Column("findings", _json),  # NULL for a run of an earlier release that has no findings yet
    Column("digest", String(64), nullable=False, server_default=""),
    # What the table of runs is filtered and sorted by, copied out of config and summary.
    Column("arch", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("setting", String(64), nullable=False, server_default=""),  # equal for repeats of one setting
    # Those of the selected weights (`lab.runs.headline`); without saved weights the summary's, and no weights_step.
    Column("weights_step", BigInteger),
    Column("weights_epoch", Integer),
    Column("weights_which", String(16)),
    Column("test_accuracy", _real),
    Column("test_loss", _real),
    Column("val_accuracy", _real),
    Column("val_loss", _real),
    Column("best_epoch", Integer),
    Column("images_per_second", _real),
    Column(
        "sums", _json
    ),  # `lab.runs.checksums`: of each curve and of the saved files; NULL in an older release's rows
    Column("seal", Text, nullable=False, server_default=""),  # over all other columns; "" in an older release's rows
    Column("pause_epoch", Integer),  # after which its sweep pauses it; NULL for none
    Column("owner", Text, nullable=False, server_default=""),  # who asked for it, "" for no one in particular
    Column("priority", Integer, nullable=False, server_default="0"),  # in the queue, the highest first
    Column(
        "executor", String(16), nullable=False, server_default=""
    ),  # the engine that trains it; "" for a host's slots
    Index("runs_cache", "cache_key", unique=True, sqlite_where=CACHED, postgresql_where=CACHED),
    Index("runs_slot", "host", "slot", unique=True, sqlite_where=IN_SLOT, postgresql_where=IN_SLOT),
    Index("runs_state", "state", "queued_at"),
    Index("runs_created", "created_at"),
    Index("runs_family", "family"),
    Index("runs_newest", "pinned", "created_at", "number", sqlite_where=SHOWN, postgresql_where=SHOWN),
    Index("runs_best", "pinned", "test_accuracy", "number", sqlite_where=SHOWN, postgresql_where=SHOWN),  # falling
    Index("runs_setting", "setting"),
    # All that a claim reads of the queue (`lab.runs.waiting_rows`). SQLite reads no rows beside it only if the two columns
    # of the condition are in it as well.
    Index(
        "runs_waiting",
        *("state", "executor", "priority", "owner", "queued_at", "deleted_at", "dataset", "number"),
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    ),
    Index("runs_unjudged", "number", sqlite_where=WITHOUT_FINDINGS, postgresql_where=WITHOUT_FINDINGS),
    Index("runs_bound", "state", sqlite_where=BOUND, postgresql_where=BOUND),
    sqlite_autoincrement=True,
)

series_names = Table(
    "series_names",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    sqlite_autoincrement=True,
)

points = Table(
    "points",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),  # runs.number
    Column("series", Integer, primary_key=True, autoincrement=False),  # series_names.number
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("value", _real),  # NULL means NaN
    Column("time_s", _real, nullable=False),
    sqlite_with_rowid=False,
)

saved_files = Table(
    "kept",
    metadata,
    Column("run", String(32), primary_key=True),  # runs.id
    Column("path", Text, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", _real, nullable=False),
    Index("kept_path", "path"),
)

_WITH_SETTINGS = 2  # the schema that brought the column `setting`
_DAMAGED = "The run store is damaged ({}): restore it from a copy, or point LAB_HOME to another place."
_MIGRATION_LOCK = 0x636F6E76  # "conv": the advisory lock that lets one process at a time migrate on Postgres


def migrate(database: Database, *, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring the store to the newest schema; any number of processes may start at once.

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
        found = _version(connection)  # another process may have been here while this one waited
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
            f"The lab's store has schema {found} and this machine's ConvLab schema {newest}: install the lab's release of "
            "ConvLab here, or update the lab first."
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
    """Compute `setting` of the rows of a store that was made before it; a configuration that cannot be read has none."""
    for run, config in connection.execute(select(runs.c.number, runs.c.config).where(runs.c.setting == "")).all():
        try:
            key = setting_key(RunConfig.from_dict(config))
        except ConfigError:
            continue
        connection.execute(runs.update().where(runs.c.number == run).values(setting=key))
