"""The table of saved drawings; on its own, because `schema` needs nothing of it."""

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

LABEL_LIMIT = 60

_later = MetaData()
sketches = Table(
    "sketches",
    _later,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("label", String(LABEL_LIMIT), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("png", LargeBinary, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("seal", Text, nullable=False, server_default=""),  # over all other columns (`lab.runs.checksums`)
    Index("sketches_dataset", "dataset"),
    sqlite_autoincrement=True,
)
