"""Several runs in one process, a step of each in turn: a small network leaves most of a GPU idle.

Each run has the bits that it has alone. The engine puts torch's generators and its clock aside at every event, and process
settings hold from the first run's start to the last one's end. On a GPU each run has a stream of its own, and a state of
torch's generator of its own: graphs that are replayed at once would read the same place on the device. A run's seconds are
its share of the clock's, so those of all runs add up to the time that passed; `memory_mb` is that of all together.

The worker trains one run at a time: nothing was measured on a GPU yet (`benchmarks.gpu`, section `together`).
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
    """A run to be trained beside others: what `train` takes."""

    config: RunConfig
    network: nn.Module
    data: ResidentData
    command: Callable[[], Command] = lambda: Command.RUN
    resume: Checkpoint | None = None
    steps: StepKind = StepKind.AUTO


def train_together(jobs: Sequence[Job], *, device: torch.device) -> Generator[tuple[int, Event], None, None]:
    """Train all networks in place and yield the events of each, in its order, with the job's number.

    A run that is paused or ends leaves the others their turns. An error of one ends all. Raises `TrainingError` where
    they differ in `deterministic`, which holds for a process.
    """
    if len({job.config.deterministic for job in jobs}) > 1:
        raise TrainingError("Runs that share a process must agree on deterministic: choose one value for all.")
    with contextlib.ExitStack() as stack:
        if jobs:
            stack.enter_context(process_settings(jobs[0].config, device))
        lanes = [_CudaLane(device) if device.type == "cuda" else _Lane() for _ in jobs]
        runs = [stack.enter_context(contextlib.closing(_start(job, device))) for job in jobs]
        going = list(range(len(jobs)))
        while going:
            for number in tuple(going):
                if not (yield from _take_turn(number, runs[number], lanes[number])):
                    going.remove(number)


def _take_turn(number: int, run: Iterator[Event], lane: "_Lane") -> Generator[tuple[int, Event], None, bool]:
    """Yield the events of a run up to its next turn; return whether it has one."""
    while True:
        with lane.inside():
            event = next(run, None)
        if event is None or isinstance(event, Turn):
            return event is not None
        lane.settle()
        yield number, event


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
    """Where the code of a run is executed; on a CPU nothing has to be kept apart."""

    def inside(self) -> AbstractContextManager[None]:
        """Return what is entered before the run goes on, and left when it has had its turn."""
        return contextlib.nullcontext()

    def settle(self) -> None:
        """Let whoever handles an event see what the run computed."""


class _CudaLane(_Lane):
    """A stream, and a state of torch's own generator for this device, whose place on the device graphs read."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = borrow_stream(device, self)
        self._stream.wait_stream(torch.cuda.current_stream(device))  # the data may still be on its way
        self._generator = torch.cuda.default_generators[self._stream.device_index]
        self._own = self._generator.clone_state()

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Launch on the stream and draw from the state."""
        before = self._generator.graphsafe_get_state()
        self._generator.graphsafe_set_state(self._own)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            self._own = self._generator.graphsafe_get_state()  # another one after a capture that failed
            self._generator.graphsafe_set_state(before)

    def settle(self) -> None:
        """Let the stream on which events are handled wait for this one."""
        torch.cuda.current_stream(self._device).wait_stream(self._stream)
