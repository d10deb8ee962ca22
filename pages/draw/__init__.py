"""Draw: test the networks with a drawing or a photo."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="draw",
    title="Draw",
    icon=":material/draw:",
    order=6,
    section="Understand",
    teaser="Sketch a digit: the networks read along and show why.",
)
