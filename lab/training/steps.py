"""The interface through which the loop takes steps, independent of whether kernels are launched one by one or captured.

`LaunchedSteps` works on every device. `CapturedSteps` replays a recorded step, which gathers its batch and reads its
learning rate on the device.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lab.devices import is_out_of_memory
from lab.training.batches import Batches
from lab.training.device_rows import EpochPlan
from lab.training.events import Notice
from lab.training.generators import Generators
from lab.training.optimizers import Optimizer
from lab.training.recordings import Recording, first_cause, first_line
from lab.training.static_step import StaticStep, preserving_state
from lab.training.step_buffer import StepBuffer, StepResults
from lab.training.stepping import Stepper

_CAPTURED_AGAIN = (
    "The device's memory cannot hold a captured step and a launched one at once: the step is captured again in every "
    "epoch. The effect of the failed attempt on batch norm's averages and on the random numbers is not undone."
)


class Steps(Protocol):
    """The updates of one network on one data set, in the order passed to `begin`."""

    @property
    def how(self) -> str:
        """How the steps are taken: "captured", "launched", or "launched, because …"."""
        ...

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer, whose state is part of a checkpoint."""
        ...

    def prepare(self) -> None:
        """Prepare for taking steps, after a checkpoint was loaded. The state of the run is unchanged afterwards."""
        ...

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Start an epoch at batch `first`, with the images in this order (int64).

        rates: the learning rates (float64) of the batches from `first` on.
        """
        ...

    def step(self, *, measure_norm: bool) -> None:
        """Update on the next batch. measure_norm: also measure the norm of the gradient. Raises `TrainingError`."""
        ...

    def drain(self) -> StepResults:
        """Return the results of the steps since the last call, of which there must be one; waits for the device."""
        ...

    def gradient_norm(self) -> float | None:
        """Return the 2-norm of the latest measured gradient, before clipping, or None; waits for the device."""
        ...

    def notices(self) -> list[Notice]:
        """Return the notices to the user since the last call."""
        ...

    def new_recording(self) -> Recording | None:
        """Return an empty recording for work between steps, or None if the steps are launched."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the JSON-safe state of the steps for a checkpoint, without the optimizer's."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore a state from `state()`; missing keys keep their initial values."""
        ...


class _StepperSteps:
    """Base class of the steps: the stepper's optimizer, notices and state."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer, whose state is part of a checkpoint."""
        return self._stepper.optimizer

    def notices(self) -> list[Notice]:
        """Return and clear the notices, such as that batches were halved."""
        found, self._stepper.notices = self._stepper.notices, []
        return found

    def state(self) -> dict[str, Any]:
        """Return the number of parts per batch and the gradient scaler's state."""
        scaler = self._stepper.scaler
        return {"parts": self._stepper.parts, "scaler": scaler.state_dict() if scaler else {}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the number of parts and the scaler's state from a checkpoint."""
        self._stepper.parts = int(state.get("parts", 1))
        if self._stepper.scaler and state.get("scaler"):
            self._stepper.scaler.load_state_dict(state["scaler"])


class LaunchedSteps(_StepperSteps):
    """Steps whose kernels are launched one by one. reason: why the steps are not captured, "" to omit it."""

    def __init__(self, batches: Batches, stepper: Stepper, generator: torch.Generator, *, reason: str = "") -> None:
        super().__init__(stepper)
        self._batches, self._generator, self._reason = batches, generator, reason
        self._buffer = StepBuffer()
        self._epoch: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._rates: Iterator[float] = iter(())

    @property
    def how(self) -> str:
        """That the steps are launched, and why."""
        return launched(self._reason)

    def prepare(self) -> None:
        """Do nothing: launched steps need no preparation."""

    def new_recording(self) -> None:
        """Return None: launched steps are not recorded."""

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Start an epoch at batch `first`. A batch is augmented only when its step is taken."""
        self._epoch = self._batches.iterate(order, first, self._generator)
        self._rates = iter(rates.tolist())

    def step(self, *, measure_norm: bool) -> None:
        """Update on the next batch."""
        x_BCHW, y_B = next(self._epoch)
        self.optimizer.set_lr(next(self._rates))
        loss, logits_BK = self._stepper.step(x_BCHW, y_B, measure_norm=measure_norm)
        self._buffer.add(loss, logits_BK, y_B)

    def drain(self) -> StepResults:
        """Return the results since the last call; waits for the device."""
        return self._buffer.drain()

    def gradient_norm(self) -> float | None:
        """Return the latest measured norm, or None; waits for the device."""
        norm = self._stepper.grad_norm
        return None if norm is None else float(norm)


class CapturedSteps(_StepperSteps):
    """Steps that replay a recorded one. An epoch's last step is launched: it is smaller, or its gradient is measured.

    A recording holds the memory of a whole step. If that leaves too little for a launched step, the recording is freed
    before each launched step, and the step is recorded again when it is replayed next.

    plan: its rate is the optimizer's learning rate. state: returns the tensors of network and optimizer that a step may
    change. If recording fails, every step is
    launched.
    """

    def __init__(
        self,
        batches: Batches,
        stepper: Stepper,
        plan: EpochPlan,
        generators: Generators,
        recording: Recording,
        state: Callable[[], Mapping[str, Tensor]],
    ) -> None:
        super().__init__(stepper)
        self._batches, self._generators, self._recording, self._state = batches, generators, recording, state
        self._step = StaticStep(batches, stepper, plan, generators.augment)
        self._recorded_parts = 0  # parts of the batch in the recorded step; 0: nothing is recorded
        self._reason = ""
        self._tight = False  # whether memory cannot hold a recorded step and a launched one at once
        self._next = self._drained = 0  # batches of the epoch
        self._measured = False
        # Weak, because a reference cycle would delay freeing the memory of the run.
        make_room = weakref.WeakMethod(self._make_room)
        stepper.make_room = lambda: bool((method := make_room()) and method())

    @property
    def how(self) -> str:
        """Whether the steps are captured, and if not, why."""
        return launched(self._reason) if self._reason else self._recording.how

    def prepare(self) -> None:
        """Record a step. If memory runs out, the batch is split; after any other error steps are launched instead."""
        with preserving_state(lambda: {**self._state(), **self._step.tensors()}, self._generators):
            while not self._recorded_parts and not self._reason:
                self._record()

    def _record(self) -> None:
        try:
            self._recording.record(self._warm_up, self._attempt)
            self._recorded_parts = self._stepper.parts
            return
        except RuntimeError as error:
            self._handle_failure(first_cause(error))
        self._recording.free()  # outside the handler: the traceback holds the failed attempt's tensors

    def _handle_failure(self, cause: RuntimeError) -> None:
        if is_out_of_memory(cause):
            self._stepper.halve(self._batches.batch_size, cause)
        else:
            self._reason = f"it could not be captured ({first_line(cause)})"

    def _warm_up(self) -> None:
        self._step.seek(0)
        self._step.run(self._batches.batch_size)
        self._step.seek(0)

    def _attempt(self) -> None:
        self._step.run(self._batches.batch_size, retry=False)

    def new_recording(self) -> Recording | None:
        """Return an empty recording that shares the recorded step's memory, or None if no step is recorded."""
        return self._recording.dependent() if self._recorded_parts else None

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Upload the epoch's order and learning rates."""
        self._step.begin(order, first=first, rates=rates)
        self._next = self._drained = first

    def step(self, *, measure_norm: bool) -> None:
        """Replay the recorded step, or launch a step that differs from it."""
        images = self._batches.size_of(self._next)
        if images == self._batches.batch_size and not measure_norm and self._is_recorded():
            self._recording.replay()
        else:
            self._launch(images, measure_norm)
        self._measured = self._measured or self._stepper.measures(measure_norm)
        self._next += 1

    def _is_recorded(self) -> bool:
        """Return whether a step is recorded; record it again if it was freed. A notice reports if that fails."""
        if not self._recorded_parts and not self._reason:
            self.prepare()
            if self._reason:
                self._stepper.notices.append(Notice("steps-launched", f"From now on, steps are {self.how}."))
        return bool(self._recorded_parts)

    def _launch(self, images: int, measure_norm: bool) -> None:
        tight, parts = self._tight, self._stepper.parts
        if tight:
            self._forget()
        self._step.run(images, measure_norm=measure_norm)
        if self._stepper.parts != parts:  # the recorded parts are too large; smaller ones may fit next to a recording
            self._tight = False
            self._forget()
        elif self._tight and not tight:
            self._stepper.notices.append(Notice("recorded-anew", _CAPTURED_AGAIN))

    def _forget(self) -> None:
        if self._recorded_parts:
            self._recording.free()
            self._recorded_parts = 0

    def _make_room(self) -> bool:
        """Free the recorded step's memory for a launched step that ran out; return False if no step is recorded."""
        if not self._recorded_parts:
            return False
        self._forget()
        self._tight = True
        return True

    def drain(self) -> StepResults:
        """Return the results since the last call; waits for the device."""
        results = self._step.read(self._drained, self._next)
        self._drained = self._next
        return results

    def gradient_norm(self) -> float | None:
        """Return the latest measured norm, or None; waits for the device."""
        return float(self._step.norm) if self._measured else None


def launched(reason: str) -> str:
    """Return the description of launched steps, with the reason if there is one."""
    return f"launched, because {reason}" if reason else "launched"
