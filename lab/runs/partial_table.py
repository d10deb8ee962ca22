"""The table of partial runs.

A partial run has points or listed files but no row in `runs`: it is being imported, or being removed for good. Every
list, search and page starts from `runs`, so none of them can see one.
"""

from sqlalchemy import Column, Float, Integer, MetaData, String, Table

_later = MetaData()
partial_runs = Table(
    "partial_runs",
    _later,
    Column("number", Integer, primary_key=True, autoincrement=False),  # what its points are stored under
    Column("id", String(32), nullable=False, unique=True),  # what its files are listed under
    Column("lease_until", Float(53), nullable=False),  # an importer renews it; what has expired may be removed
)
