"""Which pixels a value of a feature map can see: size, step and place of the receptive field, by the window rule.

A layer with kernel k, stride s, padding p and dilation d widens the window of its input's first value by p steps
before and (k-1)·d - p steps after, and its own step is s times as long (Araujo, Norris, Sim 2019, "Computing
receptive fields of convolutional neural networks", section 2). Where branches join, the union counts. Pixels are those
of the network's own input, after its resize.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from lab.architectures.blocks import Resize
from lab.architectures.speedrun import Crop

_POINTWISE = (
    nn.ReLU,
    nn.ReLU6,
    nn.Identity,
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.Softmax,
    nn.LogSoftmax,
)
_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True, slots=True)
class Field:
    """The window of the value at row 0: pixels `first` to `last` (padding included); the next row is `step` further.

    The networks here are square, so one axis stands for both.
    """

    first: int = 0
    last: int = 0
    step: int = 1

    @property
    def size(self) -> int:
        """Side of the receptive field in pixels."""
        return self.last - self.first + 1

    def pixels(self, index: int, *, image_size: int) -> tuple[int, int]:
        """Return the first and last pixel seen by the value in row (or column) `index`, cut at the image's edge."""
        first = self.first + index * self.step
        return max(0, first), min(image_size - 1, self.last + index * self.step)


def after_layer(field: Field | None, layer: nn.Module, *, input_shape: tuple[int, ...]) -> Field | None:
    """Return the field after a layer that takes `input_shape` (B, C, H, W); None where it is not a window.

    A linear layer mixes all pixels, so from `Flatten` on there is none.
    """
    if field is None or len(input_shape) != 4:
        return None
    if isinstance(layer, _POINTWISE):
        return field
    if isinstance(layer, _WINDOWS):
        return _windowed(field, layer)
    if isinstance(layer, Resize):
        return Field()
    if isinstance(layer, Crop):
        offset = (input_shape[-1] - layer.size) // 2 * field.step
        return Field(field.first + offset, field.last + offset, field.step)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return _pooled(field, layer, input_shape[-1])
    return None


def _windowed(field: Field, layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> Field:
    kernel, stride, padding = _one(layer.kernel_size), _one(layer.stride), _one(layer.padding)
    dilation = 1 if isinstance(layer, nn.AvgPool2d) else _one(layer.dilation)
    return Field(
        first=field.first - padding * field.step,
        last=field.last + ((kernel - 1) * dilation - padding) * field.step,
        step=field.step * stride,
    )


def _pooled(field: Field, layer: nn.AdaptiveAvgPool2d, side: int) -> Field | None:
    wanted = _one(layer.output_size)
    if wanted == side:
        return field
    if wanted == 1:
        return Field(field.first, field.last + (side - 1) * field.step, field.step * side)
    return None


def _one(value: object) -> int:
    """Return the single number of a square setting such as a kernel size."""
    if isinstance(value, tuple):
        value = value[0]
    assert isinstance(value, int)
    return value


def union(fields: Sequence[Field | None]) -> Field | None:
    """Return the smallest field that holds all of them, None if one has none or their steps differ."""
    present = [field for field in fields if field is not None]
    if not present or len(present) < len(fields) or len({field.step for field in present}) > 1:
        return None
    return Field(min(f.first for f in present), max(f.last for f in present), present[0].step)
