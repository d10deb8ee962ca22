"""One update: forward, backward, clip, step. In parts if the whole batch does not fit into memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lab.config import RunConfig
from lab.errors import TrainingError
from lab.training.events import Notice
from lab.training.losses import Loss, compute_loss
from lab.training.optimizers import Optimizer

MOST_PARTS = 4  # a batch is halved at most twice


def autocast_dtype(config: RunConfig) -> torch.dtype | None:
    """Return the number format of the forward pass, None for float32."""
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an allocation failed: CUDA and MPS have a type of their own or a phrase, the CPU only a phrase."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


class Stepper:
    """Takes updates on a network (a view of it) and survives running out of memory twice.

    `grad_norm` is the 2-norm over all gradients of the newest step that asked for it, before clipping, on the device.
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
        self._network, self._loss = network, loss
        self._clip = config.grad_clip
        self._dtype = autocast_dtype(config)
        self._device = device
        scaled = self._dtype is torch.float16 and device.type in ("cpu", "cuda")
        self.scaler = torch.amp.GradScaler(device.type) if scaled else None

    def step(self, x_BCHW: Tensor, y_B: Tensor, *, want_norm: bool = False) -> tuple[Tensor, Tensor]:
        """Update on one batch and return (loss, logits_BK), detached; raises `TrainingError` when memory is too small."""
        while True:
            try:
                return self._update(x_BCHW, y_B, want_norm)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(len(y_B), error)
            except ValueError as error:
                if len(y_B) > 1:
                    raise
                raise TrainingError(
                    f"The last batch of an epoch has one image, which this network cannot train on ({error}): choose "
                    "a batch size that does not leave one over."
                ) from error
            self._recover()  # outside the handler: the traceback holds the failed step's tensors

    def _update(self, x_BCHW: Tensor, y_B: Tensor, want_norm: bool) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad()
        loss, logits = self._backward(x_BCHW, y_B) if self.parts == 1 else self._accumulate(x_BCHW, y_B)
        if self.scaler:
            self._scaled_step(want_norm)
            return loss, logits
        if self._clip or want_norm:
            self._measure()
        for part in self.optimizer.parts:
            part.step()
        return loss, logits

    def _backward(self, x_BCHW: Tensor, y_B: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor]:
        if self._dtype is None:
            loss, logits = compute_loss(self._loss, self._network(x_BCHW), y_B)
        else:
            with torch.autocast(self._device.type, self._dtype):
                loss, logits = compute_loss(self._loss, self._network(x_BCHW), y_B)
        target = loss if share == 1.0 else loss * share
        torch.autograd.backward(self.scaler.scale(target) if self.scaler else target)
        return loss.detach(), logits.detach()

    def _accumulate(self, x_BCHW: Tensor, y_B: Tensor) -> tuple[Tensor, Tensor]:
        """Add up the gradients of parts; each weighs as many images as it has."""
        size = -(-len(y_B) // self.parts)
        losses, logits = [], []
        for x, y in zip(torch.split(x_BCHW, size), torch.split(y_B, size)):
            share = len(y) / len(y_B)
            part_loss, part_logits = self._backward(x, y, share)
            losses.append(part_loss * share)
            logits.append(part_logits)
        return torch.stack(losses).sum(), torch.cat(logits)

    def _scaled_step(self, want_norm: bool) -> None:
        assert self.scaler is not None
        if self._clip or want_norm:
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

    def _halve(self, batch: int, error: RuntimeError) -> None:
        if self.parts >= MOST_PARTS or batch <= self.parts:
            raise TrainingError(
                f"The device ran out of memory on batches of {batch} images, even in {self.parts} parts: "
                "choose a smaller batch, a smaller input size or a smaller network."
            ) from error
        self.parts *= 2
        self.notices.append(
            Notice(
                "out-of-memory",
                f"The device ran out of memory: every batch of {batch} images is now computed in {self.parts} parts "
                "whose gradients are added up. Batch norm and dropout see the smaller parts.",
            )
        )

    def _recover(self) -> None:
        self.optimizer.zero_grad()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
