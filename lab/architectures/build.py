"""Builds a network from an id and options. Weights are drawn from torch's global generator, so seed it first.

For shapes and counts only, build inside `with torch.device("meta")`, which needs no memory and no random numbers.
"""

import bisect
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import nn

from lab.architectures.blocks import Build
from lab.architectures.registry import Architecture, complete_options, get_architecture, resolve_input_size
from lab.architectures.shapes import LayerShapeError, ShapeStep
from lab.config import INPUT_SIZES
from lab.errors import ConfigError, ShapeError
from lab.lazy import load

__all__ = ["LayerShapeError", "ShapeStep", "build_network", "smallest_size"]

_LARGEST_TRIED = 224


def build_network(
    arch_id: str,
    *,
    classes: int = 10,
    image_size: int = 28,
    channels: int = 1,
    input_size: str = "auto",
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return a new network that maps normalised float images (B, C, image_size, image_size) to logits (B, classes).

    Raises `UnknownNameError` for an unknown id, `ConfigError` for an invalid option or count, and `LayerShapeError` (a
    `ShapeError`), which names the smallest valid size, if the network does not accept the image size.
    """
    arch = get_architecture(arch_id)
    _check_counts(classes=classes, image_size=image_size, channels=channels)
    size = resolve_input_size(arch, input_size, image_size=image_size)
    filled = complete_options(arch, options or {})
    try:
        return _builder(arch)(Build(classes, size, channels), **filled)
    except LayerShapeError as error:
        message = _size_sentence(arch, size, channels, filled, error)
        raise LayerShapeError(message, steps=error.steps) from error


def smallest_size(arch: Architecture, *, channels: int = 1, options: Mapping[str, Any] | None = None) -> int | None:
    """Return the smallest side in pixels that the network accepts, or None if even 224 is too small.

    This is a binary search, because a network that accepts a size also accepts every larger one.
    """
    filled = complete_options(arch, options or {})
    builder = _builder(arch)

    def fits(size: int) -> bool:
        try:
            with torch.device("meta"):
                builder(Build(10, size, channels), **filled)
        except ShapeError:
            return False
        return True

    size = bisect.bisect_left(range(1, _LARGEST_TRIED + 1), True, key=fits) + 1
    return size if size <= _LARGEST_TRIED else None


def _builder(arch: Architecture) -> Callable[..., nn.Module]:
    return cast(Callable[..., nn.Module], load(arch.builder))


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, int) or not 1 <= value <= 100_000:
            raise ConfigError(f"{name} is {value!r}, but it must be a whole number of at least 1.", field=name)


def _size_sentence(
    arch: Architecture, size: int, channels: int, options: Mapping[str, Any], error: LayerShapeError
) -> str:
    smallest = smallest_size(arch, channels=channels, options=options)
    failed = str(error).rstrip(".")
    if smallest is None:
        return f"{arch.id} with these options cannot take {size}×{size} images ({failed}): use fewer layers."
    offered = [s for s in INPUT_SIZES if s.isdigit() and int(s) >= smallest]
    way_out = f"choose input size {' or '.join(offered)}" if offered else "use fewer layers"
    return (
        f"{arch.id} cannot take {size}×{size} images ({failed}); the smallest size that works is "
        f"{smallest}×{smallest}: {way_out}."
    )
