"""Architecture: networks before any training."""

from pages.registry import PageSpec

PAGE = PageSpec(
    name="architecture",
    title="Architecture",
    icon=":material/account_tree:",
    order=6,
    section="Understand",
    teaser="Layers, shapes, parameters and receptive fields.",
)
