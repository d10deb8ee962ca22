"""One-time initialisation of a process, done before its first run."""

from collections.abc import Callable

import torch
from torch import nn

from lab.config import RunConfig
from lab.devices import is_out_of_memory
from lab.training.recordings import CudaGraph
from lab.training.session import process_settings

_SIDE = 8  # pixels per side of the tiny network's images


def warm_up(device: torch.device) -> None:
    """Take one step of a tiny network on this device under a run's settings; on a GPU also capture one.

    The first optimizer imports half of torch. On a GPU the first kernel creates the context, the first convolution
    loads cuDNN, the first benchmarked convolution loads all libraries of cuDNN, and the first matrix product loads
    cuBLAS. A run then does not have to wait for these seconds.
    """
    hidden = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    network = nn.Sequential(hidden, nn.Dropout(), nn.Flatten(), nn.Linear(8 * _SIDE * _SIDE, 2))
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    captured = device.type == "cuda"
    optimizer = torch.optim.Adam(network.parameters(), fused=True, capturable=captured)
    x_BCHW, y_B = torch.ones(2, 1, _SIDE, _SIDE, device=device), torch.tensor([0, 1], device=device)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(network(x_BCHW), y_B))
        optimizer.step()

    with process_settings(RunConfig(), device):
        step()
        if captured:
            _capture(step, device)


def _capture(step: Callable[[], None], device: torch.device) -> None:
    """Capture a step and replay it. Capture errors are ignored, because each run reports its own."""
    graph = CudaGraph(device)
    try:
        graph.record(step, step)
        graph.replay()
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
    finally:
        graph.free()
