"""MobileNet (v1) as report D ran it: depthwise-separable convolutions without biases, ReLU6.

Source: Howard et al. 2017, table 1.
"""

from torch import nn

from lab.architectures.blocks import Build, ConvNet, Named, assemble, conv_group, named
from lab.architectures.shapes import output_shape

# (output channels, stride) of each depthwise-separable block: table 1.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *(((512, 1),) * 5), (1024, 2), (1024, 1))


def _separable(before: int, after: int, stride: int) -> nn.Sequential:
    depthwise = nn.Conv2d(before, before, 3, stride=stride, padding=1, groups=before, bias=False)
    pointwise = nn.Conv2d(before, after, 1, bias=False)
    return named(
        [
            *conv_group("_depthwise", depthwise, batch_norm=True, activation="relu6"),
            *conv_group("_pointwise", pointwise, batch_norm=True, activation="relu6"),
        ]
    )


def mobilenet(build: Build, *, width: float) -> ConvNet:
    """Thirteen separable blocks; the average pooling covers the whole last map (7×7 for 224×224)."""
    first = max(1, round(32 * width))
    stem = nn.Conv2d(build.channels, first, 3, stride=2, padding=1, bias=False)
    layers: list[Named] = [*conv_group(1, stem, batch_norm=True, activation="relu6")]
    before = first
    for index, (channels, stride) in enumerate(_BLOCKS, start=1):
        after = max(1, round(channels * width))
        layers.append((f"block{index}", _separable(before, after, stride)))
        before = after
    features = named(layers)
    shape = output_shape(features, input_shape=(1, build.channels, build.size, build.size), prefix="features")
    head = named([("fc", nn.Linear(before, build.classes))])
    return assemble(build, features, lambda _: head, pool=nn.AvgPool2d(shape[-1]))
