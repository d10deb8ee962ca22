"""Training objectives: the loss as a function of a network's logits.

`output` is the transformation before the loss, so that mistakes in the reports (NLL on raw logits, NLL on softmax) can
be reproduced. The losses of auxiliary classifiers (GoogLeNet in training) are added with their weight.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.architectures.spec import AUXILIARY_WEIGHT
from lab.config import RunConfig

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # logits_BK float, y_B int64 -> scalar


def build_loss(config: RunConfig) -> Loss:
    """Return the run's loss of logits_BK and labels y_B, averaged over the batch."""
    criterion = _criterion(config)
    if config.output == "logits" or (config.loss == "cross-entropy" and config.output == "log-softmax"):
        return criterion  # log-softmax of log-softmax is itself
    transform = torch.log_softmax if config.output == "log-softmax" else torch.softmax

    def loss(logits_BK: Tensor, y_B: Tensor) -> Tensor:
        return criterion(transform(logits_BK, 1), y_B)

    return loss


def _criterion(config: RunConfig) -> Loss:
    if config.loss == "nll":
        return F.nll_loss
    if config.loss == "mse":
        return _mse_one_hot
    smoothing = config.label_smoothing

    def cross_entropy(logits_BK: Tensor, y_B: Tensor) -> Tensor:
        return F.cross_entropy(logits_BK, y_B, label_smoothing=smoothing)

    return cross_entropy if smoothing else F.cross_entropy


def _mse_one_hot(output_BK: Tensor, y_B: Tensor) -> Tensor:
    """Return the mean squared error over all B*K entries, as `torch.nn.MSELoss` does."""
    return F.mse_loss(output_BK, F.one_hot(y_B, output_BK.shape[1]).to(output_BK.dtype))


def split_output(output: object) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Split the output of a network into (logits_BK, auxiliary logits)."""
    if isinstance(output, tuple):
        logits, auxiliary = output
        return logits, tuple(auxiliary)
    if not isinstance(output, Tensor):
        raise TypeError(f"a network returned {type(output).__name__}, not logits")
    return output, ()


def compute_loss(loss: Loss, output: object, y_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return (scalar loss including the auxiliary classifiers, logits_BK)."""
    logits, auxiliary = split_output(output)
    total = loss(logits, y_B)
    for extra in auxiliary:
        total = total + AUXILIARY_WEIGHT * loss(extra, y_B)
    return total, logits
