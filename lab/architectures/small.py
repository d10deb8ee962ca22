"""Small networks of the reports: three of A, the wide one of B, the old PyTorch example of C and E, and the new one."""

from torch import nn

from lab.architectures.blocks import Build, ConvNet, Named, activation_group, assemble, conv_group, hidden_group, named


def conv2_fc2(build: Build, *, widths: list[int], hidden: int, dropout: float, activation: str) -> ConvNet:
    """Report A's first attempt, with pooling only after the second convolution."""
    first, second = widths
    features = named(
        [
            *conv_group(1, nn.Conv2d(build.channels, first, 3, padding=1), batch_norm=False, activation=activation),
            *conv_group(2, nn.Conv2d(first, second, 3, padding=1), batch_norm=False, activation=activation),
            ("pool", nn.MaxPool2d(2)),
        ]
    )
    return assemble(
        build,
        features,
        lambda n: hidden_group([n, hidden], classes=build.classes, activation=activation, dropout=dropout),
    )


def conv2_bn(build: Build, *, widths: list[int], batch_norm: bool, activation: str) -> ConvNet:
    """Report A's notebook: the second convolution has stride 3."""
    first, second = widths
    features = named(
        [
            *conv_group(
                1, nn.Conv2d(build.channels, first, 5, padding=2), batch_norm=batch_norm, activation=activation
            ),
            *conv_group(
                2, nn.Conv2d(first, second, 3, stride=3, padding=1), batch_norm=batch_norm, activation=activation
            ),
            ("pool", nn.MaxPool2d(2)),
        ]
    )
    return assemble(build, features, lambda n: hidden_group([n], classes=build.classes, activation=activation))


def conv3_bn(build: Build, *, widths: list[int], batch_norm: bool, activation: str) -> ConvNet:
    """Report A's final network: the third convolution has stride 3."""
    first, second, third = widths
    features = named(
        [
            *conv_group(
                1, nn.Conv2d(build.channels, first, 5, padding=2), batch_norm=batch_norm, activation=activation
            ),
            *conv_group(2, nn.Conv2d(first, second, 3, padding=1), batch_norm=batch_norm, activation=activation),
            *conv_group(
                3, nn.Conv2d(second, third, 3, stride=3, padding=1), batch_norm=batch_norm, activation=activation
            ),
            ("pool", nn.MaxPool2d(2)),
        ]
    )
    return assemble(build, features, lambda n: hidden_group([n], classes=build.classes, activation=activation))


def wide_cnn(build: Build, *, widths: list[int], hidden: list[int], batch_norm: bool, activation: str) -> ConvNet:
    """Report B's "myCNN" for any list of widths: 3×3 convolutions with 2×2 pooling in between."""
    layers: list[Named] = []
    before = build.channels
    for index, width in enumerate(widths, start=1):
        layers += conv_group(
            index, nn.Conv2d(before, width, 3, padding=1), batch_norm=batch_norm, activation=activation
        )
        if index < len(widths):
            layers.append((f"pool{index}", nn.MaxPool2d(2)))
        before = width
    return assemble(
        build, named(layers), lambda n: hidden_group([n, *hidden], classes=build.classes, activation=activation)
    )


def basic_cnn(build: Build, *, widths: list[int], hidden: int, dropout: float, activation: str) -> ConvNet:
    """The old PyTorch example: pooling before ReLU, and dropout of whole channels after the second convolution."""
    first, second = widths
    features = named(
        [
            ("conv1", nn.Conv2d(build.channels, first, 5)),
            ("pool1", nn.MaxPool2d(2)),
            *activation_group(1, activation),
            ("conv2", nn.Conv2d(first, second, 5)),
            ("drop2", nn.Dropout2d(dropout)),
            ("pool2", nn.MaxPool2d(2)),
            *activation_group(2, activation),
        ]
    )
    return assemble(
        build,
        features,
        lambda n: hidden_group([n, hidden], classes=build.classes, activation=activation, dropout=dropout),
    )


def pytorch_example(build: Build, *, widths: list[int], hidden: int, activation: str) -> ConvNet:
    """PyTorch's MNIST example since 2019: two 3×3 convolutions, dropout 0.25 before and 0.5 after the hidden layer."""
    first, second = widths
    features = named(
        [
            *conv_group(1, nn.Conv2d(build.channels, first, 3), batch_norm=False, activation=activation),
            *conv_group(2, nn.Conv2d(first, second, 3), batch_norm=False, activation=activation),
            ("pool", nn.MaxPool2d(2)),
            ("drop", nn.Dropout(0.25)),
        ]
    )
    return assemble(
        build, features, lambda n: hidden_group([n, hidden], classes=build.classes, activation=activation, dropout=0.5)
    )
