"""One update with static tensors, so that a CUDA graph can replay it: `StaticStep.run` is what is captured.

The order and learning rates of an epoch are uploaded once. A counter on the device selects the next batch; the step
reads its indices, labels and rate on the device, writes loss and logits there, and increments the counter. It
neither synchronises nor reads a tensor's value, and it uses nothing specific to a GPU, so tests run it on a CPU.

Each kernel here makes the step of a small network 1 % slower, so predictions are computed only when they are read.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from lab.training.batches import Batches
from lab.training.device_rows import EpochPlan, write_row
from lab.training.generators import Generators
from lab.training.step_buffer import StepResults
from lab.training.stepping import Stepper


class StaticStep:
    """The updates of an epoch, one per `run`. plan: its rate is the learning rate that the stepper's optimizer reads."""

    def __init__(self, batches: Batches, stepper: Stepper, plan: EpochPlan, generator: torch.Generator) -> None:
        self._batches, self._stepper, self._plan, self._generator = batches, stepper, plan, generator
        steps, device = batches.steps_per_epoch, batches.device
        self._next = torch.zeros(1, dtype=torch.int64, device=device)
        self._loss_S = torch.zeros(steps, device=device)
        self._logits_SBK: Tensor | None = None  # until the first step: only the network knows its shape and dtype
        self.norm = torch.zeros((), device=device)
        self._set_order(torch.arange(batches.images, device=device))  # valid indices for the warm-up steps

    def _set_order(self, order: Tensor) -> None:
        self._plan.set_images(order, self._batches.labels(order))

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Upload an epoch's order and the learning rates of its batches from `first` on, and go to batch `first`."""
        self._set_order(order.to(self._batches.device))
        self._plan.set_rates(first, rates)
        self.seek(first)

    def seek(self, batch: int) -> None:
        """Make this batch of the epoch the next one."""
        self._next.fill_(batch)

    def run(self, images: int, *, measure_norm: bool = False, retry: bool = True) -> None:
        """Update on the next batch. images: its size. retry: whether to retry in smaller parts if memory runs out."""
        self._plan.go_to(self._next)
        y_B = self._plan.y_B[:images]
        x_BCHW = self._batches.images_at(self._plan.part_B[:images], self._generator)
        update = self._stepper.step if retry else self._stepper.attempt
        loss, logits_BK = update(x_BCHW, y_B, measure_norm=measure_norm)
        write_row(self._loss_S, self._next, loss.to(torch.float32))
        write_row(self._room_for(logits_BK)[:, :images], self._next, logits_BK)
        if self._stepper.measures(measure_norm) and self._stepper.grad_norm is not None:
            self.norm.copy_(self._stepper.grad_norm)
        self._next.add_(1)

    def _room_for(self, logits_BK: Tensor) -> Tensor:
        """Return logits_SBK of all batches."""
        if self._logits_SBK is None:
            self._logits_SBK = logits_BK.new_zeros(*self._plan.labels_SB.shape, logits_BK.shape[1])
        return self._logits_SBK

    def read(self, first: int, end: int) -> StepResults:
        """Return the results of the epoch's batches from `first` up to `end`; waits for the device."""
        images = np.array([self._batches.size_of(batch) for batch in range(first, end)], dtype=np.int64)
        assert self._logits_SBK is not None
        right_nB = self._logits_SBK[first:end].argmax(2) == self._plan.labels_SB[first:end]
        right_nB[-1, images[-1] :] = False  # beyond the end of a smaller batch
        loss = self._loss_S[first:end].cpu().double().numpy()
        return StepResults(loss, right_nB.sum(1).cpu().numpy(), images)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `run` changes, other than those of the network and the optimizer."""
        logits = {} if self._logits_SBK is None else {"logits": self._logits_SBK}
        return {"next": self._next, "loss": self._loss_S, "norm": self.norm, "row": self._plan.row_1R, **logits}


@contextlib.contextmanager
def preserving_state(tensors: Callable[[], Mapping[str, Tensor]], generators: Generators) -> Iterator[None]:
    """Restore tensors and generators afterwards; tensors that did not exist before, such as moments, are set to zero.

    Every optimizer here starts from zero: a first momentum buffer is the gradient, which equals momentum · 0 +
    gradient. The copies are stored on the host, because the device may be short of memory.
    """
    before = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors().items()}
    states = generators.read()
    try:
        yield
    finally:
        with torch.no_grad():
            for name, tensor in tensors().items():
                tensor.copy_(before[name]) if name in before else tensor.zero_()
        generators.write(states)
