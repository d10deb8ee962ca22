"""Muon: momentum with orthogonal updates for hidden weights (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

torch.optim.Muon accepts only matrices and computes in bfloat16, which is slow on a CPU. This implementation also
accepts convolutions (as matrices with one row per output channel) and computes in float32 on a CPU. Updates are scaled
to the typical size of Adam's (0.2·√max(rows, columns), Liu et al. 2025, arXiv:2502.16982), so one learning rate suits
both.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # quintic Newton-Schulz, Jordan 2024
_ROUNDS = 5
_RMS = 0.2  # root mean square of an Adam update


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return a matrix with the same singular vectors and singular values near 1 (Newton-Schulz, five rounds)."""
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)


def hidden_weights(network: nn.Module) -> list[nn.Parameter]:
    """Return the trainable weights that Muon updates: those with two or more dimensions, except output layers.

    An output layer is the last weight of the network or of an auxiliary classifier.
    """
    weights = {n: p for n, p in network.named_parameters() if p.requires_grad and p.ndim >= 2}
    # The last weight of each key wins.
    outputs = {name.split(".")[1] if name.startswith("auxiliary.") else "": name for name in weights}
    return [weight for name, weight in weights.items() if name not in outputs.values()]


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay for weights of two or more dimensions."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float | Tensor, *, momentum: float, weight_decay: float = 0.0
    ):
        super().__init__(list(params), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Perform one step; parameters without a gradient are skipped."""
        if closure is not None:
            raise ValueError("Muon does not support closures")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        momentum, buffer = group["momentum"], state["momentum_buffer"]
        buffer.lerp_(gradient, 1.0 - momentum)
        look_ahead = torch.lerp(gradient, buffer, momentum)
        flat = look_ahead.flatten(1)
        scale = _RMS * max(flat.shape) ** 0.5
        if group["weight_decay"]:
            weight.mul_(1.0 - group["lr"] * group["weight_decay"])
        weight.sub_(orthogonalise(flat).view(look_ahead.shape).mul_(scale * group["lr"]))
