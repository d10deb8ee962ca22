"""The table of saved drawings and the migration that brings it; on its own, because `schema` needs nothing else."""

from sqlalchemy import Column, Connection, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

LABEL_LIMIT = 60

# A MetaData of its own: the first migration makes all tables of the other one, and this table came later.
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
    Column("seal", Text, nullable=False, server_default=""),  # over all other columns (`lab.runs.seals`)
    Index("sketches_dataset", "dataset"),
    sqlite_autoincrement=True,
)


def add_sketches(connection: Connection) -> None:
    """The migration that brings this table."""
    _later.create_all(connection)
