"""A network of layers that are listed by the user."""

from lab.architectures.spec import Architecture, ArchOption

NETWORKS = (
    Architecture(
        id="custom",
        title="Custom network",
        description="Layers of your own choice, one after the other. The last one, with a unit per class, is added.",
        source="Your own design",
        builder="lab.architectures.custom:custom",
        options=(
            ArchOption(
                "layers",
                str,
                "conv 16 5 padding 2, relu, maxpool 2, conv 32 3 padding 1, relu, maxpool 2, linear 64, relu",
                "The layers from the image to the classes, one per line.",
            ),
        ),
        order=200,
    ),
)
