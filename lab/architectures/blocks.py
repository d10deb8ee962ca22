"""The parts that networks share: resizing, named layers, and the assembly of features and classifier.

A network is a `ConvNet`: resize, features, then flatten and classifier, each an `nn.Sequential` with readable names
(`features.conv1`), because these names are shown in tables and diagrams.
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from lab.architectures.activations import ACTIVATIONS
from lab.architectures.shapes import output_shape

Named: TypeAlias = tuple[str, nn.Module]


@dataclass(frozen=True, slots=True)
class Build:
    """The arguments of every builder: number of classes, side of the (resized) image in pixels, colour channels."""

    classes: int
    size: int
    channels: int = 1


class Resize(nn.Module):
    """Resize images to `size`×`size` pixels bilinearly; images of that size are returned unchanged."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if x_BCHW.shape[-1] == self.size and x_BCHW.shape[-2] == self.size:
            return x_BCHW
        shrinks = x_BCHW.shape[-1] > self.size
        return F.interpolate(
            x_BCHW, size=(self.size, self.size), mode="bilinear", align_corners=False, antialias=shrinks
        )

    def extra_repr(self) -> str:
        return f"size={self.size}"


class ConvNet(nn.Sequential):
    """Resize, features, optional pool, flatten and classifier; input (B, C, H, W), output logits (B, K)."""


def named(layers: Iterable[Named]) -> nn.Sequential:
    """Return the layers as an `nn.Sequential` with these names."""
    return nn.Sequential(OrderedDict(layers))


def activation_group(index: int | str, activation: str) -> list[Named]:
    """Return the activation as a layer named after it, such as `tanh1` for index 1; no layer for "none"."""
    layer = ACTIVATIONS[activation].layer
    if not layer:
        return []
    return [(f"{activation.removesuffix('6')}{index}", getattr(nn, layer)())]  # ReLU6 is named as ReLU is


def conv_group(index: int | str, conv: nn.Conv2d, *, batch_norm: bool, activation: str = "relu") -> list[Named]:
    """Return a convolution, optional batch norm, and activation, named `conv1`, `bn1` and `relu1` for index 1."""
    norm: list[Named] = [(f"bn{index}", nn.BatchNorm2d(conv.out_channels))] if batch_norm else []
    return [(f"conv{index}", conv), *norm, *activation_group(index, activation)]


def hidden_group(
    sizes: Sequence[int], *, classes: int, dropout: float | None = None, activation: str = "relu"
) -> nn.Sequential:
    """Return the linear layers sizes[0] → … → classes, with an activation (and dropout) after all but the last."""
    layers: list[Named] = []
    for index, (before, after) in enumerate(itertools.pairwise(sizes), start=1):
        layers += [(f"fc{index}", nn.Linear(before, after)), *activation_group(index, activation)]
        if dropout is not None:
            layers.append((f"drop{index}", nn.Dropout(dropout)))
    layers.append((f"fc{len(sizes)}", nn.Linear(sizes[-1], classes)))
    return named(layers)


def assemble(
    build: Build, features: nn.Sequential, head: Callable[[int], nn.Sequential], *, pool: nn.Module | None = None
) -> ConvNet:
    """Assemble a network. head: builds the classifier for a number of flattened features.

    Raises `LayerShapeError` if the features do not accept images of this size.
    """
    shape = output_shape(features, input_shape=(1, build.channels, build.size, build.size), prefix="features")
    if pool is not None:
        shape = output_shape(pool, input_shape=shape, prefix="pool")
    middle: list[Named] = [("pool", pool)] if pool is not None else []
    parts: list[Named] = [
        ("resize", Resize(build.size)),
        ("features", features),
        *middle,
        ("flatten", nn.Flatten()),
        ("classifier", head(shape[1] * shape[2] * shape[3])),
    ]
    return ConvNet(OrderedDict(parts))
