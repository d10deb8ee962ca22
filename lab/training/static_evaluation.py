"""Repeated evaluation of one data set: a function with static tensors computes chunk after chunk.

So a CUDA graph can replay it, as with steps (`lab.training.static_step`): a counter on the device selects the images of
a chunk and the position of its logits. The smaller chunk at the end is launched.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lab.devices import is_out_of_memory
from lab.training.device_rows import write_row
from lab.training.evaluation import Evaluation, Forward, summarise
from lab.training.events import Notice
from lab.training.losses import Loss
from lab.training.recordings import Recording, first_cause, first_line

# Limit for the largest feature map of a recorded chunk, whose memory is held while the run trains. Larger chunks keep a
# GPU busy for longer than their launches take.
MAX_RECORDED_BYTES = 512 * 10**6
# Evaluations of a set that are launched before one is recorded. A capture empties torch's memory cache and takes as
# long as a few launched evaluations (not measured on a GPU), so short runs do without.
LAUNCHED_FIRST = 8


class StaticChunks:
    """The full chunks of `chunk` images each of a data set; each `run` computes one."""

    def __init__(self, forward: Forward, x_u8: Tensor, chunk: int, classes: int) -> None:
        self._forward, self._x = forward, x_u8
        count, device = len(x_u8) // chunk, x_u8.device
        self.chunk, self.count = chunk, count
        self._places_SC = torch.arange(count * chunk, device=device).view(count, chunk)
        self._next = torch.zeros(1, dtype=torch.int64, device=device)
        self._logits_SCK = torch.zeros(count, chunk, classes, device=device)

    def logits(self) -> Tensor:
        """Return logits_NK of all chunks, float32 on the device. The next evaluation overwrites them."""
        return self._logits_SCK.flatten(0, 1)

    def begin(self) -> None:
        """Go back to the first chunk."""
        self._next.zero_()

    def run(self) -> None:
        """Compute the logits of the next chunk."""
        here = self._next
        part = self._places_SC.index_select(0, here).view(-1)
        logits_CK = self._forward.logits(self._x.index_select(0, part))
        write_row(self._logits_SCK, here, logits_CK)
        here.add_(1)


class RepeatedEvaluation:
    """Evaluates one data set of a run: first launched, which finds the chunk that fits, then by replaying a recording.

    launched_first: number of launched evaluations. new_recording: returns an empty recording, or None if the run's
    steps are not recorded either. If recording fails, evaluations are launched from then on, and a notice gives the
    reason.
    """

    def __init__(
        self,
        name: str,
        forward: Forward,
        x_u8: Tensor,
        y: Tensor,
        loss: Loss,
        new_recording: Callable[[], Recording | None],
        *,
        launched_first: int = LAUNCHED_FIRST,
    ) -> None:
        self._name, self._forward, self._x, self._y, self._loss = name, forward, x_u8, y, loss
        self._new_recording = new_recording
        self._recording: Recording | None = None
        self._chunks: StaticChunks | None = None
        self._to_launch, self._classes = launched_first, 0
        self._most: float = math.inf  # largest chunk that is recorded, in images; 0 after recording failed
        self.notices: list[Notice] = []

    def evaluate(self, chunk: int, *, limit: int | None = None, before_chunk: Callable[[], None]) -> Evaluation:
        """Evaluate in chunks of `chunk` images, 0 to choose by device; see `lab.training.evaluation.evaluate`.

        limit: evaluate only the first images, launched.
        """
        x_u8, y = self._x[:limit], self._y[:limit]
        chunk = self._forward.resolve_chunk(chunk, x_u8.shape[1:], x_u8.device)
        parts: list[Tensor] = []
        if limit is None and self._to_launch <= 0 and self._classes and self._prepare(min(chunk, len(x_u8))):
            parts = [self._replay(before_chunk)]
        rest, chunk = self._forward.chunks(x_u8[sum(map(len, parts)) :], chunk, before_chunk=before_chunk)
        result = summarise([*parts, *rest], y, self._loss, chunk)
        if limit is None:
            self._to_launch, self._classes = self._to_launch - 1, result.logits.shape[1]
        return result

    def _prepare(self, chunk: int) -> bool:
        """Record a chunk of this size unless it is already recorded; return whether there is a recording."""
        same = self._chunks is not None and self._chunks.chunk == chunk
        if same and self._recording is not None and self._recording.ready:
            return True
        self._forget()
        recording = None if chunk > self._most else self._new_recording()
        if recording is None or self._is_large(chunk):
            return False
        self._recording, self._chunks = recording, StaticChunks(self._forward, self._x, chunk, self._classes)
        try:
            self._record(self._recording, self._chunks)
            return True
        except RuntimeError as error:
            self._refuse(first_cause(error))
        self._forget()  # outside the handler: the traceback holds the failed attempt's tensors
        return False

    def _forget(self) -> None:
        if self._recording is not None:
            self._recording.free()
        self._recording = self._chunks = None

    def _refuse(self, cause: RuntimeError) -> None:
        self._most = 0
        why = "memory ran out" if is_out_of_memory(cause) else first_line(cause)
        text = f"Evaluations on the {self._name} images are launched, because they could not be captured ({why})."
        self.notices.append(Notice("evaluation-launched", text))

    def _is_large(self, chunk: int) -> bool:
        if math.isinf(self._most):
            self._most = MAX_RECORDED_BYTES // self._forward.map_bytes(self._x.shape[1:])
        return chunk > self._most

    def _record(self, recording: Recording, chunks: StaticChunks) -> None:
        def warm_up() -> None:
            chunks.begin()
            chunks.run()
            chunks.begin()

        with self._forward.ready(self._x.device, cache=False):
            recording.record(warm_up, chunks.run, warm_ups=1)  # the launched evaluations have warmed up already

    def _replay(self, before_chunk: Callable[[], None]) -> Tensor:
        assert self._chunks is not None
        assert self._recording is not None
        self._chunks.begin()
        with self._forward.ready(self._x.device, cache=False):
            for _ in range(self._chunks.count):
                before_chunk()
                self._recording.replay()
        return self._chunks.logits()
