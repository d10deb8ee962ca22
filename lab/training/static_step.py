"""One update with static tensors, so that a CUDA graph can replay it: `StaticStep.run` is what is captured.

The order and learning rates of an epoch are uploaded once. A counter on the device selects the next batch; the step
reads its indices, labels and rate on the device, writes loss and predictions there, and increments the counter. It
neither synchronises nor reads a tensor's value, and it uses nothing specific to a GPU, so tests run it on a CPU.

A step of a small network is a hundred kernels of 2 to 3 µs on a GPU, and each kernel here adds to them. Therefore
results are written in place, and predictions are compared with the labels only when they are read.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from lab.training.batches import Batches
from lab.training.generators import Generators
from lab.training.step_buffer import StepResults
from lab.training.stepping import Stepper


class StaticStep:
    """The updates of an epoch, one per `run`. rate: the tensor that the stepper's optimizer uses as learning rate."""

    def __init__(self, batches: Batches, stepper: Stepper, rate: Tensor, generator: torch.Generator) -> None:
        self._batches, self._stepper, self._rate, self._generator = batches, stepper, rate, generator
        steps, size, device = batches.steps_per_epoch, batches.batch_size, batches.device
        # Image indices and labels of each batch.
        self._plan_2SB = torch.empty(2, steps, size, dtype=torch.int64, device=device)
        self._rates_S = torch.zeros(steps, dtype=rate.dtype, device=device)
        self._batches_S = torch.arange(steps, device=device)
        self._next = torch.zeros(1, dtype=torch.int64, device=device)
        self._loss_S = torch.zeros(steps, device=device)
        self._predicted_SB = torch.zeros(steps, size, dtype=torch.int64, device=device)
        self.norm = torch.zeros((), device=device)
        self._plan(torch.arange(steps * size, device=device) % batches.images)  # valid indices for the warm-up steps

    def _plan(self, places: Tensor) -> None:
        """Set the image indices of the epoch's batches. places: on the device, at most as many as fit."""
        for plan_SB, values in zip(self._plan_2SB, (places, self._batches.labels(places))):
            plan_SB.view(-1)[: len(values)].copy_(values)

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Upload an epoch's order and the learning rates of its batches from `first` on, and go to batch `first`."""
        self._plan(order.to(self._batches.device))
        self._rates_S[first : first + len(rates)].copy_(torch.from_numpy(rates))
        self.seek(first)

    def seek(self, batch: int) -> None:
        """Make this batch of the epoch the next one."""
        self._next.fill_(batch)

    def run(self, images: int, *, measure_norm: bool = False, retry: bool = True) -> None:
        """Update on the next batch. images: its size. retry: whether to retry in smaller parts if memory runs out."""
        here = self._next
        torch.index_select(self._rates_S, 0, here, out=self._rate.view(1))
        part, y_B = self._plan_2SB.index_select(1, here)[:, 0, :images]
        x_BCHW = self._batches.images_at(part, self._generator)
        update = self._stepper.step if retry else self._stepper.attempt
        loss, logits_BK = update(x_BCHW, y_B, measure_norm=measure_norm)
        # Not by index: with deterministic algorithms, torch may synchronise to check an index.
        mine = self._batches_S == here
        torch.where(mine, loss.to(torch.float32), self._loss_S, out=self._loss_S)
        predicted = self._predicted_SB[:, :images]
        torch.where(mine[:, None], logits_BK.argmax(1), predicted, out=predicted)
        if self._stepper.measures(measure_norm) and self._stepper.grad_norm is not None:
            self.norm.copy_(self._stepper.grad_norm)
        here.add_(1)

    def read(self, first: int, end: int) -> StepResults:
        """Return the results of the epoch's batches from `first` up to `end`; waits for the device."""
        images = np.array([self._batches.size_of(batch) for batch in range(first, end)], dtype=np.int64)
        right_nB = self._predicted_SB[first:end] == self._plan_2SB[1, first:end]
        right_nB[-1, images[-1] :] = False  # beyond the end of a smaller batch
        loss = self._loss_S[first:end].cpu().double().numpy()
        return StepResults(loss, right_nB.sum(1).cpu().numpy(), images)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `run` changes, other than those of the network and the optimizer."""
        return {
            "next": self._next,
            "rate": self._rate,
            "loss": self._loss_S,
            "predicted": self._predicted_SB,
            "norm": self.norm,
        }


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
