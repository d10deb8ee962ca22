"""All tables of the store as the current code reads and writes them; `lab.runs.migrations` creates them.

A test verifies that the migrations produce exactly these tables.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

metadata = MetaData()
_json: TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")
_real: TypeEngine[Any] = Float(53)
# Only one run with a given fingerprint may be the cached answer: among those queued, running or finished, not deleted.
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
    Column("number", Integer, primary_key=True),  # internal: half the size of a text key in `points`
    Column("id", String(32), nullable=False, unique=True),  # random; the id used everywhere outside the store
    Column("name", Text, nullable=False),
    Column("config", _json, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("family", String(64), nullable=False),
    Column("cache_key", String(64)),  # the fingerprint; NULL for a run that is never a cached answer
    Column("state", String(16), nullable=False),
    Column("want", String(8), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("lease", Integer, nullable=False, server_default="0"),  # the fencing token, incremented by every claim
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
    Column("findings", _json),  # NULL for a run of an earlier release without findings
    Column("digest", String(64), nullable=False, server_default=""),
    # Copied out of config and summary, to filter and sort the table of runs.
    Column("arch", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("setting", String(64), nullable=False, server_default=""),  # equal for all repeats of one setting
    # Values of the selected weights (`lab.runs.headline`); if none are saved, of the summary, with weights_step NULL.
    Column("weights_step", BigInteger),
    Column("weights_epoch", Integer),
    Column("weights_which", String(16)),
    Column("test_accuracy", _real),
    Column("test_loss", _real),
    Column("val_accuracy", _real),
    Column("val_loss", _real),
    Column("best_epoch", Integer),
    Column("images_per_second", _real),
    # Sums of each curve and of the saved files (`lab.runs.checksums`); NULL in the rows of an older release.
    Column("sums", _json),
    Column("seal", Text, nullable=False, server_default=""),  # over all other columns; "" in rows of an older release
    Column("pause_epoch", Integer),  # its sweep pauses it after this epoch; NULL for none
    Column("owner", Text, nullable=False, server_default=""),  # who requested it; "" if unnamed
    Column("priority", Integer, nullable=False, server_default="0"),  # in the queue, highest first
    Column("executor", String(16), nullable=False, server_default=""),  # id of the executor; "" for a host's slots
    Index("runs_cache", "cache_key", unique=True, sqlite_where=CACHED, postgresql_where=CACHED),
    Index("runs_slot", "host", "slot", unique=True, sqlite_where=IN_SLOT, postgresql_where=IN_SLOT),
    Index("runs_state", "state", "queued_at"),
    Index("runs_created", "created_at"),
    Index("runs_family", "family"),
    Index("runs_newest", "pinned", "created_at", "number", sqlite_where=SHOWN, postgresql_where=SHOWN),
    Index("runs_best", "pinned", "test_accuracy", "number", sqlite_where=SHOWN, postgresql_where=SHOWN),  # descending
    Index("runs_setting", "setting"),
    # All that a claim reads of the queue (`lab.runs.waiting_rows`). For SQLite the index is covering only if it also
    # contains the two columns of its condition.
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

# A partial run has points or listed files but no row in `runs`: it is being imported or purged. Every list, search and
# page starts from `runs`, so a partial run is never visible.
partial_runs = Table(
    "partial_runs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # the key of its points
    Column("id", String(32), nullable=False, unique=True),  # the key of its files
    Column("lease_until", _real, nullable=False),  # renewed by the importer; once expired, the run may be removed
)

# Owners whose runs wait in the queue, and when each was last served (`lab.runs.fair_order`).
owners = Table(
    "owners",
    metadata,
    Column("name", Text, primary_key=True),  # as in `runs.owner`; "" if unnamed
    # A counter, incremented by every claim of any owner's run, so that a clock that is set back costs nobody a turn.
    Column("served", BigInteger, nullable=False),
)

LABEL_LIMIT = 60  # characters

sketches = Table(
    "sketches",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("label", String(LABEL_LIMIT), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("png", LargeBinary, nullable=False),
    Column("created_at", _real, nullable=False),
    Column("seal", Text, nullable=False, server_default=""),  # over all other columns (`lab.runs.checksums`)
    Index("sketches_dataset", "dataset"),
    sqlite_autoincrement=True,
)

# The current state of a trial is derived from its run, never from this table alone.
sweeps = Table(
    "sweeps",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("spec", _json, nullable=False),  # `lab.sweeps.spec.SweepSpec.as_dict`
    Column("earlier", _json, nullable=False),  # the spec before each extension
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("revision", Integer, nullable=False, server_default="0"),  # incremented by every change
    Column("created_at", _real, nullable=False),
    Column("finished_at", _real),
    Column("seal", Text, nullable=False, server_default=""),  # over all other columns (`lab.runs.checksums`)
    Column("owner", Text, nullable=False, server_default=""),  # of its trials' runs, like the priority
    Column("priority", Integer, nullable=False, server_default="0"),
    Index("sweeps_state", "state"),
    sqlite_autoincrement=True,
)

trials = Table(
    "trials",
    metadata,
    Column("sweep", Integer, primary_key=True, autoincrement=False),  # sweeps.number
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("run", String(32), nullable=False),  # runs.id, "" if none could be created
    Column("params", _json, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("measured", _json, nullable=False),  # a list of [epoch, validation loss, validation accuracy]
    Column("settled", String(16), nullable=False),  # the state that the decision was recorded for
    Column("decision", Text, nullable=False, server_default=""),
    Column("source", String(16), nullable=False),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("retried_s", _real, nullable=False, server_default="0"),
    Column("free_s", _real, nullable=False, server_default="0"),
    Column("free_epochs", Integer, nullable=False, server_default="0"),
    Column("seal", Text, nullable=False, server_default=""),
    Index("trials_run", "run"),
)

# Every process that trains runs from this store registers here and renews its row while it waits. The table is for
# display only: the lease of a run decides who may train it.
workers = Table(
    "workers",
    metadata,
    Column("host", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("pid_start", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("engine", Integer, nullable=False),  # `lab.config.ENGINE` of its code
    Column("slots", Integer, nullable=False),  # of its host
    Column("seen_at", _real, nullable=False),
)

# The jobs submitted to executors; the id of a job is created before its executor is called. Only starting and ending
# jobs depends on this table: the lease of a run decides who may train it.
LOST = "lost"  # job state: its worker had claimed the run, and its lease expired
OPEN = text("closed_at IS NULL")
jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),  # lab-<run>-<attempt>, in a copied lab with a suffix
    Column("run", String(32), nullable=False),  # runs.id
    Column("attempt", Integer, nullable=False),  # from 1
    Column("executor", String(16), nullable=False),
    Column("handle", Text, nullable=False, server_default=""),  # the executor's name for it; "" before it is submitted
    Column("state", String(16), nullable=False),  # `lab.executors.base.JobState`, as the executor last reported it
    Column("words", Text, nullable=False, server_default=""),  # the executor's message
    Column("step", BigInteger, nullable=False, server_default="0"),  # the run's step at submission
    Column("gained", BigInteger, nullable=False, server_default="0"),  # steps trained between submission and closing
    Column("submitted_at", _real, nullable=False),
    Column("started_at", _real),  # when it was first seen running
    Column("closed_at", _real),  # NULL while it may start or run
    Index("jobs_run", "run", "attempt", unique=True),
    Index("jobs_open", "run", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
)

# For several machines on one store: hosts, the lab's release, shared data sets, files and logs of runs.
hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True),  # as returned by `lab.runs.owner.this_host`
    Column("state", String(16), nullable=False),  # a `HostState`
    Column("reason", Text, nullable=False, server_default=""),
    Column("joined", Integer, nullable=False, server_default="0"),  # with a token, as an outside machine
    Column("engine", Integer, nullable=False, server_default="0"),  # `lab.config.ENGINE` of its code
    Column("torch", Text, nullable=False, server_default=""),  # its release, without the build tag
    Column("boot", Text, nullable=False, server_default=""),  # distinguishes two machines with the same name
    Column("slots", _json, nullable=False),  # [[slot, device], …]
    Column("lacks", _json, nullable=False),  # data sets of waiting runs that it can neither read nor download
    Column("seen_at", _real, nullable=False),
)

lab_release = Table(
    "lab_release",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # always 1: the table has one row
    Column("engine", Integer, nullable=False),
    Column("torch", Text, nullable=False),
)

shared_data = Table(
    "shared_data",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # index into `DatasetSpec.files`
    Column("path", Text, nullable=False),  # relative to the data folder
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("content", String(64), nullable=False),  # `lab.data.load.dataset_checksum` of all files
)

stored_files = Table(
    "stored_files",
    metadata,
    Column("path", Text, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

run_logs = Table(
    "run_logs",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("host", Text, nullable=False),
    Column("lines", Text, nullable=False),
    Column("written_at", _real, nullable=False),
)
