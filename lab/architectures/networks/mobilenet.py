"""MobileNet (v1) as report D ran it."""

from lab.architectures.spec import Architecture, ArchOption

NETWORKS = (
    Architecture(
        id="mobilenet",
        title="MobileNet",
        description="Depthwise-separable convolutions: few parameters, many layers.",
        source="Howard et al.: MobileNets, 2017",
        report="D",
        builder="lab.architectures.mobilenet:mobilenet",
        default_input_size="224",
        options=(ArchOption("width", float, 1.0, "Multiplier of all channels (the paper's alpha).", 0.1, 2.0),),
        order=170,
    ),
)
