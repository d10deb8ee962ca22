"""Receptive-field rules, one for each kind of layer; `lab.inspection.layer_kinds` assigns them.

Each rule takes (field before, layer, side of the layer's output in values) and returns the field after the layer. It
returns None if a value depends on the whole image or the layer's settings differ between rows and columns.
"""

from typing import cast

from torch import nn

from lab.inspection.receptive_field import (
    ReceptiveField,
    interpolated,
    pooled_to,
    repeated,
    sliding,
    transposed,
)

_CHANNELS = (1, -3)  # the channel dimension of (B, C, H, W), as a softmax may name it


def same(field: ReceptiveField, _layer: nn.Module, _side: int) -> ReceptiveField:
    """Each value depends on the one input value at the same position."""
    return field


def whole_image(_field: ReceptiveField, _layer: nn.Module, _side: int) -> None:
    """Each value depends on all input values."""
    return


def convolution(field: ReceptiveField, layer: nn.Module, side: int) -> ReceptiveField | None:
    """A window of the kernel's size slides over the padded map."""
    padding = one_side(tuple(padding_before(cast(nn.Conv2d, layer), axis=axis) for axis in (0, 1)))
    settings = _square(layer, "kernel_size", "stride", "dilation")
    if settings is None or padding is None:
        return None
    kernel, stride, dilation = settings
    return sliding(field, side=side, kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def transposed_convolution(field: ReceptiveField, layer: nn.Module, side: int) -> ReceptiveField | None:
    """Each input value is spread over a window of the kernel's size."""
    settings = _square(layer, "kernel_size", "stride", "padding", "dilation")
    if settings is None:
        return None
    kernel, stride, padding, dilation = settings
    return transposed(field, side=side, kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def max_pooling(field: ReceptiveField, layer: nn.Module, side: int) -> ReceptiveField | None:
    """A window slides over the padded map."""
    settings = _square(layer, "kernel_size", "stride", "padding", "dilation")
    if settings is None:
        return None
    kernel, stride, padding, dilation = settings
    return sliding(field, side=side, kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def average_pooling(field: ReceptiveField, layer: nn.Module, side: int) -> ReceptiveField | None:
    """A window slides over the padded map; average pooling has no dilation."""
    settings = _square(layer, "kernel_size", "stride", "padding")
    if settings is None:
        return None
    kernel, stride, padding = settings
    return sliding(field, side=side, kernel=kernel, stride=stride, padding=padding)


def adaptive_pooling(field: ReceptiveField, layer: nn.Module, side: int) -> ReceptiveField | None:
    """The map is divided into one window for each output value."""
    pool = cast(nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d, layer)
    return None if one_side(pool.output_size) is None else pooled_to(field, side=side)


def over_channels(field: ReceptiveField, layer: nn.Module, _side: int) -> ReceptiveField | None:
    """A softmax over channels depends on one position only; over rows or columns it depends on all of them."""
    dimension = cast(nn.Softmax, layer).dim
    return field if dimension is None or dimension in _CHANNELS else None


def upsampling(field: ReceptiveField, layer: nn.Module, side: int) -> ReceptiveField | None:
    """Rows are repeated or interpolated; the windows are regular only for integer factors without aligned corners."""
    upsample = cast(nn.Upsample, layer)
    scale = upsample.scale_factor if upsample.size is None else None
    to_side = one_side(upsample.size) if upsample.size is not None else None
    factor = to_side / field.side if to_side is not None else scale[0] if isinstance(scale, tuple) else scale
    if factor is None or factor != int(factor) or (isinstance(scale, tuple) and len(set(scale)) > 1):
        return None
    if upsample.mode in ("nearest", "nearest-exact"):
        return repeated(field, side=side, factor=int(factor))
    return (
        interpolated(field, side=side, factor=int(factor))
        if upsample.mode == "bilinear" and not upsample.align_corners
        else None
    )


def zero_padding(field: ReceptiveField, layer: nn.Module, side: int) -> ReceptiveField | None:
    """Rows of zeros are added before the first."""
    left, _, top, _ = cast(nn.ZeroPad2d, layer).padding
    return sliding(field, side=side, padding=top) if left == top else None


def resized(_field: ReceptiveField, _layer: nn.Module, side: int) -> ReceptiveField:
    """Receptive fields are measured in pixels of the resized image, so the field starts again."""
    return ReceptiveField.of_image(side)


def cropped(field: ReceptiveField, _layer: nn.Module, side: int) -> ReceptiveField:
    """The centre of the map is cut out."""
    return sliding(field, side=side, padding=-((field.side - side) // 2))


def padding_before(conv: nn.Conv2d, *, axis: int) -> int:
    """Return how many rows (axis 0) or columns (axis 1) of padding a convolution adds before the first."""
    if conv.padding == "valid":
        return 0
    if conv.padding == "same":
        return (conv.kernel_size[axis] - 1) * conv.dilation[axis] // 2
    return int(conv.padding[axis])


def one_side(value: object) -> int | None:
    """Return a setting such as the kernel size as one number, None if rows and columns differ."""
    if isinstance(value, tuple):
        value = value[0] if len(set(value)) == 1 else None
    return value if isinstance(value, int) else None


def _square(layer: nn.Module, *names: str) -> tuple[int, ...] | None:
    """Return these settings of a layer as single numbers, None if any differs between rows and columns."""
    settings = [one_side(getattr(layer, name)) for name in names]
    return tuple(value for value in settings if value is not None) if None not in settings else None
