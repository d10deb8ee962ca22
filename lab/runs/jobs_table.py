"""The table of jobs: what was started at an engine for which run, under an id that is made before the engine is asked.

Nothing but starting and ending jobs depends on it: who may train a run is decided by the run's own lease.
"""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, text

LOST = "lost"  # a job's state: its worker had the run and was lost, by the rules of the lease
_later = MetaData()
OPEN = text("closed_at IS NULL")
jobs = Table(
    "jobs",
    _later,
    Column("id", String(64), primary_key=True),  # lab-<run>-<attempt>
    Column("run", String(32), nullable=False),  # runs.id
    Column("attempt", Integer, nullable=False),  # from 1
    Column("executor", String(16), nullable=False),
    Column("handle", Text, nullable=False, server_default=""),  # the engine's name for it; "" until it is submitted
    Column("state", String(16), nullable=False),  # `lab.executors.base.JobState`, as the engine said last
    Column("words", Text, nullable=False, server_default=""),  # what it said
    Column("step", BigInteger, nullable=False, server_default="0"),  # the run's step when it was submitted
    Column("gained", BigInteger, nullable=False, server_default="0"),  # steps further when it was closed
    Column("submitted_at", Float(53), nullable=False),
    Column("started_at", Float(53)),  # when it was first seen running
    Column("closed_at", Float(53)),  # NULL while it may start or run
    Index("jobs_run", "run", "attempt", unique=True),
    Index("jobs_open", "run", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
)
