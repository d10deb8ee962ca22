"""A recording for tests: it launches the step again like `Repeat`, and refuses what no CUDA graph can contain.

A graph cannot wait for the device, and it reads and writes the addresses with which it was captured.
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

# Operators whose result, or the shape of it, the host reads from a GPU.
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
    """Raises an error if an operator would wait for a GPU or takes values from the host."""

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
    """Refuses a step that waits for the device, and one whose tensors have moved since it was recorded.

    waiting: whether the step may wait.
    """

    def __init__(self, *, waiting: bool = False) -> None:
        super().__init__()
        self._mode = contextlib.nullcontext if waiting else RefusingToWait
        self.replays = 0
        self._addresses: dict[str, int] = {}
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
        self._addresses = self._current_addresses()

    def _current_addresses(self) -> dict[str, int]:
        return {name: tensor.data_ptr() for name, tensor in self._tensors().items()}

    def replay(self) -> None:
        assert self._current_addresses() == self._addresses
        super().replay()
        assert self._current_addresses() == self._addresses
        self.replays += 1


def tensors_of(owner: object) -> Callable[[], Mapping[str, Tensor]]:
    """Return a function that finds the persistent tensors that a step reads or writes."""
    if isinstance(owner, CapturedSteps):
        step, state = owner._step, owner._state
        return lambda: {**state(), **step.tensors(), "plan": step._plan.rows_SR}
    assert isinstance(owner, StaticChunks)
    chunks = {name: value for name, value in vars(owner).items() if isinstance(value, Tensor)}
    parameters = dict(owner._forward.network.state_dict())
    return lambda: {**chunks, **parameters}
