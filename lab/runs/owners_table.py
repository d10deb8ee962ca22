"""The table of those whose runs wait in the queue, and when each was served last (`lab.runs.fair_order`)."""

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

_later = MetaData()
owners = Table(
    "owners",
    _later,
    Column("name", Text, primary_key=True),  # as in `runs.owner`; "" is no one in particular
    # Counted up with every claim of anybody's run, so that no clock that is set back takes a turn from anyone.
    Column("served", BigInteger, nullable=False),
)
