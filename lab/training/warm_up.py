"""What only the first run of a process pays for, done before there is a run."""

import torch
from torch import nn

from lab.devices import synchronise

_SIDE = 8  # pixels of the images of the tiny network


def warm_up(device: torch.device) -> None:
    """Take one step of a tiny network on this device.

    The first optimizer imports half of torch. On a GPU the first kernel creates the context, the first convolution loads
    cuDNN and the first matrix product cuBLAS: seconds that a run need not wait for.
    """
    hidden = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    network = nn.Sequential(hidden, nn.Linear(8 * _SIDE * _SIDE, 2)).to(device)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    logits = network(torch.ones(2, 1, _SIDE, _SIDE, device=device))
    torch.autograd.backward(nn.functional.cross_entropy(logits, torch.tensor([0, 1], device=device)))
    optimizer.step()
    synchronise(device)
