"""GoogLeNet (Inception v1) with its auxiliary classifiers."""

from lab.architectures.common_options import dropout
from lab.architectures.spec import AUXILIARY_WEIGHT, Architecture, ArchOption

NETWORKS = (
    Architecture(
        id="googlenet",
        title="GoogLeNet",
        description="Nine Inception modules; optionally the two auxiliary classifiers.",
        source="Szegedy et al.: Going Deeper with Convolutions, 2014",
        report="D",
        builder="lab.architectures.googlenet:googlenet",
        default_input_size="224",
        options=(
            ArchOption(
                "aux",
                bool,
                False,
                f"Train with the paper's two auxiliary classifiers (loss weight {AUXILIARY_WEIGHT:g} each).",
                title="auxiliary classifiers",
            ),
            dropout(0.4),
        ),
        auxiliary={"aux": 2},
        order=190,
    ),
)
