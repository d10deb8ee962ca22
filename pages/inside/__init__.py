"""Inside: the inner workings of a trained network, at every saved epoch."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="inside",
    title="Inside",
    icon=":material/visibility:",
    order=7,
    section="Understand",
    teaser="Kernels, feature maps and errors, epoch by epoch.",
)
