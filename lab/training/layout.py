"""The same network in the order and memory layout the device likes best, sharing every parameter and buffer.

`build_view` returns a second tree of containers over the same leaf modules. In a chain `… ReLU, MaxPool …` of an
`nn.Sequential` the two change places: they commute (both are monotone, so the maximum of the clipped is the clipped
maximum), and the ReLU then has a quarter of the work. Names in the state dict are the original network's, which is
never changed.
"""

import copy

import torch
from torch import Tensor, nn

_MONOTONE = (nn.ReLU, nn.ReLU6)


def build_view(network: nn.Module) -> nn.Module:
    """Return a module that computes what `network` computes, with shared leaves and cheaper chains.

    Modes are not shared by the containers: call `train()` and `eval()` on the view that is run.
    """
    if not network._modules:
        return network
    twin = copy.copy(network)
    children = {name: child and build_view(child) for name, child in network._modules.items()}
    twin._modules = _pool_first(children) if type(network) is nn.Sequential else children
    return twin


def _pool_first(children: dict[str, nn.Module | None]) -> dict[str, nn.Module | None]:
    """Return the chain with every (ReLU, MaxPool) pair exchanged."""
    chain = list(children.items())
    for i in range(len(chain) - 1):
        first, second = chain[i][1], chain[i + 1][1]
        if isinstance(first, _MONOTONE) and isinstance(second, nn.MaxPool2d) and not second.return_indices:
            chain[i], chain[i + 1] = chain[i + 1], chain[i]
    return dict(chain)


def to_channels_last(x_BCHW: Tensor) -> Tensor:
    """Return the images in NHWC memory, unmistakably.

    With one channel both layouts hold the same bytes and torch would read the strides as NCHW, and the whole network
    after it would follow.
    """
    batch, channels, height, width = x_BCHW.shape
    if channels == 1 and x_BCHW.is_contiguous():
        return x_BCHW.as_strided((batch, 1, height, width), (height * width, 1, width, 1))
    return x_BCHW.contiguous(memory_format=torch.channels_last)
