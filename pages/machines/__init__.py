"""Machines: which hosts train, in which slots and what; which runs wait, and why."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="machines",
    title="Machines",
    icon=":material/dns:",
    order=5,
    section="Experiment",
)
