"""AlexNet as report D ran it: one column, no local response normalisation.

Source: Krizhevsky, Sutskever, Hinton 2012, figure 2.
"""

from typing import TYPE_CHECKING

from lab.architectures import common_options
from lab.architectures.spec import Architecture

if TYPE_CHECKING:
    from lab.architectures.blocks import Build, ConvNet

NETWORKS = (
    Architecture(
        id="alexnet",
        title="AlexNet",
        description="The 2012 network: 11×11 convolution with stride 4, two linear layers of 4,096.",
        source="Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep CNNs, 2012",
        report="D",
        builder="lab.architectures.networks.alexnet:alexnet",
        default_input_size="224",
        options=(common_options.dropout(0.5),),
        order=140,
    ),
)


def alexnet(build: "Build", *, dropout: float) -> "ConvNet":
    """Five convolutions and overlapping 3×3 pooling; designed for 224×224, accepts 67×67 and larger."""
    from torch import nn

    from lab.architectures.blocks import assemble, conv_group, hidden_group, named

    features = named(
        [
            *conv_group(1, nn.Conv2d(build.channels, 96, 11, stride=4), batch_norm=False),
            ("pool1", nn.MaxPool2d(3, 2)),
            *conv_group(2, nn.Conv2d(96, 256, 5, padding=2), batch_norm=False),
            ("pool2", nn.MaxPool2d(3, 2)),
            *conv_group(3, nn.Conv2d(256, 384, 3, padding=1), batch_norm=False),
            *conv_group(4, nn.Conv2d(384, 384, 3, padding=1), batch_norm=False),
            *conv_group(5, nn.Conv2d(384, 256, 3, padding=1), batch_norm=False),
            ("pool5", nn.MaxPool2d(3, 2)),
        ]
    )
    return assemble(build, features, lambda n: hidden_group([n, 4096, 4096], classes=build.classes, dropout=dropout))
