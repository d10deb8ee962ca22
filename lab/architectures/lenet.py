"""LeNet-5 as reports C and E ran it (resized to 32×32), and as report D did (padded, with batch norm and dropout).

Source: LeCun et al. 1998, figure 2, with ReLU and max pooling as in the reports.
"""

from torch import nn

from lab.architectures.blocks import Build, ConvNet, assemble, conv_group, hidden_group, named


def lenet5(build: Build, *, widths: list[int], activation: str) -> ConvNet:
    """Two unpadded 5×5 convolutions, each with ReLU and 2×2 pooling, then 120 and 84 units."""
    first, second = widths
    features = named(
        [
            *conv_group(1, nn.Conv2d(build.channels, first, 5), batch_norm=False, activation=activation),
            ("pool1", nn.MaxPool2d(2)),
            *conv_group(2, nn.Conv2d(first, second, 5), batch_norm=False, activation=activation),
            ("pool2", nn.MaxPool2d(2)),
        ]
    )
    return assemble(build, features, lambda n: hidden_group([n, 120, 84], classes=build.classes, activation=activation))


def lenet_bn(build: Build, *, widths: list[int], batch_norm: bool, dropout: float, activation: str) -> ConvNet:
    """Report D: a padding of 2 in the first convolution replaces resizing to 32×32."""
    first, second = widths
    features = named(
        [
            *conv_group(
                1, nn.Conv2d(build.channels, first, 5, padding=2), batch_norm=batch_norm, activation=activation
            ),
            ("pool1", nn.MaxPool2d(2)),
            *conv_group(2, nn.Conv2d(first, second, 5), batch_norm=batch_norm, activation=activation),
            ("pool2", nn.MaxPool2d(2)),
        ]
    )
    return assemble(
        build,
        features,
        lambda n: hidden_group([n, 120, 84], classes=build.classes, activation=activation, dropout=dropout),
    )
