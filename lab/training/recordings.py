"""Repeating the same step, either as a CUDA graph or by launching it again.

Capturing follows torch's notes on CUDA semantics ("CUDA Graphs"): warm-up and capture on a side stream, replay on the
current stream. The graph owns its memory, including gradients, until `free`.
"""

import contextlib
import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from lab.devices import release_memory

WARM_UPS = 3  # as in torch's notes: cuDNN chooses algorithms, optimizers create their states, torch.compile compiles
AHEAD = 16  # replays between synchronisations: the host is at most twice as far ahead, so a pause takes effect soon


class Recording(Protocol):
    """One step that can be repeated. how: its name in a run's environment."""

    how: str

    @property
    def ready(self) -> bool:
        """Whether a step is recorded."""
        ...

    def dependent(self) -> "Recording":
        """Return an empty recording that shares this one's memory and is freed with it; the two never run at once.

        Its step must not draw random numbers.
        """
        ...

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        """Take warm-up steps, then record one. Errors of the steps propagate; nothing is recorded then."""
        ...

    def replay(self) -> None:
        """Take the recorded step."""
        ...

    def free(self) -> None:
        """Free the memory of the recorded step."""
        ...


class Repeat:
    """Launches the step again each time, on any device: the reference for a captured step."""

    how = "repeated"

    def __init__(self) -> None:
        self._step: Callable[[], None] | None = None
        self._dependents: list[Repeat] = []

    @property
    def ready(self) -> bool:
        """Whether a step is recorded."""
        return self._step is not None

    def dependent(self) -> "Repeat":
        """Return another one, which is freed with this one."""
        self._dependents.append(Repeat())
        return self._dependents[-1]

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        """Take warm-up steps, take the step once, as a capture does, and store it."""
        for _ in range(warm_ups):
            warm_up()
        step()
        self._step = step

    def replay(self) -> None:
        """Take the step."""
        assert self._step is not None
        self._step()

    def free(self) -> None:
        """Drop the step."""
        self._step = None
        for other in self._dependents:
            other.free()
        self._dependents.clear()


class CudaGraph:
    """The step as one CUDA graph. generator: used in addition to torch's. owner: the graph whose memory it shares."""

    how = "captured"

    def __init__(
        self, device: torch.device, generator: torch.Generator | None = None, *, owner: "CudaGraph | None" = None
    ) -> None:
        self._device, self._generator = device, generator
        self._owner = weakref.ref(owner) if owner else None  # weak, because the owner refers to this one
        self._dependents: list[CudaGraph] = []
        # The owner's stream, because memory is shared only within a stream.
        self._stream: torch.cuda.Stream = owner._stream if owner else borrow_stream(device, self)
        self._mark = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # untyped in torch
        self._graph: torch.cuda.CUDAGraph | None = None
        self._replays = 0

    @property
    def ready(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def dependent(self) -> "CudaGraph":
        """Return another one that shares this one's memory pool: each may overwrite the other's temporary tensors."""
        self._dependents.append(CudaGraph(self._device, owner=self))
        return self._dependents[-1]

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        """Warm up and capture. The last warm-up step must not synchronise, because a graph cannot contain that."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream), _expected_warnings():
            for _ in range(warm_ups - 1):
                warm_up()
            with _sync_forbidden():
                warm_up()
            self._graph = self._capture(step)
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def _capture(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        if self._generator is not None:
            graph.register_generator_state(self._generator)
        # The id of a pool is valid only while a graph uses the pool, so it is not stored.
        owner = self._owner() if self._owner else None
        pool = owner._graph.pool() if owner and owner._graph else torch.cuda.graph_pool_handle()
        # Calls of other threads, such as those of a library, must not fail the capture.
        mode = "thread_local"
        try:
            with (
                _gc_disabled(),
                self._generators(),
                torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode=mode),
            ):
                step()
        except BaseException:  # also a signal's, such as the timer's of `benchmarks.gpu`
            self._leave(graph, pool)
            raise
        return graph

    @contextlib.contextmanager
    def _generators(self) -> Iterator[None]:
        """Leave generator states that can be drawn from, also after a failed capture, which torch 2.11 prevents.

        The owner's graph draws from its states, so they are exchanged for the capture of a graph that draws nothing.
        """
        default = torch.cuda.default_generators[self._stream.device_index]
        owned = self._owner is not None
        before = default.graphsafe_get_state()
        if owned:
            default.graphsafe_set_state(default.clone_state())
        try:
            yield
        except BaseException:
            for generator in (default, self._generator):
                if generator is not None:
                    generator.graphsafe_set_state(generator.clone_state())
            raise
        finally:
            if owned:
                default.graphsafe_set_state(before)

    def _leave(self, graph: torch.cuda.CUDAGraph, pool: Any) -> None:
        """End a failed capture's use of a memory pool, if destroying the graph does not.

        Until then, torch does not free cached blocks for an allocation that does not fit (pytorch#180395), and the pool
        is held until the process ends (pytorch#190348). A pool that is released twice would end the process.
        """
        if torch.__version__ >= "2.14" or _has_ended(graph):
            return
        for leave in (torch._C._cuda_endAllocateToPool, torch._C._cuda_releasePool):
            with contextlib.suppress(RuntimeError):  # torch 2.13 has done the first; neither if the capture never began
                leave(self._stream.device_index, pool)

    def replay(self) -> None:
        """Replay the graph; every `AHEAD` replays, wait for the device to catch up."""
        assert self._graph is not None
        self._graph.replay()
        self._replays += 1
        if self._replays % AHEAD == 0:
            self._mark.synchronize()
            self._mark.record(torch.cuda.current_stream(self._device))

    def free(self) -> None:
        """Delete the graph with its pool; waits for the device."""
        torch.cuda.synchronize(self._device)
        self._graph = None
        for other in self._dependents:
            other._graph = None
        self._dependents.clear()
        release_memory(self._device)


def _has_ended(graph: torch.cuda.CUDAGraph) -> bool:
    """Return whether the capture ended regularly, as it does after an error that is not CUDA's."""
    try:
        graph.pool()
    except RuntimeError:
        return False
    return True


_idle_streams: dict[int, list[torch.cuda.Stream]] = {}  # by index of the device


def borrow_stream(device: torch.device, holder: object) -> torch.cuda.Stream:
    """Return a stream that is reserved for the holder until it is garbage-collected.

    cuBLAS allocates a workspace for every stream (at least 32 MiB, for both of autograd's threads), which is held until
    the process ends and which graphs keep using, and torch's allocator caches memory by stream. So consecutive runs
    reuse streams. Concurrent runs never share one, which torch's pool of 32 streams, handed out in turn, does not
    guarantee.
    """
    index = torch.cuda.current_device() if device.index is None else device.index
    idle = _idle_streams.setdefault(index, [])
    stream = idle.pop() if idle else torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # untyped in torch
    weakref.finalize(holder, idle.append, stream)
    return stream


@contextlib.contextmanager
def _expected_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*capturable=True")  # some steps are deliberately outside the graph
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        warnings.filterwarnings(
            "ignore", message=".*register_generator_state"
        )  # newer versions of torch find generators by themselves
        yield


@contextlib.contextmanager
def _gc_disabled() -> Iterator[None]:
    """Disable garbage collection, so that no graph or event of a reference cycle is destroyed during a capture."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _sync_forbidden() -> Iterator[None]:
    """Make torch raise an error if the host waits for the device, which a graph cannot contain."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def first_cause(error: RuntimeError) -> RuntimeError:
    """Return the error of the step: ending a failed capture raises another error, with the first as its context."""
    return error.__context__ if isinstance(error.__context__, RuntimeError) else error


def first_line(error: RuntimeError) -> str:
    """Return the message of a torch error without the advice in the lines after it."""
    return str(error).partition("\n")[0]
