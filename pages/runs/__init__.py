"""Runs: the table, comparisons and the reports' tables."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="runs",
    title="Runs",
    icon=":material/table_rows:",
    order=3,
    section="Experiment",
    teaser="Compare curves and settings, find earlier runs, export results.",
)
