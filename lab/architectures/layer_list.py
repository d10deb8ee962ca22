"""A network's layers as text, such as "conv 16 5, relu, maxpool 2, linear 64, relu", and its parser. No torch.

A layer is a word with its arguments, in order or by name ("conv 16 5 padding 2"). Layers are separated by commas,
semicolons or line breaks. Names of PyTorch's classes are read as their words: "Conv2d 16 5" is "conv 16 5".
`lab.architectures.custom` builds the modules that the words stand for.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab.architectures.activations import ACTIVATIONS, OFFERED
from lab.errors import ConfigError, near_miss
from lab.text import shortened

MAX_LAYERS = 100
_BETWEEN = re.compile(r"[,;\n]")
_JOINED = ", "  # between layers in the normal form
_SQUARE = re.compile(r"([0-9]+)[x×]\1")  # "5x5" or "5×5": the side of a square window
_CALL = re.compile(r"[()\[\]{}=]")
_SHOWN = 40  # characters of a layer in a message


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a layer.

    default: None if it has to be given; the name of another argument whose value it takes. low/high: inclusive bounds.
    whole: whether it is a whole number. named: whether it has to be given by name; the normal form omits its default.
    """

    name: str
    default: int | float | str | None
    low: int | float
    high: int | float
    whole: bool = True
    named: bool = False

    def read(self, text: str) -> int | float:
        """Return the value of a text. Raises `ValueError` with the rule."""
        square = _SQUARE.fullmatch(text)
        try:
            value = float(square[1] if square else text)
        except ValueError:
            raise ValueError(self._rule()) from None
        if not self.low <= value <= self.high or (self.whole and not value.is_integer()):  # NaN is not inside
            raise ValueError(self._rule())
        return int(value) if self.whole else value

    def _rule(self) -> str:
        return f"{'a whole number' if self.whole else 'a number'} from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWord:
    """One kind of layer. help: what it does. needs_maps: whether it cannot follow a linear layer. aliases: other words."""

    word: str
    help: str
    arguments: tuple[Argument, ...] = ()
    needs_maps: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """The word with its arguments and their defaults, such as "conv CHANNELS kernel 3 stride 1 padding 0"."""
        return " ".join([self.word, *map(_usage, self.arguments)])


def _usage(argument: Argument) -> str:
    default = argument.default
    if default is None:
        return argument.name.upper()
    return f"{argument.name} {default.upper() if isinstance(default, str) else default}"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. values: of all its word's arguments, in their order."""

    word: LayerWord
    values: tuple[int | float, ...]

    @property
    def given(self) -> dict[str, int | float]:
        """The values by the names of the arguments."""
        return {argument.name: value for argument, value in zip(self.word.arguments, self.values, strict=True)}

    @property
    def width(self) -> int | None:
        """The number of channels (or values) after the layer, None if it changes nothing about it."""
        width = self.given.get("channels", self.given.get("units"))
        return None if width is None else int(width)

    def __str__(self) -> str:
        """Return the layer in its normal form."""
        given = self.given
        parts = [self.word.word]
        for argument in self.word.arguments:
            value = given[argument.name]
            if not argument.named:
                parts.append(f"{value}")
            elif value != given.get(str(argument.default), argument.default):
                parts += [argument.name, f"{value}"]
        return " ".join(parts)


_CHANNELS = Argument("channels", None, 1, 4096)
_STRIDE = Argument("stride", 1, 1, 16, named=True)
_WINDOW = Argument("window", 2, 1, 64)
_POOL_STRIDE = Argument("stride", "window", 1, 64, named=True)
_RATE = Argument("rate", 0.5, 0.0, 0.95, whole=False)
_ACTIVATION_HELP = "Activation function."

LAYER_WORDS = (
    LayerWord(
        word="conv",
        help="Convolution: slides kernels over the maps.",
        arguments=(_CHANNELS, Argument("kernel", 3, 1, 31), _STRIDE, Argument("padding", 0, 0, 15, named=True)),
        needs_maps=True,
        aliases=("convolution",),
    ),
    LayerWord(
        word="residual",
        help="Residual block: two 3×3 convolutions with batch norm, and a shortcut around them.",
        arguments=(_CHANNELS, _STRIDE),
        needs_maps=True,
        aliases=("resblock",),
    ),
    LayerWord(
        word="maxpool",
        help="Max pooling: the largest value of each window.",
        arguments=(_WINDOW, _POOL_STRIDE, Argument("padding", 0, 0, 32, named=True)),
        needs_maps=True,
        aliases=("pool", "maxpooling"),
    ),
    LayerWord(
        word="avgpool",
        help="Average pooling: the mean of each window.",
        arguments=(_WINDOW, _POOL_STRIDE),
        needs_maps=True,
        aliases=("averagepool",),
    ),
    LayerWord(
        word="globalpool",
        help="Global average pooling: the mean of each map.",
        needs_maps=True,
        aliases=("gap", "globalavgpool"),
    ),
    LayerWord(
        word="batchnorm",
        help="Batch norm: normalises each channel (or value) over the batch.",
        aliases=("bn",),
    ),
    LayerWord(
        word="dropout",
        help="Dropout: sets a share of the values to zero in training.",
        arguments=(_RATE,),
    ),
    LayerWord(
        word="dropout2d",
        help="Dropout of whole channels.",
        arguments=(_RATE,),
        needs_maps=True,
    ),
    LayerWord(
        word="linear",
        help="Linear (fully connected) layer; convolutions cannot follow it.",
        arguments=(Argument("units", None, 1, 16_384),),
        aliases=("fc", "dense"),
    ),
    *(LayerWord(word=name, help=_ACTIVATION_HELP) for name in OFFERED if ACTIVATIONS[name].layer),
)


LINEAR = next(word for word in LAYER_WORDS if word.word == "linear")


def _spelling(word: str) -> str:
    """Return a word as it is looked up: without case, hyphens and underscores."""
    return word.lower().replace("_", "").replace("-", "")


_SPELLINGS = {_spelling(alias): word for word in LAYER_WORDS for alias in (f"{word.word}2d", *word.aliases)} | {
    _spelling(word.word): word for word in LAYER_WORDS
}
_FLATTEN = "flatten"


def parse_layers(text: str) -> tuple[Layer, ...]:
    """Return the layers of a text, without the last one, which has a unit for each class.

    Raises `ConfigError`, which names the layer and the rule.
    """
    parts = [part for part in map(str.strip, _BETWEEN.split(text)) if part]
    if len(parts) > MAX_LAYERS:
        raise _refused(f"The network has {len(parts)} layers, but {MAX_LAYERS} is the most that can be listed.")
    layers = tuple(_parse(number, part) for number, part in enumerate(parts, 1))
    _check_order(layers)
    return layers


def layers_text(layers: Iterable[Layer]) -> str:
    """Return layers as text in its normal form, which is the same for equal networks."""
    return _JOINED.join(map(str, layers))


def normalise_layers(text: str) -> str:
    """Return a text in its normal form. Raises `ConfigError`."""
    return layers_text(parse_layers(text))


def lines_of(text: str) -> str:
    """Return a text with a line for each layer, whether or not its layers are allowed."""
    return "\n".join(part.strip() for part in _BETWEEN.split(text))


def add_layers(text: str, added: str) -> str:
    """Return a text, a line a layer, with more layers: at its end, or before the first linear layer if they need maps."""
    lines = [line for line in lines_of(text).split("\n") if line]
    more = lines_of(added).split("\n")
    first = next((at for at, line in enumerate(lines) if _word_of(line) is LINEAR), len(lines))
    head = _word_of(more[0])
    at = first if head is not None and head.needs_maps else len(lines)
    return "\n".join([*lines[:at], *more, *lines[at:]])


def _word_of(line: str) -> LayerWord | None:
    return _SPELLINGS.get(_spelling(line.partition(" ")[0]))


def _refused(message: str) -> ConfigError:
    return ConfigError(message, field="arch_options")


def _parse(number: int, text: str) -> Layer:
    shown = f"Layer {number} is {shortened(text, _SHOWN)!r}"
    if _CALL.search(text):
        raise _refused(f"{shown}, but layers are written without brackets, such as 'conv 16 5 padding 2'.")
    first, *rest = text.split()
    word = _SPELLINGS.get(_spelling(first))
    if word is None:
        if _spelling(first) == _FLATTEN:
            raise _refused(f"{shown}, but maps are flattened before the first linear layer without it: leave it out.")
        known = [each.word for each in LAYER_WORDS]
        raise _refused(f"{shown}, but there is no layer {shortened(first, _SHOWN)!r}. {near_miss(first, known)}")
    try:
        return Layer(word, _read_arguments(word, rest))
    except ValueError as error:
        raise _refused(f"{shown}, but {error}.") from None


def _read_arguments(word: LayerWord, texts: list[str]) -> tuple[int | float, ...]:
    """Return the values of all arguments. Raises `ValueError` with what is wrong."""
    by_name = {argument.name: argument for argument in word.arguments}
    in_order = iter([argument for argument in word.arguments if not argument.named])
    given: dict[str, int | float] = {}
    rest = iter(texts)
    for text in rest:
        argument = by_name.get(text.lower())
        if argument is not None:
            text = next(rest, "")
        else:
            argument = next((each for each in in_order if each.name not in given), None)
        if argument is None:
            raise ValueError(f"{text!r} is one value too many: it is written {word.usage!r}")
        if argument.name in given:
            raise ValueError(f"{argument.name} is given twice")
        try:
            given[argument.name] = argument.read(text)
        except ValueError as error:
            raise ValueError(f"{argument.name} must be {error}: it is written {word.usage!r}") from None
    return tuple(_complete(word, given))


def _complete(word: LayerWord, given: dict[str, int | float]) -> Iterator[int | float]:
    for argument in word.arguments:
        value = given.get(argument.name, argument.default)
        if isinstance(value, str):
            value = given.get(value, next(each.default for each in word.arguments if each.name == value))
        if value is None or isinstance(value, str):
            raise ValueError(f"{argument.name} is missing: it is written {word.usage!r}")
        given[argument.name] = value
        yield value


def _check_order(layers: tuple[Layer, ...]) -> None:
    linear: Layer | None = None
    for number, layer in enumerate(layers, 1):
        if linear is not None and layer.word.needs_maps:
            raise _refused(
                f"Layer {number} is {str(layer)!r}, which needs maps, but it comes after {str(linear)!r}, which has "
                "none: put it before the first linear layer."
            )
        if layer.word is LINEAR and linear is None:
            linear = layer
        given = layer.given
        if "window" in given and 2 * given.get("padding", 0) > given["window"]:
            raise _refused(
                f"Layer {number} is {str(layer)!r}, but the padding of a pooling must be at most half of its window."
            )
