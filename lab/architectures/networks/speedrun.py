"""The network designed to reach 99 % in seconds."""

from lab.architectures.common_options import hidden, widths
from lab.architectures.spec import Architecture, ArchOption

NETWORKS = (
    Architecture(
        id="speedrun-cnn",
        title="Speedrun CNN",
        family="Small CNN",
        description="Made to reach 99 % in seconds: whitened frozen first layer on a 24×24 crop.",
        source="After Jordan: 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024 (the whitening first layer)",
        builder="lab.architectures.speedrun:speedrun_cnn",
        options=(
            widths(16, 32),
            hidden(128),
            ArchOption("random_crop", bool, False, "In training, crop each image at a random place, not the centre."),
        ),
        order=40,
    ),
)
