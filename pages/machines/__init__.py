"""Machines: the hosts, what each of their slots trains, which runs wait, and why."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="machines",
    title="Machines",
    icon=":material/dns:",
    order=5,
    section="Experiment",
)
