"""Four VGG networks from the reports: 11 and 19 layers at 224 (D), torchvision's 16 at 64 and a small one (E).

Source: Simonyan, Zisserman 2014, table 1.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torchvision
from torch import nn

from lab.architectures.blocks import (
    Build,
    ConvNet,
    Named,
    Resize,
    assemble,
    conv_group,
    hidden_group,
    named,
)
from lab.architectures.shapes import output_shape

_WIDTHS = (64, 128, 256, 512, 512)


def _vgg(build: Build, depths: Sequence[int], *, batch_norm: bool, dropout: float) -> ConvNet:
    layers: list[Named] = []
    before = build.channels
    for block, (depth, width) in enumerate(zip(depths, _WIDTHS, strict=True), start=1):
        for index in range(1, depth + 1):
            conv = nn.Conv2d(before, width, 3, padding=1)
            layers += conv_group(f"{block}_{index}", conv, batch_norm=batch_norm)
            before = width
        layers.append((f"pool{block}", nn.MaxPool2d(2)))
    return assemble(
        build, named(layers), lambda n: hidden_group([n, 4096, 4096], classes=build.classes, dropout=dropout)
    )


def vgg11(build: Build, *, batch_norm: bool, dropout: float) -> ConvNet:
    """Configuration A: blocks of 1, 1, 2, 2, 2 convolutions; accepts 32×32 and larger."""
    return _vgg(build, (1, 1, 2, 2, 2), batch_norm=batch_norm, dropout=dropout)


def vgg19(build: Build, *, batch_norm: bool, dropout: float) -> ConvNet:
    """Configuration E: blocks of 2, 2, 4, 4, 4 convolutions; accepts 32×32 and larger."""
    return _vgg(build, (2, 2, 4, 4, 4), batch_norm=batch_norm, dropout=dropout)


def vgg16_64(build: Build, *, dropout: float) -> ConvNet:
    """torchvision's VGG-16 with a one-channel, unpadded first convolution, as report E changed it."""
    base = torchvision.models.vgg16(weights=None, num_classes=build.classes, dropout=dropout)
    base.features[0] = nn.Conv2d(build.channels, 64, 3)
    output_shape(base.features, input_shape=(1, build.channels, build.size, build.size), prefix="features")
    parts: list[Named] = [
        ("resize", Resize(build.size)),
        ("features", base.features),
        ("pool", base.avgpool),
        ("flatten", nn.Flatten()),
        ("classifier", base.classifier),
    ]
    return ConvNet(OrderedDict(parts))


def vgg_small(build: Build, *, widths: list[int], batch_norm: bool, dropout: float) -> ConvNet:
    """Report E's "Vgg_2", with its initial weights: Kaiming-normal convolutions, N(0, 0.01) linear layers."""
    layers: list[Named] = []
    before = build.channels
    for index, width in enumerate(widths):
        label = f"{index // 2 + 1}_{index % 2 + 1}"
        layers += conv_group(label, nn.Conv2d(before, width, 3, padding=1), batch_norm=batch_norm)
        if index % 2 == 1:
            layers.append((f"pool{index // 2 + 1}", nn.MaxPool2d(2)))
        before = width
    network = assemble(
        build, named(layers), lambda n: hidden_group([n, 256, 128], classes=build.classes, dropout=dropout)
    )
    network.apply(_initialise)
    return network


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.01)
    if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
