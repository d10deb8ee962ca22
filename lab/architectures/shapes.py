"""Shapes and activation sizes, layer by layer.

Builders use them to size the first linear layer, and error messages name the layer that fails for a small image. Large
networks run on torch's meta device, without memory or arithmetic. Its first use in a process imports SymPy and
TorchDynamo, which takes 1.7 s, so small networks are computed instead: classifying a drawing with a LeNet must not
wait.
"""

import copy
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lab.errors import ShapeError

FLOAT_BYTES = 4
_META_LOCK = threading.Lock()
_meta_ready = threading.Event()
_COMPUTED = 100_000_000  # weights times input values, about the mult-adds of the convolutions: a few milliseconds


@dataclass(frozen=True, slots=True)
class ShapeStep:
    """A layer that ran, or, if `output_shape` is None, the layer that failed."""

    name: str
    type: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...] | None


class LayerShapeError(ShapeError):
    """A layer does not accept its input; `steps` ends with that layer."""

    def __init__(self, message: str, *, steps: tuple[ShapeStep, ...]) -> None:
        super().__init__(message, field="input_size")
        self.steps = steps


def prepare_meta() -> None:
    """Import, once and in one thread, what the first operations on torch's meta device import: SymPy and TorchDynamo.

    Their 900 modules import each other in cycles. If two threads import such modules at the same time, Python avoids
    the deadlock by letting one of them see partially initialised modules, which may fail or register operators twice.
    """
    with _META_LOCK:
        if not _meta_ready.is_set():
            with torch.no_grad():
                nn.Conv2d(1, 1, 1, device="meta")(torch.empty(1, 1, 1, 1, device="meta"))
                nn.Linear(1, 1, device="meta")(torch.empty(1, 1, device="meta"))
            _meta_ready.set()


def meta_copy(module: nn.Module) -> nn.Module:
    """Return a copy on the meta device with the same names and settings, without hooks."""
    prepare_meta()
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    return _copy_with(module, memo)


def training_copy(module: nn.Module) -> nn.Module:
    """Return a copy in training mode, without hooks, that can be run and differentiated without changing the module.

    Its parameters are leaves that share the memory of the module's; its buffers, such as batch norm's averages, are
    copies.
    """
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
        for parameter in module.parameters()
    }
    return _copy_with(module, memo).train()


def make_probe(module: nn.Module, *, input_shape: tuple[int, ...]) -> tuple[nn.Module, Tensor]:
    """Return a copy in eval mode without hooks, and a zero input (B, C, H, W) for it, to inspect layer outputs.

    The copy of a small module shares the module's tensors and computes; that of a large one is on the meta device.
    """
    weights = sum(parameter.numel() for parameter in module.parameters())
    if weights * prod(input_shape) > _COMPUTED:
        return meta_copy(module).eval(), torch.empty(input_shape, device="meta")
    tensors = (*module.parameters(), *module.buffers())
    device = tensors[0].device if tensors else torch.get_default_device()
    if device.type == "meta":
        prepare_meta()
    probe = _copy_with(module, {id(tensor): tensor for tensor in tensors})
    return probe.eval(), torch.zeros(input_shape, device=device)


def _copy_with(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    for each in module.modules():  # hooks belong to other threads, which may add and remove them at the same time
        memo |= {id(hooks): OrderedDict() for hooks in (each._forward_hooks, each._forward_pre_hooks)}
    return copy.deepcopy(module, memo)


class ActivationBytes(NamedTuple):
    """The memory of one image's float32 activations in a network, in bytes.

    map: the largest tensor, including the image itself. alive: for each layer, the tensors that exist when it ends, such
    as its input and its output, and what a block around it still needs. stored: the outputs of all layers, which a
    backward pass needs; at least 1.
    """

    map: int
    alive: tuple[tuple[int, ...], ...]
    stored: int

    @property
    def most(self) -> int:
        """The largest sum of tensors that exist at the same time; at least 1."""
        return max(map(sum, self.alive), default=1)

    def resident(self, images: int, *, retained_below: int) -> int:
        """Return the bytes that a forward pass without gradients occupies.

        retained_below: blocks of fewer bytes stay in the process when they are freed, and larger ones are allocated
        beside them.
        """
        retained = most = 0
        for sizes in self.alive:
            blocks = [size * images for size in sizes]
            small = sum(block for block in blocks if block < retained_below)
            retained = max(retained, small)
            most = max(most, retained + sum(blocks) - small)
        return most


def activation_bytes(probe: nn.Module, x_BCHW: Tensor) -> ActivationBytes:
    """Return the bytes of one image's activations. probe: a copy of a network, such as from `make_probe`."""
    largest, stored, alive = _bytes(x_BCHW), 0, []
    seen = [weakref.ref(x_BCHW)]

    def count(module: nn.Module, _: tuple[Any, ...], output: object) -> None:
        nonlocal largest, stored
        if not isinstance(output, Tensor):
            return
        largest = max(largest, _bytes(output))
        seen.append(weakref.ref(output))
        if any(module.children()):
            return
        stored += _bytes(output)
        tensors = [tensor for one in seen if (tensor := one()) is not None]
        alive.append(tuple({tensor.untyped_storage()._cdata: _bytes(tensor) for tensor in tensors}.values()))

    for module in probe.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        probe(x_BCHW)
    return ActivationBytes(max(1, largest), tuple(alive), max(1, stored))


def _bytes(x: Tensor) -> int:
    """Return the bytes of one image's part of a tensor."""
    return FLOAT_BYTES * prod(x.shape[1:])


@contextmanager
def _recorded(module: nn.Module, prefix: str) -> Iterator[list[ShapeStep]]:
    """Record a step for every leaf layer that starts; the last one has no output shape if it failed."""
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
    """Return a module's output shape in eval mode for an input shape (B, C, H, W); the module is not changed.

    prefix: of the layer names. Raises `LayerShapeError` if a layer does not accept its input.
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
