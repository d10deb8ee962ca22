"""The only list of networks, used by pages, CLI, docs and tests. No torch.

It collects the `NETWORKS` of every module in `lab.architectures.networks`, refuses duplicate ids and entries without a
description, and suggests the closest name for an unknown one.
"""

import pkgutil
from collections.abc import Iterable, Iterator, Mapping

from lab.architectures import networks
from lab.architectures.spec import Architecture, ArchOption, check_options, complete_options
from lab.config import INPUT_SIZES, Option
from lab.errors import ConfigError, UnknownNameError, near_miss
from lab.lazy import load

__all__ = [
    "ArchOption",
    "Architecture",
    "arch_title",
    "check_options",
    "complete_options",
    "default_options",
    "find_layer_list",
    "find_option",
    "get_architecture",
    "list_architectures",
    "make_registry",
    "option_words",
    "resolve_input_size",
]


def make_registry(entries: Iterable[Architecture]) -> dict[str, Architecture]:
    """Return the entries by id. Raises `ValueError` for a duplicate or for an entry without description or source."""
    registry: dict[str, Architecture] = {}
    for entry in entries:
        if entry.id in registry:
            raise ValueError(f"The architecture {entry.id!r} is registered twice.")
        if not entry.description or not entry.source:
            raise ValueError(f"The architecture {entry.id!r} needs a description and a source.")
        registry[entry.id] = entry
    return registry


def _find_entries() -> Iterator[Architecture]:
    for module in pkgutil.iter_modules(networks.__path__, prefix=f"{networks.__name__}."):
        yield from load(f"{module.name}:NETWORKS")


_REGISTRY = make_registry(sorted(_find_entries(), key=lambda entry: (entry.order, entry.id)))


def list_architectures() -> tuple[Architecture, ...]:
    """Return every network in the order of the pages."""
    return tuple(_REGISTRY.values())


def get_architecture(id: str) -> Architecture:
    """Return the network with this id. Raises `UnknownNameError`, which suggests the closest id."""
    try:
        return _REGISTRY[id]
    except KeyError:
        message = f"There is no network {id!r}. {near_miss(id, _REGISTRY)}"
        raise UnknownNameError(message, field="arch") from None


def arch_title(id: str) -> str:
    """Return a network's title, or the id itself if this release does not know it."""
    return _REGISTRY[id].title if id in _REGISTRY else id


def find_option(arch: str, name: str) -> ArchOption | None:
    """Return an option of a network, or None if this release does not know the network or the option."""
    options = _REGISTRY[arch].options if arch in _REGISTRY else ()
    return next((option for option in options if option.name == name), None)


def find_layer_list() -> tuple[Architecture, ArchOption]:
    """Return the network whose layers are listed as text, and the option that lists them."""
    return next((arch, option) for arch in list_architectures() for option in arch.options if option.is_layer_list)


def default_options(arch: str) -> dict[str, Option]:
    """Return a network's options with their defaults, none if this release does not know the network."""
    return {option.name: option.default for option in _REGISTRY[arch].options} if arch in _REGISTRY else {}


def option_words(arch: str, options: Mapping[str, Option]) -> str:
    """Return options of a network as display text, such as "activation ReLU, no batch norm"."""
    found = ((find_option(arch, name) or ArchOption(name, type(v), v, ""), v) for name, v in sorted(options.items()))
    return ", ".join(option.words(value) for option, value in found)


def resolve_input_size(arch: Architecture, input_size: str, *, image_size: int = 28) -> int:
    """Return the side in pixels for "auto" (the network's own), "native" (the data's), "32", "64" or "224"."""
    if input_size not in INPUT_SIZES:
        raise ConfigError(f"input_size is {input_size!r}. {near_miss(input_size, INPUT_SIZES)}", field="input_size")
    size = arch.default_input_size if input_size == "auto" else input_size
    return image_size if size == "native" else int(size)
