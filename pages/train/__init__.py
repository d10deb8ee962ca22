"""Train: the form, its estimated cost, and the view of one run."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="train",
    title="Train",
    icon=":material/play_circle:",
    order=2,
    section="Experiment",
)
