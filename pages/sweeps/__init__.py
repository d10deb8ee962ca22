"""Sweeps: many runs over a space of settings, most of them paused early, and charts of their results."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="sweeps",
    title="Sweeps",
    icon=":material/grain:",
    order=4,
    section="Experiment",
    teaser="Search learning rate, batch size and more at once; weak trials are paused early.",
)
