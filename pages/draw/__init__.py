"""Draw: test the networks with a drawing or a photo."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="draw",
    title="Draw",
    icon=":material/draw:",
    order=8,
    section="Understand",
    teaser="Draw a digit: trained networks read it as you draw and show why.",
)
