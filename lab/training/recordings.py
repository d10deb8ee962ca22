"""Taking the same step again: as a CUDA graph, or by launching it anew.

Capturing follows torch's notes on CUDA semantics ("CUDA Graphs"): warm-up on a side stream, capture there, replay where
everything else runs. The graph owns its memory, gradients included, until `free`.
"""

import contextlib
import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Protocol

import torch

from lab.devices import release_memory

WARM_UPS = 3  # torch's notes; cuDNN chooses its algorithms, optimizers make their states, torch.compile compiles
AHEAD = 16  # replays between two looks at the device: the host runs at most twice as far ahead, so a pause comes soon


class Recording(Protocol):
    """One step that can be taken again and again. how: the word for it in a run's environment."""

    how: str

    @property
    def ready(self) -> bool:
        """Whether a step is recorded."""
        ...

    def beside(self) -> "Recording":
        """Return an empty recording for what never runs at once with this one: it uses this one's memory and is freed with it."""
        ...

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        """Take warm-up steps, then record one. May raise whatever they raise; nothing is recorded then."""
        ...

    def replay(self) -> None:
        """Take the recorded step."""
        ...

    def free(self) -> None:
        """Give the memory of what was recorded back."""
        ...


class Repeat:
    """Launches the step anew each time, on any device: what a captured step is compared with."""

    how = "repeated"

    def __init__(self) -> None:
        self._step: Callable[[], None] | None = None
        self._beside: list[Repeat] = []

    @property
    def ready(self) -> bool:
        """Whether a step is remembered."""
        return self._step is not None

    def beside(self) -> "Repeat":
        """Return another one, which forgets its step when this one does."""
        self._beside.append(Repeat())
        return self._beside[-1]

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        """Take warm-up steps, go through the other once as a capture does, and remember it."""
        for _ in range(warm_ups):
            warm_up()
        step()
        self._step = step

    def replay(self) -> None:
        """Take the step."""
        assert self._step is not None
        self._step()

    def free(self) -> None:
        """Forget the step."""
        self._step = None
        for other in self._beside:
            other.free()
        self._beside.clear()


class CudaGraph:
    """The step as one CUDA graph, drawing from torch's own generator and the one given. owner: whose memory it uses."""

    how = "captured"

    def __init__(
        self, device: torch.device, generator: torch.Generator | None = None, *, owner: "CudaGraph | None" = None
    ) -> None:
        self._device, self._generator = device, generator
        self._owner = weakref.ref(owner) if owner else None  # which holds this one: no cycle that holds memory
        self._beside: list[CudaGraph] = []
        # Of the owner, because memory is shared within a stream only.
        self._stream: torch.cuda.Stream = owner._stream if owner else borrow_stream(device, self)
        self._mark = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch gives it no types
        self._graph: torch.cuda.CUDAGraph | None = None
        self._replays = 0

    @property
    def ready(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def beside(self) -> "CudaGraph":
        """Return another one that uses this one's pool: what one of them holds only while it runs, the other may overwrite."""
        self._beside.append(CudaGraph(self._device, owner=self))
        return self._beside[-1]

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        """Warm up and capture; the last warm-up step may not wait for the device, which no graph can hold."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream), _expected_warnings():
            for _ in range(warm_ups - 1):
                warm_up()
            with _refusing_to_wait():
                warm_up()
            self._graph = self._capture(step)
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def _capture(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        if self._generator is not None:
            graph.register_generator_state(self._generator)
        # A pool's id is good only while a graph uses it, so it is asked for each time.
        owner = self._owner() if self._owner else None
        pool = owner._graph.pool() if owner and owner._graph else None
        # Thread-local: what another thread asks of the device (a library's, say) is its own affair, and no error of the capture.
        mode = "thread_local"
        try:
            with (
                _collecting_no_garbage(),
                torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode=mode),
            ):
                step()
        except RuntimeError:
            self._renew_generators()
            raise
        return graph

    def _renew_generators(self) -> None:
        """Leave the states that a failed capture had: torch 2.11 draws no number from them any more, waiting for its end."""
        own = torch.cuda.default_generators[self._stream.device_index]
        for generator in (own, self._generator):
            if generator is not None:
                generator.graphsafe_set_state(generator.clone_state())

    def replay(self) -> None:
        """Replay; now and then wait until the device has caught up."""
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
        for other in self._beside:
            other._graph = None
        self._beside.clear()
        release_memory(self._device)


_idle_streams: dict[torch.device, list[torch.cuda.Stream]] = {}


def borrow_stream(device: torch.device, holder: object) -> torch.cuda.Stream:
    """Return a stream that nobody else has as long as the holder lives.

    cuBLAS has a workspace for every stream (32 MiB and more, of both of autograd's threads) that is held until the process ends and
    that a graph goes on using, and torch's allocator holds memory by stream. So runs one after the other use the same streams again, and
    what may run at once never shares one: torch itself gives the same 32 in turn.
    """
    idle = _idle_streams.setdefault(device, [])
    stream = idle.pop() if idle else torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch gives it no types
    weakref.finalize(holder, idle.append, stream)
    return stream


@contextlib.contextmanager
def _expected_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*capturable=True")  # steps outside the graph are meant
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        warnings.filterwarnings(
            "ignore", message=".*register_generator_state"
        )  # newer torch finds generators by itself
        yield


@contextlib.contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Let no dead graph or event of a reference cycle be destroyed in the middle of a capture."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _refusing_to_wait() -> Iterator[None]:
    """Let torch raise where the host waits for the device, which a graph cannot hold."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def first_cause(error: RuntimeError) -> RuntimeError:
    """Return the error of the step: ending a capture that failed raises another one, with the first as its context."""
    return error.__context__ if isinstance(error.__context__, RuntimeError) else error


def first_line(error: RuntimeError) -> str:
    """Return what an error of torch says without the advice that follows in further lines."""
    return str(error).partition("\n")[0]
