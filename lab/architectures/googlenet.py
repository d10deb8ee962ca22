"""GoogLeNet (Inception v1, no batch norm) with its auxiliary classifiers, which report D could not make work.

Source: Szegedy et al. 2014, table 1 (widths) and section 5 (auxiliary classifiers: 5×5 average pooling with stride 3,
1×1 convolution with 128 filters, 1,024 units, 70 % dropout; omitted at inference). The weight of their losses is
`lab.architectures.spec.AUXILIARY_WEIGHT`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lab.architectures.blocks import Build, Named, Resize, conv_group, named
from lab.architectures.shapes import output_shape

_AUXILIARY_DROPOUT = 0.7  # section 5
_AUXILIARY_AFTER = ("4a", "4d")

# name: (1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool projection), table 1
_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class WithAuxiliary(NamedTuple):
    """The training output of a network with auxiliary classifiers: logits (B, K) of the head and of each of them."""

    logits: Tensor
    auxiliary: tuple[Tensor, ...]


class Inception(nn.Module):
    """Four parallel branches whose channels are concatenated."""

    def __init__(self, before: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, project = widths
        self.branch1 = named(conv_group("", nn.Conv2d(before, one, 1), batch_norm=False))
        self.branch3 = named(
            [
                *conv_group("_reduce", nn.Conv2d(before, reduce3, 1), batch_norm=False),
                *conv_group("", nn.Conv2d(reduce3, three, 3, padding=1), batch_norm=False),
            ]
        )
        self.branch5 = named(
            [
                *conv_group("_reduce", nn.Conv2d(before, reduce5, 1), batch_norm=False),
                *conv_group("", nn.Conv2d(reduce5, five, 5, padding=2), batch_norm=False),
            ]
        )
        self.branch_pool = named(
            [
                ("pool", nn.MaxPool2d(3, 1, padding=1)),
                *conv_group("", nn.Conv2d(before, project, 1), batch_norm=False),
            ]
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.cat(
            [self.branch1(x_BCHW), self.branch3(x_BCHW), self.branch5(x_BCHW), self.branch_pool(x_BCHW)], 1
        )


def _auxiliary(channels: int, side: int, classes: int) -> nn.Sequential:
    """Return the classifier of section 5; maps smaller than its 5×5 pooling (images below 80 pixels) are not pooled."""
    pooled = (side - 5) // 3 + 1 if side >= 5 else side
    return named(
        [
            ("pool", nn.AvgPool2d(5, 3) if side >= 5 else nn.Identity()),
            *conv_group("", nn.Conv2d(channels, 128, 1), batch_norm=False),
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(128 * pooled * pooled, 1024)),
            ("relu1", nn.ReLU()),
            ("drop1", nn.Dropout(_AUXILIARY_DROPOUT)),
            ("fc2", nn.Linear(1024, classes)),
        ]
    )


class GoogLeNet(nn.Module):
    """Returns logits (B, K) in eval mode, and `WithAuxiliary` in training if it has auxiliary classifiers."""

    def __init__(self, build: Build, *, aux: bool, dropout: float) -> None:
        super().__init__()
        self.resize = Resize(build.size)
        self.features = named(_features(build.channels))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = named([("drop", nn.Dropout(dropout)), ("fc", nn.Linear(1024, build.classes))])
        image_shape = (1, build.channels, build.size, build.size)
        output_shape(self.features, input_shape=image_shape, prefix="features")
        self.auxiliary = nn.ModuleDict(_auxiliaries(self.features, image_shape, build.classes) if aux else {})

    def forward(self, x_BCHW: Tensor) -> Tensor | WithAuxiliary:
        x_BCHW = self.resize(x_BCHW)
        if self.training and len(self.auxiliary):
            return self._with_auxiliary(x_BCHW)
        return self._head(self.features(x_BCHW))

    def _head(self, x_BCHW: Tensor) -> Tensor:
        logits_BK: Tensor = self.classifier(self.flatten(self.pool(x_BCHW)))
        return logits_BK

    def _with_auxiliary(self, x_BCHW: Tensor) -> WithAuxiliary:
        extra: list[Tensor] = []
        for name, part in self.features.named_children():
            x_BCHW = part(x_BCHW)
            if name in self.auxiliary:
                extra.append(self.auxiliary[name](x_BCHW))
        return WithAuxiliary(self._head(x_BCHW), tuple(extra))


def _auxiliaries(features: nn.Sequential, image_shape: tuple[int, ...], classes: int) -> dict[str, nn.Sequential]:
    shape = image_shape
    found = {}
    for name, part in features.named_children():
        shape = output_shape(part, input_shape=shape)
        if name.removeprefix("inception") in _AUXILIARY_AFTER:
            found[name] = _auxiliary(shape[1], shape[-1], classes)
    return found


def _features(channels: int) -> list[Named]:
    layers: list[Named] = [
        *conv_group(1, nn.Conv2d(channels, 64, 7, stride=2, padding=3), batch_norm=False),
        ("pool1", nn.MaxPool2d(3, 2, ceil_mode=True)),
        *conv_group(2, nn.Conv2d(64, 64, 1), batch_norm=False),
        *conv_group(3, nn.Conv2d(64, 192, 3, padding=1), batch_norm=False),
        ("pool2", nn.MaxPool2d(3, 2, ceil_mode=True)),
    ]
    before = 192
    for name, widths in _INCEPTIONS.items():
        layers.append((f"inception{name}", Inception(before, widths)))
        one, _, three, _, five, project = widths
        before = one + three + five + project
        if name in ("3b", "4e"):
            layers.append((f"pool{name[0]}", nn.MaxPool2d(3, 2, ceil_mode=True)))
    return layers


def googlenet(build: Build, *, aux: bool, dropout: float) -> GoogLeNet:
    """Nine Inception modules, pooled after the second and the seventh."""
    return GoogLeNet(build, aux=aux, dropout=dropout)
