"""The tables of sweeps and of their trials; what a trial does now is read off its run, never from here alone."""

from typing import Any

from sqlalchemy import JSON, Column, Float, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

_later = MetaData()
_json: TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")
_real: TypeEngine[Any] = Float(53)

sweeps = Table(
    "sweeps",
    _later,
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
    _later,
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
