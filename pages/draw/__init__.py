"""Draw: test the networks with a drawing or a photo."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="draw",
    title="Draw",
    icon=":material/draw:",
    order=8,
    section="Understand",
    teaser="Sketch a digit: trained networks answer at once and show why.",
)
