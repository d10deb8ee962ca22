"""One forward and backward pass as in a training step, observed layer by layer without changing the network.

A private copy runs in training mode, so batch norm normalises by the batch and auxiliary classifiers take part. It
shares the weights' memory and has its own buffers. Gradients come from `torch.autograd.grad` and are stored nowhere.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lab.architectures.shapes import training_copy
from lab.inspection.gradient_flow import LayerFlow, Magnitudes, quotient
from lab.inspection.layer_kinds import kind_of

_SAMPLED = 100_000  # values by which the percentiles of a large tensor are estimated


def layer_flows(
    network: nn.Module,
    x_BCHW: Tensor,
    loss_of: Callable[[Any], Tensor],
    *,
    forward: AbstractContextManager[None] | None = None,
) -> tuple[LayerFlow, ...]:
    """Return every layer with weights in the order in which they run.

    loss_of: maps the output of the network in training mode to the loss. Parameters that do not require a gradient are
    frozen. forward: entered for the forward pass, which may draw random numbers for dropout.
    """
    copy = training_copy(network)
    layers = weight_layers(copy)
    outputs = _Outputs(layers)
    for name, module in copy.named_modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # it would overwrite the output that is followed
        if not any(module.children()):
            module.register_forward_hook(outputs.hook(name))
    with torch.enable_grad(), forward or nullcontext():
        loss = loss_of(copy(x_BCHW))
    trained = {name: layers[name] for name in outputs.order if layers[name].requires_grad}
    found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True) if trained else ()
    gradients = dict(zip(trained, found))
    types = {name: type(copy.get_submodule(name)).__name__ for name in outputs.order}
    return tuple(_flow(name, types[name], layers[name], gradients.get(name), outputs) for name in outputs.order)


def weight_layers(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights of convolutions, linear layers and others like them by layer, without scales of norms."""
    return {
        name: module.weight
        for name, module in network.named_modules()
        if not any(module.children())
        and isinstance(getattr(module, "weight", None), nn.Parameter)
        and module.weight.ndim >= 2
    }


def weight_changes(network: nn.Module, before: nn.Module) -> dict[str, float]:
    """Return by layer the 2-norm of the change of its weights from `before`, relative to their norm in `before`."""
    earlier = weight_layers(before)
    return {
        name: relative_change(weight.detach(), earlier[name].detach())
        for name, weight in weight_layers(network).items()
    }


def relative_change(now: Tensor, before: Tensor) -> float:
    """Return the 2-norm of the change of a tensor relative to its norm before; 0 if both are zero."""
    return quotient(_norm(now - before), _norm(before))


class _Outputs:
    """Follows the output of each layer with weights to the activation after it, by the tensors that are passed on.

    Norms, pooling and dropout in between pass it on; a sum or a concatenation makes a new tensor, which belongs to no
    single layer.
    """

    def __init__(self, layers: Mapping[str, Tensor]) -> None:
        self.order: list[str] = []
        self.shares: dict[str, tuple[float, float]] = {}  # of zeros and of dead units
        self._layers = layers
        self._sources: dict[int | None, tuple[Tensor, str]] = {}  # by id, which stays valid because the tensor is held

    def hook(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        """Return the forward hook of the module with this name."""

        def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not isinstance(output, Tensor):
                return
            given = id(inputs[0]) if inputs else None
            source = name if name in self._layers else self._sources.get(given, (None, ""))[1]
            if name in self._layers and name not in self.order:
                self.order.append(name)
            if source and kind_of(module).is_activation:
                self.shares.setdefault(source, _zero_shares(output.detach()))
            elif source:
                self._sources[id(output)] = output, source

        return record


def _zero_shares(output: Tensor) -> tuple[float, float]:
    """Return the share of zeros in an output (B, C, …), and of channels that are zero throughout."""
    if not output.isfinite().all():
        return math.nan, math.nan
    zero = (output == 0).transpose(0, 1).flatten(1)  # (C, B * …)
    return float(zero.float().mean()), float(zero.all(1).float().mean())


def _flow(name: str, type_: str, weight: Tensor, gradient: Tensor | None, outputs: _Outputs) -> LayerFlow:
    zeros, dead = outputs.shares.get(name, (None, None))
    known = None if gradient is None else _magnitudes(gradient)
    return LayerFlow(name, type_, weight.numel(), _magnitudes(weight.detach()), known, zeros, dead)


def _magnitudes(values: Tensor) -> Magnitudes:
    flat = values.detach().flatten()
    if len(flat) > _SAMPLED:  # at random places: a fixed stride would visit only some rows or columns
        places = torch.randint(len(flat), (_SAMPLED,), generator=torch.Generator().manual_seed(0))
        sample = flat[places].abs().double()
    else:
        sample = flat.abs().double()
    used = sample[sample != 0]
    if len(used) and used.isfinite().all():
        low, middle, high = torch.quantile(used, torch.tensor((0.05, 0.5, 0.95), dtype=torch.float64)).tolist()
    else:
        low = middle = high = math.nan
    return Magnitudes(_norm(flat), low, middle, high, float((sample == 0).double().mean()))


def _norm(values: Tensor) -> float:
    """Return the 2-norm, summed in float64: the squares of a vanished gradient would be zero in float32."""
    return float(torch.linalg.vector_norm(values.detach(), dtype=torch.float64))
