"""A recording for tests: it launches the step anew as `Repeat` does, and refuses what no CUDA graph could hold.

A graph cannot wait for the device, and reads and writes the places it was captured with.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lab.training.recordings import WARM_UPS, Repeat
from lab.training.static_evaluation import StaticChunks
from lab.training.steps import CapturedSteps

# Operators whose result, or whose result's shape, the host reads off a GPU.
WAITING = (
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "unique",
    "_unique2",
    "unique_consecutive",
    "unique_dim",
    "bincount",
    "repeat_interleave",
    "_assert_async",
)


class RefusingToWait(TorchDispatchMode):
    """Raises where an operator would wait for a GPU, and where one takes its numbers from the host."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").partition(".")[0]
        if name in WAITING or (name in ("index", "index_put", "index_put_") and any(is_mask(i) for i in args[1])):
            raise RuntimeError(f"{func.name()} waits for the device")
        if name in ("lift_fresh", "scalar_tensor", "_pin_memory"):
            raise RuntimeError(f"{func.name()} takes numbers from the host")
        return func(*args, **(kwargs or {}))


def is_mask(index: object) -> bool:
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)


class Watched(Repeat):
    """Refuses a step that waits, and one whose tensors are no longer where they were when it was recorded.

    waiting: allow it to wait.
    """

    def __init__(self, *, waiting: bool = False) -> None:
        super().__init__()
        self._mode = contextlib.nullcontext if waiting else RefusingToWait
        self.replays = 0
        self._places: dict[str, int] = {}
        self._tensors: Callable[[], Mapping[str, Tensor]] = dict

    def dependent(self) -> "Watched":
        self._dependents.append(other := Watched())
        return other

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        def watched() -> None:
            with self._mode():
                step()

        super().record(warm_up, watched, warm_ups=warm_ups)
        self._tensors = tensors_of(step.__self__)  # type: ignore[attr-defined]  # a step is a method
        self._places = self._now()

    def _now(self) -> dict[str, int]:
        return {name: tensor.data_ptr() for name, tensor in self._tensors().items()}

    def replay(self) -> None:
        assert self._now() == self._places
        super().replay()
        assert self._now() == self._places
        self.replays += 1


def tensors_of(owner: object) -> Callable[[], Mapping[str, Tensor]]:
    """Return what finds the tensors that outlive a step and that it reads or writes."""
    if isinstance(owner, CapturedSteps):
        step, state = owner._step, owner._state
        uploaded = {"plan": step._plan_2SB, "rates": step._rates_S, "batches": step._batches_S}
        return lambda: {**state(), **step.tensors(), **uploaded}
    assert isinstance(owner, StaticChunks)
    chunks = {name: value for name, value in vars(owner).items() if isinstance(value, Tensor)}
    parameters = dict(owner._forward.network.state_dict())
    return lambda: {**chunks, **parameters}
