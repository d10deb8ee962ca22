"""How good a network is on a set, always in chunks and without gradients: the reports' out-of-memory cannot happen."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.training.batches import normalise
from lab.training.kernels import to_channels_last
from lab.training.losses import Loss, split_output

CPU_CHUNK, GPU_CHUNK = 250, 2_000  # images; larger chunks are slower on a CPU for wide networks


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Mean loss, share of right answers in [0, 1], and logits_NK float32 on the CPU."""

    loss: float
    accuracy: float
    logits: Tensor

    @property
    def predictions(self) -> Tensor:
        """Classes (N,) int64, the largest logit's."""
        return self.logits.argmax(1)


def resolve_chunk(batch_size: int, device: torch.device) -> int:
    """Return the images per chunk; 0 chooses by device."""
    return batch_size or (CPU_CHUNK if device.type == "cpu" else GPU_CHUNK)


def evaluate(
    network: nn.Module,
    x_u8: Tensor,
    y: Tensor,
    *,
    mean: float,
    std: float,
    batch_size: int = 0,
    loss: Loss = F.cross_entropy,
    autocast: torch.dtype | None = None,
    channels_last: bool = False,
    between: Callable[[], None] | None = None,
) -> Evaluation:
    """Evaluate in eval mode on uint8 images (N,1,H,W) and labels (N,) that lie on the network's device.

    `between` is called before every chunk and may raise to leave early. Every module's mode is put back. An empty set
    gives NaN.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    parts: list[Tensor] = []
    try:
        with torch.inference_mode(), torch.autocast(x_u8.device.type, autocast, enabled=autocast is not None):
            for part in torch.split(x_u8, resolve_chunk(batch_size, x_u8.device)):
                if between:
                    between()
                x = normalise(part, mean=mean, std=std)
                x = to_channels_last(x) if channels_last else x
                parts.append(split_output(network(x))[0].float())
    finally:
        for module, mode in modes:
            module.training = mode
    return _summarise(parts, y, loss)


def _summarise(parts: list[Tensor], y: Tensor, loss: Loss) -> Evaluation:
    if not len(y):
        return Evaluation(loss=float("nan"), accuracy=float("nan"), logits=torch.empty(0, 0))
    logits = torch.cat(parts)  # outside inference mode: an ordinary tensor
    right = (logits.argmax(1) == y).sum()
    return Evaluation(loss=loss(logits, y).item(), accuracy=right.item() / len(y), logits=logits.cpu())
