"""How the loop takes steps: one interface, so that the loop does not know whether a step's kernels are launched one by one.

`LaunchedSteps` works on every device. An implementation that replays a captured graph gathers its batches inside the graph
and holds loss, correct predictions and learning rate in buffers on the device; the loop stays as it is.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from lab.training.batches import Batches
from lab.training.events import Notice
from lab.training.optimizers import Optimizer
from lab.training.step_buffer import StepBuffer, StepResults
from lab.training.stepping import Stepper


class Steps(Protocol):
    """Updates of one network on one data set, in the order that `begin` is given."""

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer, whose state is part of a checkpoint."""
        ...

    def begin(self, order: Tensor, *, first: int, generator: torch.Generator) -> None:
        """Go through the images in this order (int64, an epoch's) from batch `first` on; `generator` augments them."""
        ...

    def set_lr(self, lr: float) -> None:
        """Use this learning rate from the next step on."""
        ...

    def step(self, *, measure_norm: bool) -> None:
        """Update on the next batch; `measure_norm` also for the norm of its gradient. Raises `TrainingError`."""
        ...

    def drain(self) -> StepResults:
        """Return the results of the steps since the last time, at least one; waits for the device."""
        ...

    def gradient_norm(self) -> float | None:
        """Return the 2-norm of the newest gradient that was measured, before clipping; waits for the device."""
        ...

    def notices(self) -> list[Notice]:
        """Return what the user should read of the steps since the last time."""
        ...

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of the steps beside the optimizer, JSON-safe."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()`; what is absent is as it was at the start."""
        ...


class LaunchedSteps:
    """Steps whose kernels are launched one by one."""

    def __init__(self, batches: Batches, stepper: Stepper) -> None:
        self._batches, self._stepper = batches, stepper
        self._buffer = StepBuffer()
        self._epoch: Iterator[tuple[Tensor, Tensor]] = iter(())

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer, whose state is part of a checkpoint."""
        return self._stepper.optimizer

    def begin(self, order: Tensor, *, first: int, generator: torch.Generator) -> None:
        """Gather from batch `first` on; a batch is augmented only when its step is taken."""
        self._epoch = self._batches.iterate(order, first, generator)

    def set_lr(self, lr: float) -> None:
        """Use this learning rate from the next step on."""
        self._stepper.optimizer.set_lr(lr)

    def step(self, *, measure_norm: bool) -> None:
        """Update on the next batch."""
        x_BCHW, y_B = next(self._epoch)
        loss, logits_BK = self._stepper.step(x_BCHW, y_B, measure_norm=measure_norm)
        self._buffer.add(loss, logits_BK, y_B)

    def drain(self) -> StepResults:
        """Return the results since the last time; waits for the device."""
        return self._buffer.drain()

    def gradient_norm(self) -> float | None:
        """Return the newest norm that was measured; waits for the device."""
        norm = self._stepper.grad_norm
        return None if norm is None else float(norm)

    def notices(self) -> list[Notice]:
        """Return and forget what happened to the steps, such as a batch that was halved."""
        found, self._stepper.notices = self._stepper.notices, []
        return found

    def state(self) -> dict[str, Any]:
        """Return the number of parts of a batch and the gradient scaler's state."""
        scaler = self._stepper.scaler
        return {"parts": self._stepper.parts, "scaler": scaler.state_dict() if scaler else {}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the parts and the scale of a checkpoint."""
        self._stepper.parts = int(state.get("parts", 1))
        if self._stepper.scaler and state.get("scaler"):
            self._stepper.scaler.load_state_dict(state["scaler"])
