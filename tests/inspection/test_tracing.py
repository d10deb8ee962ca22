"""Tracing a network while other threads of the server run and trace other networks."""

import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lab.inspection.graph import trace_graph

_SHAPE = (1, 1, 4, 4)
_WAIT_S = 0.3  # long enough for a concurrent trace to begin, if nothing prevents it


class _Calls(nn.Module):
    """Calls a function in the middle of its forward pass, and so in the middle of its tracing."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call = [call]  # shared with copies
        self.layer = nn.Conv2d(1, 2, 3)

    def __deepcopy__(self, _memo: object) -> "_Calls":
        return self

    def forward(self, x: Tensor) -> Tensor:
        self.call[0]()
        return self.layer(x)


def _in_a_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_a_network_run_by_another_thread_during_tracing_is_correct_and_not_in_the_graph() -> None:
    other = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(4, 2))
    answers: list[Tensor] = []
    expected = other(torch.ones(_SHAPE)).detach()
    network = _Calls(lambda: _in_a_thread(lambda: answers.append(other(torch.ones(_SHAPE)).detach())).join())
    nodes = trace_graph(network, input_shape=_SHAPE)
    assert [node.name for node in nodes] == ["image", "layer"]
    assert answers
    assert all(torch.equal(answer, expected) for answer in answers)


def test_two_concurrent_traces_leave_nn_module_unchanged() -> None:
    before = (nn.Module.__call__, nn.Module.__getattr__)
    second_begins, first_ends = threading.Event(), threading.Event()

    def hold() -> None:
        second_begins.set()
        first_ends.wait(5)

    second = _Calls(hold)
    traces: list[threading.Thread] = []

    def begin_second() -> None:
        if not traces:
            traces.append(_in_a_thread(lambda: trace_graph(second, input_shape=_SHAPE)))
            second_begins.wait(_WAIT_S)

    nodes = trace_graph(_Calls(begin_second), input_shape=_SHAPE)
    first_ends.set()
    traces[0].join(10)
    try:
        assert not traces[0].is_alive()
        assert (nn.Module.__call__, nn.Module.__getattr__) == before
        assert [node.name for node in nodes] == ["image", "layer"]
    finally:
        nn.Module.__call__, nn.Module.__getattr__ = before  # type: ignore[method-assign]
