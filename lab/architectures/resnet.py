"""Three residual networks from the reports: D's ResNet-18 at 224, torchvision's and a small one (E).

Source: He, Zhang, Ren, Sun 2015, section 4.1 and table 1.
"""

from collections import OrderedDict

import torchvision
from torch import Tensor, nn

from lab.architectures.blocks import Build, ConvNet, Named, Resize, assemble, conv_group, hidden_group, named
from lab.architectures.shapes import output_shape


class Residual(nn.Module):
    """relu(shortcut(x) + body(x))."""

    def __init__(self, body: nn.Sequential, *, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.relu(self.shortcut(x_BCHW) + self.body(x_BCHW))
        return y_BCHW


def basic_block(before: int, after: int, stride: int) -> Residual:
    """Return the block of report D, which has biases and no batch norm on the 1×1 shortcut. before, after: channels."""
    body = named(
        [
            *conv_group(1, nn.Conv2d(before, after, 3, stride=stride, padding=1), batch_norm=True),
            ("conv2", nn.Conv2d(after, after, 3, padding=1)),
            ("bn2", nn.BatchNorm2d(after)),
        ]
    )
    return Residual(
        body, shortcut=nn.Conv2d(before, after, 1, stride=stride) if before != after or stride != 1 else None
    )


def resnet18(build: Build) -> ConvNet:
    """Report D: stages of 64, 128, 256, 512 channels with two blocks each; accepts any size."""
    layers: list[Named] = [
        *conv_group(1, nn.Conv2d(build.channels, 64, 7, stride=2, padding=3), batch_norm=True),
        ("pool1", nn.MaxPool2d(3, 2, padding=1)),
    ]
    before = 64
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        stride = 1 if stage == 1 else 2
        blocks = [("block1", basic_block(before, width, stride)), ("block2", basic_block(width, width, 1))]
        layers.append((f"stage{stage}", named(blocks)))
        before = width
    head = named([("fc", nn.Linear(512, build.classes))])
    return assemble(build, named(layers), lambda _: head, pool=nn.AdaptiveAvgPool2d(1))


def resnet18_tv(build: Build) -> ConvNet:
    """torchvision's ResNet-18 with a one-channel stem, as report E ran it at 28×28."""
    base = torchvision.models.resnet18(weights=None, num_classes=build.classes)
    base.conv1 = nn.Conv2d(build.channels, 64, 7, stride=2, padding=3, bias=False)
    features = named([(name, part) for name, part in base.named_children() if name not in ("avgpool", "fc")])
    output_shape(features, input_shape=(1, build.channels, build.size, build.size), prefix="features")
    parts: list[Named] = [
        ("resize", Resize(build.size)),
        ("features", features),
        ("pool", base.avgpool),
        ("flatten", nn.Flatten()),
        ("classifier", named([("fc", base.fc)])),
    ]
    return ConvNet(OrderedDict(parts))


def _plain_residual(channels: int) -> Residual:
    return Residual(
        named(
            [
                *conv_group(1, nn.Conv2d(channels, channels, 3, padding=1), batch_norm=False),
                ("conv2", nn.Conv2d(channels, channels, 3, padding=1)),
            ]
        )
    )


def resnet_small(build: Build, *, widths: list[int]) -> ConvNet:
    """Report E: each 5×5 convolution is followed by pooling and one residual block."""
    first, second = widths
    features = named(
        [
            *conv_group(1, nn.Conv2d(build.channels, first, 5), batch_norm=False),
            ("pool1", nn.MaxPool2d(2)),
            ("residual1", _plain_residual(first)),
            *conv_group(2, nn.Conv2d(first, second, 5), batch_norm=False),
            ("pool2", nn.MaxPool2d(2)),
            ("residual2", _plain_residual(second)),
        ]
    )
    return assemble(build, features, lambda n: hidden_group([n], classes=build.classes))
