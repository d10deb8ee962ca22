"""Networks from a list of layers in text (`lab.architectures.layer_list`), and the list of a network's layers."""

import itertools
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lab.architectures.activations import ACTIVATIONS
from lab.architectures.blocks import Build, ConvNet, Named, Resize, assemble, named
from lab.architectures.layer_list import LAYER_WORDS, LINEAR, Layer, layers_text, parse_layers
from lab.architectures.resnet import Residual, basic_block
from lab.errors import ConfigError


@dataclass(frozen=True, slots=True)
class _Kind:
    """The modules of one word.

    prefix: of their names. type: their class. build: builds one for a number of incoming channels (or values) and the
    word's arguments. read: returns both for a module.
    """

    prefix: str
    type: type[nn.Module]
    build: Callable[..., nn.Module]
    read: Callable[[Any], tuple[int | float, ...]] = lambda _: (0,)


def _side(size: Any) -> int:
    """Return the side of a square window, which torch stores as a number or a pair; 0 for a padding such as "same"."""
    side = size[0] if isinstance(size, tuple) else size
    return side if isinstance(side, int) else 0


def _activation(layer: str) -> _Kind:
    module: type[nn.Module] = getattr(nn, layer)
    return _Kind(layer.lower(), module, lambda _: module())


_KINDS: Mapping[str, _Kind] = {
    "conv": _Kind(
        "conv",
        nn.Conv2d,
        lambda before, after, kernel, stride, padding: nn.Conv2d(before, after, kernel, stride, padding),
        lambda m: (m.in_channels, m.out_channels, _side(m.kernel_size), _side(m.stride), _side(m.padding)),
    ),
    "residual": _Kind(
        "residual",
        Residual,
        basic_block,
        lambda m: (m.body.conv1.in_channels, m.body.conv2.out_channels, _side(m.body.conv1.stride)),
    ),
    "maxpool": _Kind(
        "pool",
        nn.MaxPool2d,
        lambda _, window, stride, padding: nn.MaxPool2d(window, stride, padding),
        lambda m: (0, _side(m.kernel_size), _side(m.stride), _side(m.padding)),
    ),
    "avgpool": _Kind(
        "pool",
        nn.AvgPool2d,
        lambda _, window, stride: nn.AvgPool2d(window, stride),
        lambda m: (0, _side(m.kernel_size), _side(m.stride)),
    ),
    "globalpool": _Kind("pool", nn.AdaptiveAvgPool2d, lambda _: nn.AdaptiveAvgPool2d(1)),
    "batchnorm": _Kind("bn", nn.BatchNorm2d, nn.BatchNorm2d, lambda m: (m.num_features,)),
    "dropout": _Kind("drop", nn.Dropout, lambda _, rate: nn.Dropout(rate), lambda m: (0, m.p)),
    "dropout2d": _Kind("drop", nn.Dropout2d, lambda _, rate: nn.Dropout2d(rate), lambda m: (0, m.p)),
    "linear": _Kind("fc", nn.Linear, nn.Linear, lambda m: (m.in_features, m.out_features)),
    **{name: _activation(activation.layer) for name, activation in ACTIVATIONS.items() if activation.layer},
}
# After a linear layer, where values have no position.
_FLAT_KINDS = {**_KINDS, "batchnorm": _Kind("bn", nn.BatchNorm1d, nn.BatchNorm1d, lambda m: (m.num_features,))}


def custom(build: Build, *, layers: str) -> ConvNet:
    """Return the listed layers and a last linear layer with a unit per class; the first linear layer flattens the maps.

    Raises `ConfigError` for a text that is no list of layers, and `LayerShapeError` if a layer does not accept its
    input.
    """
    listed = parse_layers(layers)
    first = next((at for at, layer in enumerate(listed) if layer.word is LINEAR), len(listed))

    def head(values: int) -> nn.Sequential:
        hidden = list(_modules(listed[first:], values, _FLAT_KINDS))
        widths = [layer.width for layer in listed[first:] if layer.width is not None]
        last = nn.Linear(widths[-1] if widths else values, build.classes)  # built last, so its weights are drawn last
        return named([*hidden, (f"fc{len(widths) + 1}", last)])

    if first == 0:
        values = build.channels * build.size * build.size
        return ConvNet(OrderedDict(resize=Resize(build.size), flatten=nn.Flatten(), classifier=head(values)))
    return assemble(build, named(_modules(listed[:first], build.channels)), head)


def _modules(layers: Sequence[Layer], before: int, kinds: Mapping[str, _Kind] = _KINDS) -> Iterator[Named]:
    """Yield the modules with their names, such as `conv2` for the second convolution. before: incoming channels."""
    counts: Counter[str] = Counter()
    for layer in layers:
        kind = kinds[layer.word.word]
        counts[kind.prefix] += 1
        yield f"{kind.prefix}{counts[kind.prefix]}", kind.build(before, *layer.values)
        before = layer.width or before


def layers_as_text(network: nn.Module) -> str | None:
    """Return the text from which `custom` builds a network's layers, None if there is none.

    The image is resized by the input size, which is not part of the text. Networks that draw their initial weights in
    another way than PyTorch's layers get those of the layers.
    """
    if not isinstance(network, ConvNet):
        return None
    *leaves, last = _leaves(network)
    layers = [layer for layer in map(_layer, leaves) if layer is not None]
    if len(layers) < len(leaves) or type(last) is not nn.Linear:
        return None
    text = layers_text(layers)
    try:
        parse_layers(text)
    except ConfigError:  # the layers are in another order than a list may have them, or too many
        return None
    return text


def _leaves(network: nn.Module) -> list[nn.Module]:
    """Return the layers and residual blocks in order, without resizing and flattening."""
    found: list[nn.Module] = []
    for name, part in network.named_children():
        if isinstance(part, nn.Sequential):
            found += _leaves(part)
        elif name not in ("resize", "flatten"):
            found.append(part)
    return found


def _layer(module: nn.Module) -> Layer | None:
    """Return the layer that a module stands for, None if no word does."""
    for word, kinds in itertools.product(LAYER_WORDS, (_KINDS, _FLAT_KINDS)):
        kind = kinds[word.word]
        if type(module) is kind.type:
            before, *values = kind.read(module)
            with torch.device("meta"):
                rebuilt = kind.build(before, *values)
            # Arguments that no word has, such as groups, are part of the representation.
            return Layer(word, tuple(values)) if repr(rebuilt) == repr(module) else None
    return None
