"""Batch norm and dropout that give the same results as on one device if each process computes a share of the batch.

Batch norm computes its statistics over all images of the batch, and every rank draws the dropout mask of all of them.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lab.training.kernels import QuickDropout, is_nhwc
from lab.training.team import Team


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all ranks. Every rank's loss depends on it, so its gradient is summed over the ranks."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _sum(x: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(x)
    return total


class _SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm with statistics over the images of all ranks; torch's `SyncBatchNorm` works only on GPUs."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept every shape: the original class already checked it when the network was built."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, …); in eval mode as torch does."""
        if not self.training:
            return super().forward(input)
        dims = [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        count = input.numel() // input.shape[1]
        x = input.float()
        sums = _sum(torch.cat([x.sum(dims), x.new_full((1,), float(count))]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centred = x - mean.view(shape)
        variance = _sum(centred.square().sum(dims)) / total
        self._update_averages(mean.detach(), variance.detach(), total)
        scaled = centred * torch.rsqrt(variance + self.eps).view(shape)
        normalised = scaled * self.weight.view(shape) + self.bias.view(shape) if self.affine else scaled
        return normalised.to(input.dtype)

    @torch.no_grad()
    def _update_averages(self, mean: Tensor, variance: Tensor, total: Tensor) -> None:
        """Update the running averages as torch does, with the unbiased variance."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        rate = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_((variance * (total / (total - 1).clamp(min=1.0))).to(self.running_var.dtype), rate)


def synchronise_batch_norm(network: nn.Module) -> None:
    """Make every batch norm of a network compute its statistics over all ranks; tensor names do not change."""
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = _SyncedBatchNorm


class _SharedDropout(nn.Module):
    """Dropout that draws the mask of the whole batch on every rank and uses the rows of this rank's images."""

    team: Team

    def forward(self, input: Tensor) -> Tensor:
        """Apply dropout in training; return the input in eval mode."""
        if not self.training:
            return input
        ones = input.new_ones(self.team.images, *input.shape[1:])
        if is_nhwc(input):  # the mask is drawn in the memory order of the input
            ones = ones.contiguous(memory_format=torch.channels_last)
        mask: Tensor = super().forward(ones)
        return input * mask[self.team.share(self.team.images)]


class _SharedPlainDropout(_SharedDropout, nn.Dropout):
    pass


class _SharedQuickDropout(_SharedDropout, QuickDropout):
    pass


class _SharedChannelDropout(_SharedDropout, nn.Dropout2d):
    pass


_SHARED: Mapping[type, type] = {
    nn.Dropout: _SharedPlainDropout,
    QuickDropout: _SharedQuickDropout,
    nn.Dropout2d: _SharedChannelDropout,
}


def share_dropout(view: nn.Module, team: Team) -> None:
    """Make every dropout of a view draw for the whole batch, so that random numbers equal those of one device."""
    for module in view.modules():
        if type(module) in _SHARED:
            module.__class__ = _SHARED[type(module)]
            module.team = team  # type: ignore[assignment]
