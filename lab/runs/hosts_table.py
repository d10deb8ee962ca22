"""The tables of several machines on one store: hosts, the lab's release, shared data sets, files and runs' logs."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

_later = MetaData()
_json: TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")

hosts = Table(
    "hosts",
    _later,
    Column("host", Text, primary_key=True),  # as `lab.runs.owner.this_host` names it
    Column("state", String(16), nullable=False),  # a `HostState`
    Column("reason", Text, nullable=False, server_default=""),
    Column("joined", Integer, nullable=False, server_default="0"),  # by a token, from outside the lab's own machine
    Column("engine", Integer, nullable=False, server_default="0"),  # `lab.config.ENGINE` of its code
    Column("torch", Text, nullable=False, server_default=""),  # its release, without the build
    Column("boot", Text, nullable=False, server_default=""),  # tells apart two machines of one name
    Column("slots", _json, nullable=False),  # [[slot, device], …]
    Column("lacks", _json, nullable=False),  # data sets of waiting runs that it can neither read nor fetch
    Column("seen_at", Float(53), nullable=False),
)

lab_release = Table(
    "lab_release",
    _later,
    Column("number", Integer, primary_key=True, autoincrement=False),  # one row, 1
    Column("engine", Integer, nullable=False),
    Column("torch", Text, nullable=False),
)

shared_data = Table(
    "shared_data",
    _later,
    Column("dataset", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # in the order of `DatasetSpec.files`
    Column("path", Text, nullable=False),  # below the data folder
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("content", String(64), nullable=False),  # `lab.data.load.dataset_checksum` of all files together
)

stored_files = Table(
    "stored_files",
    _later,
    Column("path", Text, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

run_logs = Table(
    "run_logs",
    _later,
    Column("run", String(32), primary_key=True),
    Column("host", Text, nullable=False),
    Column("lines", Text, nullable=False),
    Column("written_at", Float(53), nullable=False),
)
