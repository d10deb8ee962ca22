"""How an image's shape changes from layer to layer.

Builders size their first linear layer by it, and error messages name the layer at which a too small image fails. Large
networks are looked at on torch's meta device: no memory, no arithmetic. But its first use in a process imports SymPy and
TorchDynamo, 1.7 s for which nobody should wait who only wants a LeNet to read a drawing: small ones are computed.
"""

import copy
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lab.errors import ShapeError

_FLOAT_BYTES = 4
_COMPUTED = 100_000_000  # weights by input values, about the mult-adds of its convolutions: some milliseconds


@dataclass(frozen=True, slots=True)
class ShapeStep:
    """One layer that ran, or (with no output shape) the layer that could not."""

    name: str
    type: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...] | None


class LayerShapeError(ShapeError):
    """A layer cannot take what the one before it gives; `steps` ends with that layer."""

    def __init__(self, message: str, *, steps: tuple[ShapeStep, ...]) -> None:
        super().__init__(message, field="input_size")
        self.steps = steps


def meta_copy(module: nn.Module) -> nn.Module:
    """Return a copy with the same names and settings, without hooks, whose tensors have a shape but no memory."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    return _copy_with(module, memo)


def make_probe(module: nn.Module, *, input_shape: tuple[int, ...]) -> tuple[nn.Module, Tensor]:
    """Return a copy in eval mode, without hooks, and zeros (B, C, H, W) to send through it and look at what layers give.

    The copy of a small module has the module's own tensors, so that its layers compute; that of a large one is on meta.
    """
    weights = sum(parameter.numel() for parameter in module.parameters())
    if weights * prod(input_shape) > _COMPUTED:
        return meta_copy(module).eval(), torch.empty(input_shape, device="meta")
    tensors = (*module.parameters(), *module.buffers())
    probe = _copy_with(module, {id(tensor): tensor for tensor in tensors})
    return probe.eval(), torch.zeros(input_shape, device=tensors[0].device if tensors else None)


def _copy_with(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    for each in module.modules():  # hooks belong to other threads, which may add and remove them meanwhile
        memo |= {id(hooks): OrderedDict() for hooks in (each._forward_hooks, each._forward_pre_hooks)}
    return copy.deepcopy(module, memo)


class ActivationBytes(NamedTuple):
    """What one image takes as float32 on its way through a network, each in bytes and at least 1.

    map: the largest tensor, the image itself among them. layer: the largest input and output of a layer together, which are
    there at once. stored: the outputs of all layers, which a backward pass needs.
    """

    map: int
    layer: int
    stored: int


def activation_bytes(probe: nn.Module, x_BCHW: Tensor) -> ActivationBytes:
    """Count the bytes of one image's tensors on a copy of a network, such as `make_probe` gives."""
    largest, layer, stored = prod(x_BCHW.shape[1:]), 0, 0

    def count(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        nonlocal largest, layer, stored
        if not isinstance(output, Tensor):
            return
        size = prod(output.shape[1:])
        largest = max(largest, size)
        if not any(module.children()):
            layer = max(layer, size + prod(inputs[0].shape[1:]))
            stored += size

    for module in probe.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        probe(x_BCHW)
    return ActivationBytes(*(max(1, _FLOAT_BYTES * size) for size in (largest, layer, stored)))


@contextmanager
def _recorded(module: nn.Module, prefix: str) -> Iterator[list[ShapeStep]]:
    """Collect a step for every leaf layer that starts; the last one has no output if it failed."""
    steps: list[ShapeStep] = []
    handles = []

    def watch(name: str, layer: nn.Module) -> None:
        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            steps.append(ShapeStep(name, type(layer).__name__, tuple(inputs[0].shape), None))

        def after(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            steps[-1] = ShapeStep(name, type(layer).__name__, tuple(inputs[0].shape), tuple(output.shape))

        handles.extend([layer.register_forward_pre_hook(before), layer.register_forward_hook(after)])

    for name, layer in module.named_modules():
        if not any(layer.children()):
            watch(".".join(part for part in (prefix, name) if part), layer)
    try:
        yield steps
    finally:
        for handle in handles:
            handle.remove()


def output_shape(module: nn.Module, *, input_shape: tuple[int, ...], prefix: str = "") -> tuple[int, ...]:
    """Return the shape a module gives for an input of (B, C, H, W), in eval mode; the module itself is not touched.

    prefix: put before the layers' names. Raises `LayerShapeError` where a layer cannot take its input.
    """
    probe, x_BCHW = make_probe(module, input_shape=input_shape)
    with _recorded(probe, prefix) as steps, torch.no_grad():
        try:
            result: Tensor = probe(x_BCHW)
        except RuntimeError as error:
            failed = steps[-1]
            side = "×".join(str(n) for n in failed.input_shape[1:])
            message = f"{failed.name} ({failed.type}) cannot take {side}."
            raise LayerShapeError(message, steps=tuple(steps)) from error
    return tuple(result.shape)
