"""Drop-in replacements of layers for training on a CPU, several times faster at the sizes of these networks.

Measured on one thread at batch 64: torch's dropout draws one Bernoulli number at a time (590,000 values forward and
backward: 7.2 ms, here 2.2), its bilinear resize works pixel by pixel (28 to 32 pixels: 0.47 ms, here 0.06). For other
devices and shapes torch's layers are called. Tried and slower: 2×2 max-pooling by comparing strided halves (forward 1.0
to 0.2 ms at 6 channels, but the backward pass loses all of that).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_LEVELS = 2**16  # dropout probabilities are rounded to 1/65,536


def to_channels_last(x_BCHW: Tensor) -> Tensor:
    """Return the images in NHWC memory, with strides that cannot be interpreted as NCHW.

    With one channel both layouts hold the same bytes. Torch would interpret the strides as NCHW, and all following
    layers would use that layout.
    """
    batch, channels, height, width = x_BCHW.shape
    if channels == 1 and x_BCHW.is_contiguous():
        return x_BCHW.as_strided((batch, 1, height, width), (height * width, 1, width, 1))
    return x_BCHW.contiguous(memory_format=torch.channels_last)


def is_nhwc(x: Tensor) -> bool:
    """Return whether a tensor holds images in NHWC memory whose strides cannot be interpreted as NCHW."""
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


class QuickDropout(nn.Dropout):
    """`nn.Dropout` whose mask comes from 16-bit pieces of 64-bit random numbers; reproducible by torch's seed."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply dropout if training on a CPU; the mask has the memory layout of the input."""
        dropped = round(self.p * _LEVELS)
        if not self.training or input.device.type != "cpu" or not 0 < dropped < _LEVELS:
            return super().forward(input)
        numbers = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        pieces = numbers.view(torch.int16)[: input.numel()]
        mask = torch.empty(input.numel(), dtype=input.dtype)
        torch.ge(pieces, dropped - _LEVELS // 2, out=mask)
        mask.mul_(_LEVELS / (_LEVELS - dropped))
        dense = input if input.is_contiguous() else input.contiguous(memory_format=torch.channels_last)
        return dense * mask.as_strided(dense.shape, dense.stride())


class QuickResize(nn.Module):
    """Bilinear upsampling as two small matrix products; other cases are left to torch."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._weights: dict[int, Tensor] = {}

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return (B, C, size, size)."""
        side = x_BCHW.shape[-1]
        if x_BCHW.shape[-2:] == (self.size, self.size):
            return x_BCHW
        quick = x_BCHW.device.type == "cpu" and x_BCHW.shape[1] == 1 and x_BCHW.shape[-2] == side < self.size
        if not quick or torch.is_autocast_enabled("cpu"):
            size, shrinks = (self.size, self.size), side > self.size
            return F.interpolate(x_BCHW, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
        matrix = self._matrix(side)
        return to_channels_last(torch.matmul(matrix, x_BCHW.contiguous()) @ matrix.T)

    def _matrix(self, side: int) -> Tensor:
        """Return (size, side): row i has the weights of output pixel i, obtained by resizing unit pixels with torch."""
        if side not in self._weights:
            unit = torch.eye(side)[:, None, None, :]  # (side, 1, 1, side)
            rows = F.interpolate(unit, size=(1, self.size), mode="bilinear", align_corners=False)
            self._weights[side] = rows[:, 0, 0].T.contiguous()
        return self._weights[side]


class RepeatablePool(nn.AdaptiveAvgPool2d):
    """`nn.AdaptiveAvgPool2d` with deterministic gradients on a GPU, for which torch has no implementation."""

    def __init__(self, output_size: Any) -> None:
        super().__init__(output_size)
        self._averages: dict[tuple[int, int, torch.device], Tensor] = {}

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages (B, C, H', W'). Torch's layer is deterministic only for averages over the whole image."""
        if not (input.is_cuda and torch.are_deterministic_algorithms_enabled()) or self.output_size in (1, (1, 1)):
            return super().forward(input)
        return self.by_products(input)

    def by_products(self, input: Tensor) -> Tensor:
        """Return the averages (B, C, H', W'), computed as two matrix products; a side of one pixel is repeated."""
        size = self.output_size
        tall, wide = (size, size) if not isinstance(size, tuple) else size
        height, width = input.shape[-2:]
        tall, wide = tall or height, wide or width
        x = input.expand(-1, -1, tall, -1) if height == 1 else self._matrix(height, tall, input.device) @ input
        x = x.expand(-1, -1, -1, wide) if width == 1 else x @ self._matrix(width, wide, input.device).T
        return x.to(input.dtype)

    def _matrix(self, side: int, parts: int, device: torch.device) -> Tensor:
        """Return (parts, side): row i averages the pixels from ⌊i · side / parts⌋ up to ⌈(i + 1) · side / parts⌉."""
        key = side, parts, device
        if key not in self._averages:
            with torch.inference_mode(False):  # created in an evaluation, it must be usable in training
                places, part = torch.arange(side), torch.arange(parts)[:, None]
                inside = (places >= part * side // parts) & (places < -(-(part + 1) * side // parts))
                self._averages[key] = (inside / inside.sum(1, keepdim=True)).to(device)
        return self._averages[key]


class QuickFlatten(nn.Flatten):
    """`nn.Flatten` whose gradient has the memory layout of the flattened images.

    Torch's layer passes an NCHW gradient to layers whose tensors are NHWC, each of which then processes two layouts at
    once (the ReLU after the pool of `pytorch-example`: 1.5 ms, here 0.2).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return (B, C·H·W); other flattenings and NCHW images are left to torch."""
        if not is_nhwc(input) or (self.start_dim, self.end_dim) != (1, -1):
            return super().forward(input)
        flat: Tensor = _FlattenNHWC.apply(input)
        return flat


class _FlattenNHWC(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor) -> Tensor:
        ctx.shape = x_BCHW.shape
        return x_BCHW.flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.reshape(ctx.shape).contiguous(memory_format=torch.channels_last)
