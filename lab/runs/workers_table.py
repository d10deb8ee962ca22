"""The table of workers: each process that trains runs from this store says so, and says it again while it waits.

Nothing depends on it but what people are shown: who may train a run is decided by the run's own lease.
"""

from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

_later = MetaData()
workers = Table(
    "workers",
    _later,
    Column("host", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("pid_start", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("engine", Integer, nullable=False),  # `lab.config.ENGINE` of its code
    Column("slots", Integer, nullable=False),  # of its host
    Column("seen_at", Float(53), nullable=False),
)
