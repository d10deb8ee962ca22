"""A view of a network with layers reordered and replaced by faster equivalents, sharing every parameter and buffer.

`build_view` returns a second tree of containers over the same leaf modules. In chains (`nn.Sequential`):

- `ReLU, MaxPool` and `Dropout2d, MaxPool` are swapped. They commute, because clipping and scaling by a non-negative
  number preserve the order of values. The first layer then works on a quarter of the values.
- A ReLU right after a convolution, linear layer, norm or pool works in place: none of these needs its output for the
  backward pass.
- Dropout, Resize, Flatten and adaptive pooling are replaced by `lab.training.kernels`.

The names in the state dict are those of the original network, which is never changed.
"""

import copy
import itertools

from torch import nn

from lab.architectures.blocks import Resize
from lab.training.kernels import QuickDropout, QuickFlatten, QuickResize, RepeatablePool

_ORDER_PRESERVING = (nn.ReLU, nn.ReLU6, nn.Dropout2d)
_OUTPUT_UNUSED_IN_BACKWARD = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.BatchNorm1d, nn.MaxPool2d)


def build_view(network: nn.Module) -> nn.Module:
    """Return a module that computes the same as `network`, with shared parameters and faster chains.

    Some modules do not share the training mode: call `train()` and `eval()` on the view that is run.
    """
    if type(network) is nn.Dropout:
        return QuickDropout(network.p)
    if type(network) is Resize:
        return QuickResize(network.size)
    if type(network) is nn.Flatten:
        return QuickFlatten(network.start_dim, network.end_dim)
    if type(network) is nn.AdaptiveAvgPool2d:
        return RepeatablePool(network.output_size)
    if not network._modules:
        return network
    twin = copy.copy(network)
    children = {name: child and build_view(child) for name, child in network._modules.items()}
    twin._modules = _improve_chain(children) if type(network).forward is nn.Sequential.forward else children
    return twin


def _improve_chain(children: dict[str, nn.Module | None]) -> dict[str, nn.Module | None]:
    chain = list(children.items())
    for i in range(len(chain) - 1):
        first, second = chain[i][1], chain[i + 1][1]
        if isinstance(first, _ORDER_PRESERVING) and isinstance(second, nn.MaxPool2d) and not second.return_indices:
            chain[i], chain[i + 1] = chain[i + 1], chain[i]
    in_place = {
        name: nn.ReLU(inplace=True)
        for (_, before), (name, module) in itertools.pairwise(chain)
        if type(module) is nn.ReLU and type(before) in _OUTPUT_UNUSED_IN_BACKWARD
    }
    return {name: in_place.get(name, module) for name, module in chain}
