"""One update: forward, backward, clip, step. The batch is split into parts if it does not fit into memory.

Only forward and backward are retried, because they change no weight. They may have changed batch norm's averages and
the random generators before memory ran out. Those are not restored, because a copy of both before every step would slow
down every run; the notice reports this.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lab.config import RunConfig
from lab.devices import is_out_of_memory, release_memory, without_trials
from lab.errors import TrainingError
from lab.training.events import Notice
from lab.training.losses import Loss, compute_loss
from lab.training.optimizers import Optimizer

MAX_PARTS = 4  # a batch is halved at most twice


def autocast_dtype(config: RunConfig) -> torch.dtype | None:
    """Return the dtype of the forward pass, None for float32."""
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]


class Stepper:
    """Updates a network (a view of it), halving batches when memory runs out, at most twice.

    `grad_norm` is the 2-norm over all gradients of the latest measured step, before clipping, on the device.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Any],
        loss: Loss,
        optimizer: Optimizer,
        config: RunConfig,
        device: torch.device,
    ):
        self.optimizer = optimizer
        self.parts = 1
        self.grad_norm: Tensor | None = None
        self.notices: list[Notice] = []
        # Frees memory that the steps hold and returns True, or returns False if they hold none.
        self.make_room: Callable[[], bool] = lambda: False
        self._network, self._loss = network, loss
        self._clip = config.grad_clip
        self._usual_size = config.batch_size
        self._dtype = autocast_dtype(config)
        self._device = device
        scaled = self._dtype is torch.float16 and device.type in ("cpu", "cuda")
        self.scaler = torch.amp.GradScaler(device.type) if scaled else None

    def step(self, x_BCHW: Tensor, y_B: Tensor, *, measure_norm: bool = False) -> tuple[Tensor, Tensor]:
        """Update on one batch and return (loss, logits_BK), detached. Raises `TrainingError` if memory is too small."""
        is_usual = len(y_B) == self._usual_size  # an epoch has at most one other
        with contextlib.nullcontext() if is_usual else without_trials(self._device):
            loss, logits = self._differentiate(x_BCHW, y_B)
        try:
            self._update(measure_norm)
        except RuntimeError as error:  # never retried: part of the weights may have been updated
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                "The device ran out of memory in the optimizer's step, whose memory does not depend on the batch size: "
                "choose SGD without momentum, a smaller network or another device."
            ) from error
        return loss, logits

    def attempt(self, x_BCHW: Tensor, y_B: Tensor, *, measure_norm: bool = False) -> tuple[Tensor, Tensor]:
        """Update as `step` does, but without retrying in smaller parts, so that it can be captured."""
        self.optimizer.zero_grad()
        loss, logits = self._forward_backward(x_BCHW, y_B)
        self._update(measure_norm)
        return loss, logits

    def halve(self, images: int, error: RuntimeError) -> None:
        """Double the number of parts for batches of this size. Raises `TrainingError` if that is not possible."""
        used = self._count_parts(images)
        self.parts *= 2
        if self.parts > MAX_PARTS or self._count_parts(images) == used:
            tried = f", even in {used} parts" if used > 1 else ""
            raise TrainingError(
                f"The device ran out of memory on batches of {images} images{tried}: "
                "choose a smaller batch, a smaller input size or a smaller network."
            ) from error
        self.notices.append(
            Notice(
                "out-of-memory",
                f"The device ran out of memory: every batch of {images} images is now computed in {self.parts} parts, "
                "whose gradients are summed. Batch norm and dropout see the smaller parts. The effect of the failed "
                "attempt on batch norm's averages and on the random numbers is not undone.",
            )
        )

    def _differentiate(self, x_BCHW: Tensor, y_B: Tensor) -> tuple[Tensor, Tensor]:
        """Run forward and backward. If memory runs out, free held memory or split the batch, and retry."""
        self.optimizer.zero_grad()
        while True:
            try:
                return self._forward_backward(x_BCHW, y_B)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if not self.make_room():
                    self.halve(len(y_B), error)
            self.optimizer.zero_grad()
            release_memory(self._device)  # outside the handler: the traceback holds the failed attempt's tensors

    def _forward_backward(self, x_BCHW: Tensor, y_B: Tensor) -> tuple[Tensor, Tensor]:
        parts = self._count_parts(len(y_B))
        return self._backward(x_BCHW, y_B) if parts == 1 else self._accumulate(x_BCHW, y_B, parts)

    def _count_parts(self, images: int) -> int:
        """Return the number of parts; each has at least two images, because batch norm cannot be trained on one."""
        return min(self.parts, max(1, images // 2))

    def measures(self, measure_norm: bool) -> bool:
        """Return whether a step measures its gradient norm: on request, and always if it is clipped."""
        return measure_norm or self._clip > 0

    def _update(self, measure_norm: bool) -> None:
        if self.scaler:
            self._scaled_step(measure_norm)
            return
        if self.measures(measure_norm):
            self._measure()
        for part in self.optimizer.parts:
            part.step()

    def _backward(self, x_BCHW: Tensor, y_B: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor]:
        if self._dtype is None:
            loss, logits = compute_loss(self._loss, self._network(x_BCHW), y_B)
        else:
            # Each weight is used once per step, so caching converted weights saves nothing, and captured steps must
            # not.
            with torch.autocast(self._device.type, self._dtype, cache_enabled=False):
                loss, logits = compute_loss(self._loss, self._network(x_BCHW), y_B)
        target = loss if share == 1.0 else loss * share
        torch.autograd.backward(self.scaler.scale(target) if self.scaler else target)
        return loss.detach(), logits.detach()

    def _accumulate(self, x_BCHW: Tensor, y_B: Tensor, parts: int) -> tuple[Tensor, Tensor]:
        """Sum the gradients of the parts, each weighted by its number of images."""
        losses, logits = [], []
        for x, y in zip(torch.tensor_split(x_BCHW, parts), torch.tensor_split(y_B, parts)):
            share = len(y) / len(y_B)
            part_loss, part_logits = self._backward(x, y, share)
            losses.append(part_loss * share)
            logits.append(part_logits)
        return torch.stack(losses).sum(), torch.cat(logits)

    def _scaled_step(self, measure_norm: bool) -> None:
        assert self.scaler is not None
        if self.measures(measure_norm):
            for part in self.optimizer.parts:
                self.scaler.unscale_(part)
            self._measure()
        for part in self.optimizer.parts:
            self.scaler.step(part)
        self.scaler.update()

    def _measure(self) -> None:
        with_gradient = [p for p in self.optimizer.parameters if p.grad is not None]
        self.grad_norm = nn.utils.get_total_norm([p.grad for p in with_gradient if p.grad is not None])
        if self._clip:
            nn.utils.clip_grads_with_norm_(with_gradient, self._clip, self.grad_norm)
