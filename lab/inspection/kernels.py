"""The weights of convolutions as arrays, and how far they moved between two moments of a training."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from lab.errors import InputError, near_miss
from lab.inspection.layer_fields import padding_before


@dataclass(frozen=True, slots=True)
class Kernels:
    """One convolution's weights: float32 (filters, input channels per group, height, width) and biases (filters,)."""

    layer: str
    weight: np.ndarray
    bias: np.ndarray
    stride: int
    padding: int
    dilation: int
    groups: int


@dataclass(frozen=True, slots=True)
class KernelChange:
    """Change of each filter: relative = |now - before| / |before|, cosine between the two; both (filters,)."""

    difference: np.ndarray
    relative: np.ndarray
    cosine: np.ndarray


def list_convolutions(network: nn.Module) -> tuple[str, ...]:
    """Return the names of all 2-D convolutions, in declaration order."""
    return tuple(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d))


def copy_weights(module: nn.Conv2d | nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 copies of a layer's weight (outputs, …) and bias (outputs,); zeros for a layer without a bias."""
    weight = module.weight.detach().float().cpu().numpy().copy()
    if module.bias is None:
        return weight, np.zeros(len(weight), np.float32)
    return weight, module.bias.detach().float().cpu().numpy().copy()


def read_kernels(network: nn.Module, *, layer: str) -> Kernels:
    """Return a copy of one convolution's weights; another layer raises `InputError`."""
    names = list_convolutions(network)
    if layer not in names:
        raise InputError(f"{layer!r} is not a convolution of this network. {near_miss(layer, names)}")
    module = network.get_submodule(layer)
    assert isinstance(module, nn.Conv2d)
    weight, bias = copy_weights(module)
    return Kernels(
        layer=layer,
        weight=weight,
        bias=bias,
        stride=int(module.stride[0]),
        padding=padding_before(module, axis=0),
        dilation=int(module.dilation[0]),
        groups=int(module.groups),
    )


def kernel_change(now: Kernels, before: Kernels) -> KernelChange:
    """Return the change of one convolution's filters; a filter that was zero before has an infinite relative change."""
    a, b = (k.weight.reshape(len(k.weight), -1).astype(np.float64) for k in (now, before))
    moved, length = np.linalg.norm(a - b, axis=1), np.linalg.norm(b, axis=1)
    both = np.linalg.norm(a, axis=1) * length
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(moved == 0, 0.0, moved / length)
        cosine = np.where(both == 0, np.nan, (a * b).sum(1) / both)
    return KernelChange(now.weight - before.weight, relative, cosine)
