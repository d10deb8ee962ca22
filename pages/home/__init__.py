"""Home: start a first training, recent runs, data sets and this machine."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="home",
    title="Home",
    icon=":material/home:",
    order=1,
)
