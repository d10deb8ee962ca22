"""The table of layer kinds: what the graph, receptive fields, feature maps and Grad-CAM need to know of each.

A layer whose class and base classes have no row is shown under its class name in a box of its own, and receptive fields
end there. Which layers training may replace by faster ones is not part of this table: `lab.training.layout` states it,
because that module ships with exported code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from lab.architectures.blocks import Resize
from lab.architectures.speedrun import Crop
from lab.inspection import layer_fields as fields
from lab.inspection.receptive_field import ReceptiveField

FieldRule: TypeAlias = Callable[[ReceptiveField, nn.Module, int], ReceptiveField | None]
FAMILIES = ("input", "convolution", "linear", "pooling", "join", "other")
"""Families determine the colour of a graph's boxes; a collapsed block of layers has the family "block"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """One row.

    name: the layer's class, or the function that joins branches. label: the word shown in the graph. family: one of
    `FAMILIES`. field: maps (field, layer, side of its output) to the field after the layer, None if a value depends on
    the whole image. folds: drawn in the box of the layer before it. makes_maps: Grad-CAM may read its output.
    follows_maps: if it follows such a layer, Grad-CAM reads after it instead. has_kernels: its weights are windows that
    slide over the maps. prepares_input: its output is still the image. passes_on: in evaluation mode it outputs its
    input's values, at most in another shape. is_activation: it applies a function to each value.
    """

    name: str
    label: str
    family: str = "other"
    field: FieldRule = fields.whole_image
    folds: bool = False
    makes_maps: bool = False
    follows_maps: bool = False
    has_kernels: bool = False
    prepares_input: bool = False
    passes_on: bool = False
    is_activation: bool = False


def _activation(layer: type[nn.Module]) -> tuple[type[nn.Module], LayerKind]:
    name = layer.__name__
    return layer, LayerKind(name=name, label=name, field=fields.same, folds=True, follows_maps=True, is_activation=True)


def _elementwise(layer: type[nn.Module], label: str) -> tuple[type[nn.Module], LayerKind]:
    """Return the row of a norm. Statistics over the whole map do not count towards the receptive field."""
    return layer, LayerKind(name=layer.__name__, label=label, field=fields.same, folds=True, follows_maps=True)


def _dropout(layer: type[nn.Module]) -> tuple[type[nn.Module], LayerKind]:
    return layer, LayerKind(
        name=layer.__name__, label="dropout", field=fields.same, folds=True, follows_maps=True, passes_on=True
    )


def _softmax(layer: type[nn.Module], label: str) -> tuple[type[nn.Module], LayerKind]:
    return layer, LayerKind(name=layer.__name__, label=label, field=fields.over_channels, folds=True)


def _pooling(layer: type[nn.Module], label: str, rule: FieldRule) -> tuple[type[nn.Module], LayerKind]:
    return layer, LayerKind(name=layer.__name__, label=label, family="pooling", field=rule)


def _other(
    layer: type[nn.Module],
    label: str,
    rule: FieldRule,
    *,
    follows_maps: bool = False,
    prepares_input: bool = False,
    passes_on: bool = False,
) -> tuple[type[nn.Module], LayerKind]:
    return layer, LayerKind(
        name=layer.__name__,
        label=label,
        field=rule,
        follows_maps=follows_maps,
        prepares_input=prepares_input,
        passes_on=passes_on,
    )


_CONVOLUTION = LayerKind(
    name="Conv2d",
    label="convolution",
    family="convolution",
    field=fields.convolution,
    makes_maps=True,
    has_kernels=True,
)
_TRANSPOSED_CONVOLUTION = LayerKind(
    name="ConvTranspose2d",
    label="transposed convolution",
    family="convolution",
    field=fields.transposed_convolution,
    makes_maps=True,
)
_LINEAR = LayerKind(name="Linear", label="linear", family="linear")
LAYER_KINDS: dict[type[nn.Module], LayerKind] = dict(
    (
        (nn.Conv2d, _CONVOLUTION),
        (nn.ConvTranspose2d, _TRANSPOSED_CONVOLUTION),
        (nn.Linear, _LINEAR),
        _pooling(nn.MaxPool2d, "max pooling", fields.max_pooling),
        _pooling(nn.AvgPool2d, "average pooling", fields.average_pooling),
        _pooling(nn.AdaptiveMaxPool2d, "max pooling", fields.adaptive_pooling),
        _pooling(nn.AdaptiveAvgPool2d, "average pooling", fields.adaptive_pooling),
        _activation(nn.ReLU),
        _activation(nn.ReLU6),
        _activation(nn.LeakyReLU),
        _activation(nn.PReLU),
        _activation(nn.ELU),
        _activation(nn.SELU),
        _activation(nn.CELU),
        _activation(nn.GELU),
        _activation(nn.SiLU),
        _activation(nn.Mish),
        _activation(nn.Hardswish),
        _activation(nn.Hardtanh),
        _activation(nn.Hardsigmoid),
        _activation(nn.Sigmoid),
        _activation(nn.Tanh),
        _activation(nn.Softplus),
        _elementwise(nn.BatchNorm1d, "BN"),
        _elementwise(nn.BatchNorm2d, "BN"),
        _elementwise(nn.LayerNorm, "layer norm"),
        _elementwise(nn.GroupNorm, "group norm"),
        _elementwise(nn.InstanceNorm2d, "instance norm"),
        _elementwise(nn.LocalResponseNorm, "local response norm"),
        _dropout(nn.Dropout),
        _dropout(nn.Dropout2d),
        _softmax(nn.Softmax, "softmax"),
        _softmax(nn.LogSoftmax, "log softmax"),
        _other(nn.Flatten, "flatten", fields.whole_image, passes_on=True),
        _other(nn.Identity, "shortcut", fields.same, follows_maps=True, passes_on=True),
        _other(nn.Upsample, "upsampling", fields.upsampling),
        _other(nn.ZeroPad2d, "zero padding", fields.zero_padding),
        _other(Resize, "resize", fields.resized, prepares_input=True),
        _other(Crop, "crop", fields.cropped, prepares_input=True),
    )
)

_JOINS = tuple(
    LayerKind(name=name, label=label, family="join") for name, label in (("add", "sum"), ("join", "channels joined"))
)
IMAGE = LayerKind(name="Input", label="input", family="input")
_BY_NAME = {kind.name: kind for kind in (*LAYER_KINDS.values(), *_JOINS, IMAGE)}
_FUNCTIONS = {
    "add": "add",
    "iadd": "add",
    "cat": "join",
    "flatten": "Flatten",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "hardswish": "Hardswish",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
}
"""Functions that a forward method may call, mapped to the rows they share with layers."""


def kind_of(layer: nn.Module) -> LayerKind:
    """Return the row of a layer's class or of its nearest base class that has one, else a row with the class name."""
    for class_ in type(layer).__mro__:
        if class_ in LAYER_KINDS:
            return LAYER_KINDS[class_]
    return unknown_kind(type(layer).__name__)


def kind_of_function(function: str) -> LayerKind:
    """Return the row of a function called between layers, such as the "add" of a shortcut."""
    return kind_named(_FUNCTIONS.get(function, function))


def kind_named(name: str) -> LayerKind:
    """Return the row of a class or function by name, `unknown_kind` if it has none."""
    return _BY_NAME.get(name) or unknown_kind(name)


def unknown_kind(name: str) -> LayerKind:
    """Return a row for a layer that is not in the table: only the name is known."""
    return LayerKind(name=name, label=name)


def field_after(
    field: ReceptiveField | None, layer: nn.Module, *, output_shape: tuple[int, ...]
) -> ReceptiveField | None:
    """Return the field after a layer with output (B, C, H, W); None if values depend on the whole image.

    A linear layer mixes all pixels, so there is no field after `Flatten`.
    """
    if field is None or len(output_shape) != 4:
        return None
    return kind_of(layer).field(field, layer, output_shape[-1])
