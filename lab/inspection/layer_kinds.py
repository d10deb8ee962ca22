"""The one table of layer kinds: what graph, receptive field, feature maps and Grad-CAM know of each, one row a kind.

A layer of a class that has no row, nor a base class with one, is shown under its class name in a box of its own, and has
no receptive field from there on. What the training may replace by something faster is not said here: that is
arithmetic, and `lab.training.layout` ships with exported code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from lab.architectures.blocks import Resize
from lab.architectures.speedrun import Crop
from lab.inspection import layer_fields as fields
from lab.inspection.receptive_field import ReceptiveField

FieldRule: TypeAlias = Callable[[ReceptiveField, nn.Module, tuple[int, ...]], ReceptiveField | None]
FAMILIES = ("input", "convolution", "linear", "pooling", "join", "other")
"""What the boxes of a graph are coloured by; a closed block of layers is a "block"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """One row.

    name: the layer's class, or the function that joins branches. label: the word in the graph.
    family: one of `FAMILIES`. field: (field, layer, its input's shape) to the field after it, None where a value
    depends on the whole image. folds: it is drawn in the box of the layer before it. makes_maps: Grad-CAM may read
    here. follows_maps: Grad-CAM reads after it, where it follows such a layer. has_kernels: its weights are
    windows that slide over the maps. prepares_input: its output is the image again. passes_on: in evaluation its output is
    its input's values, at most in another shape. is_activation: it applies a function to each value.
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
    """Return the row of a norm. What a norm measures over the whole map does not count as dependence."""
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
"""Names of functions that a forward method calls, and the rows they share with layers."""


def kind_of(layer: nn.Module) -> LayerKind:
    """Return the row of a layer's class, or of the nearest base class; a layer without one is named by its class."""
    for class_ in type(layer).__mro__:
        if class_ in LAYER_KINDS:
            return LAYER_KINDS[class_]
    return unknown_kind(type(layer).__name__)


def kind_of_function(function: str) -> LayerKind:
    """Return the row of what code between layers does, such as the "add" of a shortcut."""
    return kind_named(_FUNCTIONS.get(function, function))


def kind_named(name: str) -> LayerKind:
    """Return the row of a class or function by its name; one without a row is named by it."""
    return _BY_NAME.get(name) or unknown_kind(name)


def unknown_kind(name: str) -> LayerKind:
    """Return what is known of a layer that has no row: its name."""
    return LayerKind(name=name, label=name)


def field_after(
    field: ReceptiveField | None, layer: nn.Module, *, input_shape: tuple[int, ...]
) -> ReceptiveField | None:
    """Return the field after a layer that takes `input_shape` (B, C, H, W); None where it is not a window.

    A linear layer mixes all pixels, so from `Flatten` on there is none.
    """
    if field is None or len(input_shape) != 4:
        return None
    return kind_of(layer).field(field, layer, input_shape)
