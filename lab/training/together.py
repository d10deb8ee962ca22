"""Several runs in one process, taking steps in turn: a small network leaves most of a GPU idle.

Each run gives the same bits as alone. The engine saves and restores torch's generators and its clock around every
event, and process settings apply from the start of the first run to the end of the last. On a GPU each run has its own
stream and its own state of torch's generator, because concurrent replays of graphs would read the same state on the
device. The seconds of all runs add up to the elapsed time; `memory_mb` is that of all runs together.

The worker trains one run at a time: this has not been measured on a GPU yet (`benchmarks.gpu`, section `together`).
"""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from lab.config import RunConfig
from lab.errors import TrainingError
from lab.training.checkpoint import Checkpoint
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Command, Event, Turn
from lab.training.recordings import borrow_stream
from lab.training.session import process_settings
from lab.training.step_choice import StepKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to be trained together with others: the arguments of `train`."""

    config: RunConfig
    network: nn.Module
    data: ResidentData
    command: Callable[[], Command] = lambda: Command.RUN
    resume: Checkpoint | None = None
    steps: StepKind = StepKind.AUTO


def train_together(jobs: Sequence[Job], *, device: torch.device) -> Generator[tuple[int, Event], None, None]:
    """Train all networks in place and yield the events of each in order, with the job's number.

    If a run pauses or ends, the others continue. An error in one ends all. Raises `TrainingError` if the runs differ in
    `deterministic`, which applies to a whole process.
    """
    if len({job.config.deterministic for job in jobs}) > 1:
        raise TrainingError("Runs that share a process must agree on deterministic: choose one value for all.")
    with contextlib.ExitStack() as stack:
        if jobs:
            stack.enter_context(process_settings(jobs[0].config, device))
        lanes = [_CudaLane(device) if device.type == "cuda" else _Lane() for _ in jobs]
        runs = [stack.enter_context(contextlib.closing(_start(job, device))) for job in jobs]
        active = list(range(len(jobs)))
        while active:
            for number in tuple(active):
                if not (yield from _take_turn(number, runs[number], lanes[number])):
                    active.remove(number)


def _take_turn(number: int, run: Iterator[Event], lane: "_Lane") -> Generator[tuple[int, Event], None, bool]:
    """Yield the events of a run up to its next turn; return False if the run has ended."""
    while True:
        with lane.inside():
            event = next(run, None)
        if event is None or isinstance(event, Turn):
            return event is not None
        lane.settle()
        yield number, event
        lane.resume()


def _start(job: Job, device: torch.device) -> Generator[Event, None, None]:
    return train(
        job.config,
        network=job.network,
        data=job.data,
        device=device,
        command=job.command,
        resume=job.resume,
        steps=job.steps,
        turns=True,
    )


class _Lane:
    """The execution context of a run; on a CPU there is nothing to separate."""

    def inside(self) -> AbstractContextManager[None]:
        """Return the context in which the run takes its turn."""
        return contextlib.nullcontext()

    def settle(self) -> None:
        """Make the run's results visible to event handlers."""

    def resume(self) -> None:
        """Let what event handlers have launched, such as copies of the weights, come before the run's next step."""


class _CudaLane(_Lane):
    """A stream, and a state of torch's generator for this device, which graphs read from device memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = borrow_stream(device, self)
        self.resume()  # the data may still be in transfer
        self._generator = torch.cuda.default_generators[self._stream.device_index]
        self._own = self._generator.clone_state()

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Launch on the run's stream and draw from its generator state."""
        before = self._generator.graphsafe_get_state()
        self._generator.graphsafe_set_state(self._own)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            self._own = self._generator.graphsafe_get_state()  # a failed capture replaces the state
            self._generator.graphsafe_set_state(before)

    def settle(self) -> None:
        """Make the stream on which events are handled wait for this one."""
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def resume(self) -> None:
        """Make this stream wait for the one on which events are handled."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
