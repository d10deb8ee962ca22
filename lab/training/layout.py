"""The same network in the order and with the layers the device likes best, sharing every parameter and buffer.

`build_view` returns a second tree of containers over the same leaf modules. In chains (`nn.Sequential`):

- `ReLU, MaxPool` and `Dropout2d, MaxPool` change places. They commute: clipping and scaling by a number that is not
  negative keep the order of values. What was first then has a quarter of the work.
- A ReLU right after a convolution, linear layer, norm or pool works in place: none of these needs its own output.
- Dropout, Resize and Flatten are exchanged for `lab.training.kernels`.

Names in the state dict are the original network's, which is never changed.
"""

import copy
import itertools

from torch import nn

from lab.architectures.blocks import Resize
from lab.training.kernels import QuickDropout, QuickFlatten, QuickResize

_KEEPS_ORDER = (nn.ReLU, nn.ReLU6, nn.Dropout2d)
_FORGETS_ITS_OUTPUT = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.BatchNorm1d, nn.MaxPool2d)


def build_view(network: nn.Module) -> nn.Module:
    """Return a module that computes what `network` computes, with shared parameters and cheaper chains.

    Modes are not shared by all modules: call `train()` and `eval()` on the view that is run.
    """
    if type(network) is nn.Dropout:
        return QuickDropout(network.p)
    if type(network) is Resize:
        return QuickResize(network.size)
    if type(network) is nn.Flatten:
        return QuickFlatten(network.start_dim, network.end_dim)
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
        if isinstance(first, _KEEPS_ORDER) and isinstance(second, nn.MaxPool2d) and not second.return_indices:
            chain[i], chain[i + 1] = chain[i + 1], chain[i]
    in_place = {
        name: nn.ReLU(inplace=True)
        for (_, before), (name, module) in itertools.pairwise(chain)
        if type(module) is nn.ReLU and type(before) in _FORGETS_ITS_OUTPUT
    }
    return {name: in_place.get(name, module) for name, module in chain}
