"""The ordered list of migrations, in plain SQL of both dialects; none calls code that describes the current tables.

A released migration is never edited; a change of the tables is a new migration at the end of `MIGRATIONS`. Values that
only the lab's own code can compute are filled in after all of them (`lab.runs.schema.fill_settings`).
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import Connection, inspect, text

from lab.runs.headline_columns import add_headline

Migration: TypeAlias = Callable[[Connection], None]
_WORDS = {
    "sqlite": {
        "number": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
        "json": "JSON",
        "real": "FLOAT",
        "bytes": "BLOB",
        "without_rowid": " WITHOUT ROWID",
        "nulls_last": "",  # already so in descending order; an index accepts no such clause
    },
    "postgresql": {
        "number": "SERIAL NOT NULL PRIMARY KEY",
        "json": "JSONB",
        "real": "DOUBLE PRECISION",
        "bytes": "BYTEA",
        "without_rowid": "",
        "nulls_last": " NULLS LAST",
    },
}
_FIRST_TABLES = (
    "CREATE TABLE lab_schema (version INTEGER NOT NULL)",
    "CREATE TABLE runs (number {number}, id VARCHAR(32) NOT NULL, name TEXT NOT NULL, config {json} NOT NULL, "
    "fingerprint VARCHAR(64) NOT NULL, family VARCHAR(64) NOT NULL, cache_key VARCHAR(64), "
    "state VARCHAR(16) NOT NULL, want VARCHAR(8) NOT NULL, reason TEXT DEFAULT '' NOT NULL, "
    "lease INTEGER DEFAULT '0' NOT NULL, attempts INTEGER DEFAULT '0' NOT NULL, lease_until {real}, slot TEXT, "
    "host TEXT, pid INTEGER, pid_start TEXT, created_at {real} NOT NULL, queued_at {real} NOT NULL, started_at {real}, "
    "finished_at {real}, deleted_at {real}, seconds {real} DEFAULT '0' NOT NULL, device TEXT DEFAULT '' NOT NULL, "
    "parent VARCHAR(32), origin TEXT NOT NULL, pinned INTEGER DEFAULT '0' NOT NULL, note TEXT DEFAULT '' NOT NULL, "
    "tags TEXT DEFAULT '' NOT NULL, progress {json} NOT NULL, summary {json} NOT NULL, environment {json} NOT NULL, "
    "notices {json} NOT NULL, digest VARCHAR(64) DEFAULT '' NOT NULL, arch TEXT NOT NULL, dataset TEXT NOT NULL, "
    "test_accuracy {real}, val_accuracy {real}, best_epoch INTEGER, images_per_second {real}, UNIQUE (id))",
    "CREATE UNIQUE INDEX runs_cache ON runs (cache_key) "
    "WHERE state IN ('queued', 'running', 'finished') AND deleted_at IS NULL",
    "CREATE UNIQUE INDEX runs_slot ON runs (host, slot) WHERE state = 'running'",
    "CREATE INDEX runs_state ON runs (state, queued_at)",
    "CREATE INDEX runs_created ON runs (created_at)",
    "CREATE INDEX runs_family ON runs (family)",
    "CREATE TABLE series_names (number {number}, name TEXT NOT NULL, UNIQUE (name))",
    "CREATE TABLE points (run INTEGER NOT NULL, series INTEGER NOT NULL, step BIGINT NOT NULL, value {real}, "
    "time_s {real} NOT NULL, PRIMARY KEY (run, series, step)){without_rowid}",
    "CREATE TABLE kept (run VARCHAR(32) NOT NULL, path TEXT NOT NULL, kind VARCHAR(32) NOT NULL, "
    "step BIGINT NOT NULL, epoch INTEGER NOT NULL, sha256 VARCHAR(64) NOT NULL, bytes BIGINT NOT NULL, "
    "created_at {real} NOT NULL, PRIMARY KEY (run, path))",
    "CREATE INDEX kept_path ON kept (path)",
)
_SKETCHES = (
    "CREATE TABLE IF NOT EXISTS sketches (number {number}, id VARCHAR(32) NOT NULL, label VARCHAR(60) NOT NULL, "
    "dataset TEXT NOT NULL, png {bytes} NOT NULL, created_at {real} NOT NULL, UNIQUE (id))",
    "CREATE INDEX IF NOT EXISTS sketches_dataset ON sketches (dataset)",
)
_PARTIAL_RUNS = (
    "CREATE TABLE IF NOT EXISTS partial_runs (number INTEGER NOT NULL, id VARCHAR(32) NOT NULL, "
    "lease_until {real} NOT NULL, PRIMARY KEY (number), UNIQUE (id))",
)

_SWEEPS = (
    "CREATE TABLE IF NOT EXISTS sweeps (number {number}, id VARCHAR(32) NOT NULL, name TEXT NOT NULL, spec {json} NOT NULL, "
    "earlier {json} NOT NULL, state VARCHAR(16) NOT NULL, reason TEXT DEFAULT '' NOT NULL, "
    "revision INTEGER DEFAULT '0' NOT NULL, created_at {real} NOT NULL, finished_at {real}, "
    "seal TEXT DEFAULT '' NOT NULL, UNIQUE (id))",
    "CREATE INDEX IF NOT EXISTS sweeps_state ON sweeps (state)",
    "CREATE TABLE IF NOT EXISTS trials (sweep INTEGER NOT NULL, number INTEGER NOT NULL, run VARCHAR(32) NOT NULL, "
    "params {json} NOT NULL, rung INTEGER NOT NULL, measured {json} NOT NULL, settled VARCHAR(16) NOT NULL, "
    "decision TEXT DEFAULT '' NOT NULL, source VARCHAR(16) NOT NULL, retries INTEGER DEFAULT '0' NOT NULL, "
    "retried_s {real} DEFAULT '0' NOT NULL, free_s {real} DEFAULT '0' NOT NULL, "
    "free_epochs INTEGER DEFAULT '0' NOT NULL, seal TEXT DEFAULT '' NOT NULL, PRIMARY KEY (sweep, number))",
    "CREATE INDEX IF NOT EXISTS trials_run ON trials (run)",
)

_WORKERS = (
    "CREATE TABLE IF NOT EXISTS workers (host TEXT NOT NULL, slot TEXT NOT NULL, pid INTEGER NOT NULL, "
    "pid_start TEXT NOT NULL, device TEXT NOT NULL, engine INTEGER NOT NULL, slots INTEGER NOT NULL, "
    "seen_at {real} NOT NULL, PRIMARY KEY (host, slot))",
)

_OWNERS = (
    "CREATE INDEX IF NOT EXISTS runs_waiting ON runs (state, priority, owner, queued_at, deleted_at) "
    "WHERE state = 'queued' AND deleted_at IS NULL",
    "CREATE TABLE IF NOT EXISTS owners (name TEXT NOT NULL, served BIGINT NOT NULL, PRIMARY KEY (name))",
)

_JOBS = (
    "CREATE TABLE IF NOT EXISTS jobs (id VARCHAR(64) NOT NULL, run VARCHAR(32) NOT NULL, attempt INTEGER NOT NULL, "
    "executor VARCHAR(16) NOT NULL, handle TEXT DEFAULT '' NOT NULL, state VARCHAR(16) NOT NULL, "
    "words TEXT DEFAULT '' NOT NULL, step BIGINT DEFAULT '0' NOT NULL, gained BIGINT DEFAULT '0' NOT NULL, "
    "submitted_at {real} NOT NULL, started_at {real}, closed_at {real}, PRIMARY KEY (id))",
    "CREATE UNIQUE INDEX IF NOT EXISTS jobs_run ON jobs (run, attempt)",
    "CREATE UNIQUE INDEX IF NOT EXISTS jobs_open ON jobs (run) WHERE closed_at IS NULL",
    "CREATE INDEX IF NOT EXISTS runs_bound ON runs (state) WHERE executor <> ''",
    "DROP INDEX IF EXISTS runs_waiting",
    "CREATE INDEX runs_waiting ON runs (state, priority, owner, queued_at, deleted_at, executor) "
    "WHERE state = 'queued' AND deleted_at IS NULL",
)

_HOSTS = (
    "CREATE TABLE IF NOT EXISTS hosts (host TEXT NOT NULL, state VARCHAR(16) NOT NULL, reason TEXT DEFAULT '' NOT NULL, "
    "joined INTEGER DEFAULT '0' NOT NULL, engine INTEGER DEFAULT '0' NOT NULL, torch TEXT DEFAULT '' NOT NULL, "
    "boot TEXT DEFAULT '' NOT NULL, slots {json} NOT NULL, lacks {json} NOT NULL, seen_at {real} NOT NULL, "
    "PRIMARY KEY (host))",
    "CREATE TABLE IF NOT EXISTS lab_release (number INTEGER NOT NULL, engine INTEGER NOT NULL, torch TEXT NOT NULL, "
    "PRIMARY KEY (number))",
    "CREATE TABLE IF NOT EXISTS shared_data (dataset TEXT NOT NULL, place INTEGER NOT NULL, path TEXT NOT NULL, "
    "sha256 VARCHAR(64) NOT NULL, bytes BIGINT NOT NULL, content VARCHAR(64) NOT NULL, PRIMARY KEY (dataset, place))",
    "CREATE TABLE IF NOT EXISTS stored_files (path TEXT NOT NULL, part INTEGER NOT NULL, data {bytes} NOT NULL, "
    "PRIMARY KEY (path, part))",
    "CREATE TABLE IF NOT EXISTS run_logs (run VARCHAR(32) NOT NULL, host TEXT NOT NULL, lines TEXT NOT NULL, "
    "written_at {real} NOT NULL, PRIMARY KEY (run))",
)

_PAGES = (
    "CREATE INDEX IF NOT EXISTS runs_newest ON runs (pinned, created_at, number) WHERE deleted_at IS NULL",
    "CREATE INDEX IF NOT EXISTS runs_best ON runs (pinned DESC, test_accuracy DESC{nulls_last}, number DESC) "
    "WHERE deleted_at IS NULL",
)

_CLAIM = (
    "DROP INDEX IF EXISTS runs_waiting",
    "CREATE INDEX runs_waiting ON runs "
    "(state, executor, priority, owner, queued_at, deleted_at, dataset, number) "
    "WHERE state = 'queued' AND deleted_at IS NULL",
)


def _run(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(text(statement.format(**_WORDS[connection.dialect.name])))


def _add_column(connection: Connection, table: str, column: str, kind: str) -> None:
    """Add a column unless it exists; the first releases created new stores with the columns of later ones."""
    if all(known["name"] != column for known in inspect(connection).get_columns(table)):
        _run(connection, [f"ALTER TABLE {table} ADD COLUMN {column} {kind}"])


def _first_tables(connection: Connection) -> None:
    _run(connection, _FIRST_TABLES)


def _setting_column(connection: Connection) -> None:
    """Add `setting`, which `fill_settings` computes from the configurations."""
    _add_column(connection, "runs", "setting", "VARCHAR(64) NOT NULL DEFAULT ''")
    _run(connection, ["CREATE INDEX IF NOT EXISTS runs_setting ON runs (setting)"])


def _sketches(connection: Connection) -> None:
    _run(connection, _SKETCHES)


def _findings_column(connection: Connection) -> None:
    """Add `findings`, NULL until they are computed from the points."""
    _add_column(connection, "runs", "findings", "{json}")
    _run(connection, ["CREATE INDEX IF NOT EXISTS runs_unjudged ON runs (number) WHERE findings IS NULL"])


def _checksum_columns(connection: Connection) -> None:
    """Add the checksums; `Integrity.checksum_older_rows` computes those of existing rows once they are verified."""
    _add_column(connection, "runs", "sums", "{json}")
    _add_column(connection, "runs", "seal", "TEXT NOT NULL DEFAULT ''")
    _add_column(connection, "sketches", "seal", "TEXT NOT NULL DEFAULT ''")


def _partial_runs(connection: Connection) -> None:
    _run(connection, _PARTIAL_RUNS)


def _sweeps(connection: Connection) -> None:
    """Add sweeps with their trials, and the epoch after which a trial's run is paused."""
    _add_column(connection, "runs", "pause_epoch", "INTEGER")
    _run(connection, _SWEEPS)


def _workers(connection: Connection) -> None:
    """Add the table in which workers register."""
    _run(connection, _WORKERS)


def _owners(connection: Connection) -> None:
    """Add owner and priority of runs and sweeps, and when each owner was last served."""
    for table in ("runs", "sweeps"):
        _add_column(connection, table, "owner", "TEXT NOT NULL DEFAULT ''")
        _add_column(connection, table, "priority", "INTEGER NOT NULL DEFAULT 0")
    _run(connection, _OWNERS)


def _jobs(connection: Connection) -> None:
    """Add the executor of a run, and the jobs that were started for it."""
    _add_column(connection, "runs", "executor", "VARCHAR(16) NOT NULL DEFAULT ''")
    _run(connection, _JOBS)


def _hosts(connection: Connection) -> None:
    """Add hosts that joined or were drained, the lab's release, shared data sets, files in the database, and logs."""
    _run(connection, _HOSTS)


def _pages(connection: Connection) -> None:
    """Add indexes for the orders in which the Runs page shows 100,000 runs: newest first and best first."""
    _run(connection, _PAGES)


def _claim(connection: Connection) -> None:
    """Extend the index of the queue to all columns that a claim reads, which adds the data set and the run's number."""
    _run(connection, _CLAIM)


def _plain_configurations(connection: Connection) -> None:
    """Make Postgres compress a run's other columns before its configuration, which searches by setting read per row."""
    if connection.dialect.name == "postgresql":
        _run(connection, ["ALTER TABLE runs ALTER COLUMN config SET STORAGE MAIN"])


MIGRATIONS: tuple[Migration, ...] = (
    _first_tables,
    _setting_column,
    _sketches,
    add_headline,
    _findings_column,
    _checksum_columns,
    _partial_runs,
    _sweeps,
    _workers,
    _owners,
    _jobs,
    _hosts,
    _pages,
    _claim,
    _plain_configurations,
)
