"""Upper limit of a network's training speed: forward, cross-entropy, backward and step on one fixed batch.

On a GPU the step is one CUDA graph, because launching kernels one by one is bound by the host.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import nn

from lab.training.kernels import to_channels_last
from lab.training.layout import build_view
from lab.training.recordings import CudaGraph, Repeat


def build_limit(
    network: nn.Module,
    image_shape: tuple[int, ...],
    *,
    batch: int,
    lr: float,
    classes: int = 10,
    device: torch.device,
    precision: torch.dtype | None = None,
    captured: bool = True,
) -> Callable[[], None]:
    """Return the step, already warmed up. The network is trained on noise.

    captured: capture the step as a CUDA graph if the device is a GPU.
    """
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    view = build_view(network).train()
    graph = device.type == "cuda" and captured
    rate = torch.tensor(lr, device=device) if graph else lr
    optimizer = torch.optim.Adam(network.parameters(), rate, fused=True, capturable=graph)
    x = to_channels_last(torch.randn(batch, *image_shape, device=device))
    y = torch.randint(0, classes, (batch,), device=device)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, precision, cache_enabled=False) if precision else nullcontext():
            output = view(x)
            loss = F.cross_entropy(output[0] if isinstance(output, tuple) else output, y)
        torch.autograd.backward(loss)
        optimizer.step()

    recording = CudaGraph(device, torch.Generator(device=device)) if graph else Repeat()
    recording.record(step, step)
    return recording.replay
