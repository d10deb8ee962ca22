"""How the loop takes steps: one interface, so that the loop does not know whether a step's kernels are launched one by one.

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
from lab.training.events import Notice
from lab.training.generators import Generators
from lab.training.optimizers import Optimizer
from lab.training.recordings import Recording, first_cause, first_line
from lab.training.static_step import StaticStep, leaving_no_trace
from lab.training.step_buffer import StepBuffer, StepResults
from lab.training.stepping import Stepper

_RECORDED_ANEW = (
    "The device's memory holds a captured step or a launched one, not both: the step is captured anew in every epoch. What "
    "the attempt that failed did to batch norm's averages and to the random numbers stays."
)


class Steps(Protocol):
    """Updates of one network on one data set, in the order that `begin` is given."""

    @property
    def how(self) -> str:
        """How the steps are taken: "captured", "launched", or "launched, because …"."""
        ...

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer, whose state is part of a checkpoint."""
        ...

    def prepare(self) -> None:
        """Get ready to take steps, after a checkpoint was loaded; all of the run's state is as it was afterwards."""
        ...

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Go through the images in this order (int64, an epoch's) from batch `first` on, each at its learning rate.

        rates: float64, one for each batch that will be taken.
        """
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

    def new_recording(self) -> Recording | None:
        """Return an empty recording for what is done between steps, None where the steps are launched."""
        ...

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of the steps beside the optimizer, JSON-safe."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()`; what is absent is as it was at the start."""
        ...


class _StepperSteps:
    """What all steps have in common: the stepper's optimizer, notices and state."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer, whose state is part of a checkpoint."""
        return self._stepper.optimizer

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


class LaunchedSteps(_StepperSteps):
    """Steps whose kernels are launched one by one. reason: why they are, where that is worth saying."""

    def __init__(self, batches: Batches, stepper: Stepper, generator: torch.Generator, *, reason: str = "") -> None:
        super().__init__(stepper)
        self._batches, self._generator, self._reason = batches, generator, reason
        self._buffer = StepBuffer()
        self._epoch: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._rates: Iterator[float] = iter(())

    @property
    def how(self) -> str:
        """Say that they are launched, and why."""
        return launched(self._reason)

    def prepare(self) -> None:
        """Do nothing: every step is as ready as the first."""

    def new_recording(self) -> None:
        """Return nothing: what is launched is not recorded."""

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Gather from batch `first` on; a batch is augmented only when its step is taken."""
        self._epoch = self._batches.iterate(order, first, self._generator)
        self._rates = iter(rates.tolist())

    def step(self, *, measure_norm: bool) -> None:
        """Update on the next batch."""
        x_BCHW, y_B = next(self._epoch)
        self.optimizer.set_lr(next(self._rates))
        loss, logits_BK = self._stepper.step(x_BCHW, y_B, measure_norm=measure_norm)
        self._buffer.add(loss, logits_BK, y_B)

    def drain(self) -> StepResults:
        """Return the results since the last time; waits for the device."""
        return self._buffer.drain()

    def gradient_norm(self) -> float | None:
        """Return the newest norm that was measured; waits for the device."""
        norm = self._stepper.grad_norm
        return None if norm is None else float(norm)


class CapturedSteps(_StepperSteps):
    """Steps that replay a recorded one. The epoch's last is launched: it is smaller, or its gradient is measured.

    A recording holds the memory of a whole step. Where that leaves too little for a launched one, it is given back before each of
    those, and the step is recorded anew when it is replayed next.

    state: the tensors of network and optimizer that a step may change. Where recording fails, every step is launched.
    """

    def __init__(
        self,
        batches: Batches,
        stepper: Stepper,
        rate: Tensor,
        generators: Generators,
        recording: Recording,
        state: Callable[[], Mapping[str, Tensor]],
    ) -> None:
        super().__init__(stepper)
        self._batches, self._generators, self._recording, self._state = batches, generators, recording, state
        self._step = StaticStep(batches, stepper, rate, generators.augment)
        self._recorded_parts = 0  # of the batch in the recorded step; 0: nothing is recorded
        self._reason = ""
        self._tight = False  # whether memory holds a recorded step or a launched one, not both
        self._next = self._drained = 0  # batches of the epoch
        self._measured = False
        make_room = weakref.WeakMethod(self._make_room)  # no cycle: a run's memory is free as soon as nobody has it
        stepper.make_room = lambda: bool((method := make_room()) and method())

    @property
    def how(self) -> str:
        """Say whether the steps are captured, and why not."""
        return launched(self._reason) if self._reason else self._recording.how

    def prepare(self) -> None:
        """Record a step. Memory that runs out halves the batch's parts; any other error means launching, and is the reason."""
        with leaving_no_trace(lambda: {**self._state(), **self._step.tensors()}, self._generators):
            while not self._recorded_parts and not self._reason:
                self._record()

    def _record(self) -> None:
        try:
            self._recording.record(self._warm_up, self._attempt)
            self._recorded_parts = self._stepper.parts
            return
        except RuntimeError as error:
            self._give_way(first_cause(error))
        self._recording.free()  # outside the handler: the traceback holds the failed attempt's tensors

    def _give_way(self, cause: RuntimeError) -> None:
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
        """Return one that uses the recorded step's memory."""
        return self._recording.beside() if self._recorded_parts else None

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Upload the epoch's order and learning rates."""
        self._step.begin(order, first=first, rates=rates)
        self._next = self._drained = first

    def step(self, *, measure_norm: bool) -> None:
        """Replay, or launch a step that is not like the recorded one."""
        images = self._batches.size_of(self._next)
        if images == self._batches.batch_size and not measure_norm and self._is_recorded():
            self._recording.replay()
        else:
            self._launch(images, measure_norm)
        self._measured = self._measured or self._stepper.measures(measure_norm)
        self._next += 1

    def _is_recorded(self) -> bool:
        """Record the step anew if the recording was given back; where that fails, a notice says that the run goes on launched."""
        if not self._recorded_parts and not self._reason:
            self.prepare()
            if self._reason:
                self._stepper.notices.append(Notice("steps-launched", f"From here on, steps are {self.how}."))
        return bool(self._recorded_parts)

    def _launch(self, images: int, measure_norm: bool) -> None:
        tight, parts = self._tight, self._stepper.parts
        if tight:
            self._forget()
        self._step.run(images, measure_norm=measure_norm)
        if self._stepper.parts != parts:  # smaller ones may fit beside a recording; no batch is that large any more
            self._tight = False
            self._forget()
        elif self._tight and not tight:
            self._stepper.notices.append(Notice("recorded-anew", _RECORDED_ANEW))

    def _forget(self) -> None:
        if self._recorded_parts:
            self._recording.free()
            self._recorded_parts = 0

    def _make_room(self) -> bool:
        """Give the recorded step's memory back to a launched one that found too little; False where nothing is recorded."""
        if not self._recorded_parts:
            return False
        self._forget()
        self._tight = True
        return True

    def drain(self) -> StepResults:
        """Return the results since the last time; waits for the device."""
        results = self._step.read(self._drained, self._next)
        self._drained = self._next
        return results

    def gradient_norm(self) -> float | None:
        """Return the newest norm that was measured; waits for the device."""
        return float(self._step.norm) if self._measured else None


def launched(reason: str) -> str:
    """Return how steps are taken that are not captured."""
    return f"launched, because {reason}" if reason else "launched"
