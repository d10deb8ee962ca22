"""All tables of the store, as today's code reads and writes them; `lab.runs.migrations` makes them.

A test holds that the migrations lead to exactly these.
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
    # `lab.runs.checksums`: of each curve and of the saved files; NULL in an older release's rows.
    Column("sums", _json),
    Column("seal", Text, nullable=False, server_default=""),  # over all other columns; "" in an older release's rows
    Column("pause_epoch", Integer),  # after which its sweep pauses it; NULL for none
    Column("owner", Text, nullable=False, server_default=""),  # who asked for it, "" for no one in particular
    Column("priority", Integer, nullable=False, server_default="0"),  # in the queue, the highest first
    Column("executor", String(16), nullable=False, server_default=""),  # that trains it; "" for a host's slots
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

# A partial run has points or listed files but no row in `runs`: it is being imported, or being removed for good. Every
# list, search and page starts from `runs`, so none of them can see one.
partial_runs = Table(
    "partial_runs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # what its points are stored under
    Column("id", String(32), nullable=False, unique=True),  # what its files are listed under
    Column("lease_until", _real, nullable=False),  # an importer renews it; what has expired may be removed
)

# Whose runs wait in the queue, and when each was served last (`lab.runs.fair_order`).
owners = Table(
    "owners",
    metadata,
    Column("name", Text, primary_key=True),  # as in `runs.owner`; "" is no one in particular
    # Counted up with every claim of anybody's run, so that no clock that is set back takes a turn from anyone.
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

# What a trial does now is read off its run, never from here alone.
sweeps = Table(
    "sweeps",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("spec", _json, nullable=False),  # `lab.sweeps.spec.SweepSpec.as_dict`
    Column("earlier", _json, nullable=False),  # the specs before each extension
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("revision", Integer, nullable=False, server_default="0"),  # one more at every change
    Column("created_at", _real, nullable=False),
    Column("finished_at", _real),
    Column("seal", Text, nullable=False, server_default=""),  # over all other columns (`lab.runs.checksums`)
    Column("owner", Text, nullable=False, server_default=""),  # of its trials' runs, as is the priority
    Column("priority", Integer, nullable=False, server_default="0"),
    Index("sweeps_state", "state"),
    sqlite_autoincrement=True,
)

trials = Table(
    "trials",
    metadata,
    Column("sweep", Integer, primary_key=True, autoincrement=False),  # sweeps.number
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("run", String(32), nullable=False),  # runs.id, "" where none could be made
    Column("params", _json, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("measured", _json, nullable=False),  # a list of [epoch, validation loss, validation accuracy]
    Column("settled", String(16), nullable=False),  # the state for which the decision was written
    Column("decision", Text, nullable=False, server_default=""),
    Column("source", String(16), nullable=False),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("retried_s", _real, nullable=False, server_default="0"),
    Column("free_s", _real, nullable=False, server_default="0"),
    Column("free_epochs", Integer, nullable=False, server_default="0"),
    Column("seal", Text, nullable=False, server_default=""),
    Index("trials_run", "run"),
)

# Each process that trains runs from this store says so, and says it again while it waits. Nothing depends on it but what
# people are shown: who may train a run is decided by the run's own lease.
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

# What was started at an engine for which run, under an id that is made before the engine is asked. Nothing but starting
# and ending jobs depends on it: who may train a run is decided by the run's own lease.
LOST = "lost"  # a job's state: its worker had the run and was lost, by the rules of the lease
OPEN = text("closed_at IS NULL")
jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),  # lab-<run>-<attempt>
    Column("run", String(32), nullable=False),  # runs.id
    Column("attempt", Integer, nullable=False),  # from 1
    Column("executor", String(16), nullable=False),
    Column("handle", Text, nullable=False, server_default=""),  # the engine's name for it; "" until it is submitted
    Column("state", String(16), nullable=False),  # `lab.executors.base.JobState`, as the engine said last
    Column("words", Text, nullable=False, server_default=""),  # what it said
    Column("step", BigInteger, nullable=False, server_default="0"),  # the run's step when it was submitted
    Column("gained", BigInteger, nullable=False, server_default="0"),  # steps further when it was closed
    Column("submitted_at", _real, nullable=False),
    Column("started_at", _real),  # when it was first seen running
    Column("closed_at", _real),  # NULL while it may start or run
    Index("jobs_run", "run", "attempt", unique=True),
    Index("jobs_open", "run", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
)

# Several machines on one store: hosts, the lab's release, shared data sets, files and runs' logs.
hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True),  # as `lab.runs.owner.this_host` names it
    Column("state", String(16), nullable=False),  # a `HostState`
    Column("reason", Text, nullable=False, server_default=""),
    Column("joined", Integer, nullable=False, server_default="0"),  # by a token, from outside the lab's own machine
    Column("engine", Integer, nullable=False, server_default="0"),  # `lab.config.ENGINE` of its code
    Column("torch", Text, nullable=False, server_default=""),  # its release, without the build
    Column("boot", Text, nullable=False, server_default=""),  # tells apart two machines of one name
    Column("slots", _json, nullable=False),  # [[slot, device], …]
    Column("lacks", _json, nullable=False),  # data sets of waiting runs that it can neither read nor fetch
    Column("seen_at", _real, nullable=False),
)

lab_release = Table(
    "lab_release",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # one row, 1
    Column("engine", Integer, nullable=False),
    Column("torch", Text, nullable=False),
)

shared_data = Table(
    "shared_data",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # in the order of `DatasetSpec.files`
    Column("path", Text, nullable=False),  # below the data folder
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("content", String(64), nullable=False),  # `lab.data.load.dataset_checksum` of all files together
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
