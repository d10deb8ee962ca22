"""Recorded evaluation: on a CPU the function that a GPU captures is launched, and must give the same bits."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from lab.training import static_evaluation
from lab.training.data import ResidentData
from lab.training.evaluation import Evaluation, Forward
from lab.training.recordings import Repeat
from lab.training.static_evaluation import LAUNCHED_FIRST, RepeatedEvaluation
from tests.training.training_nets import LinearNet, SmallNet


class Counting(Repeat):
    """Counts recordings and replays."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = self.replayed = 0

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = 3) -> None:
        self.recorded += 1
        super().record(warm_up, step, warm_ups=warm_ups)

    def replay(self) -> None:
        self.replayed += 1
        super().replay()


def do_nothing() -> None:
    """Do nothing before a chunk: no pause was requested."""


def build(
    network: nn.Module, data: ResidentData, recording: Repeat | None, precision: torch.dtype | None = None
) -> RepeatedEvaluation:
    forward = Forward(network, data.mean, data.std, precision)
    objective = nn.functional.cross_entropy
    return RepeatedEvaluation("test", forward, data.test_x, data.test_y, objective, lambda: recording, launched_first=1)


def same(one: Evaluation, other: Evaluation) -> bool:
    return torch.equal(one.logits, other.logits) and (one.loss, one.accuracy) == (other.loss, other.accuracy)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
@pytest.mark.parametrize(("chunk", "whole"), [(10, 5), (12, 4), (50, 1), (250, 1)])
def test_replayed_chunks_give_the_launched_bits_whatever_the_weights(
    chunk: int, whole: int, precision: torch.dtype | None, data: ResidentData
) -> None:
    network, recording = SmallNet().train(), Counting()
    recorded, launched = build(network, data, recording, precision), build(network, data, None, precision)
    for evaluation in range(3):
        one, other = (kind.evaluate(chunk, before_chunk=do_nothing) for kind in (recorded, launched))
        assert same(one, other)
        assert one.chunk == other.chunk == chunk
        assert recording.replayed == evaluation * whole
        assert network.training
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5)
    assert recording.recorded == 1


def test_evaluations_of_the_first_images_are_launched_and_do_not_count_as_warm_up(data: ResidentData) -> None:
    recording = Counting()
    evaluation, launched = build(SmallNet(), data, recording), build(SmallNet(), data, None)
    for _ in range(2):
        assert len(evaluation.evaluate(0, limit=20, before_chunk=do_nothing).logits) == 20
    evaluation.evaluate(0, before_chunk=do_nothing)
    assert recording.recorded == 0
    evaluation.evaluate(0, before_chunk=do_nothing)
    assert recording.recorded == recording.replayed == 1
    assert len(evaluation.evaluate(0, limit=20, before_chunk=do_nothing).logits) == 20
    assert launched.evaluate(0, limit=20, before_chunk=do_nothing).chunk == 250


def test_the_first_evaluations_are_launched_because_recording_costs_as_much_as_some(data: ResidentData) -> None:
    recording = Counting()
    forward, objective = Forward(SmallNet(), data.mean, data.std), nn.functional.cross_entropy
    evaluation = RepeatedEvaluation("test", forward, data.test_x, data.test_y, objective, lambda: recording)
    for _ in range(LAUNCHED_FIRST):
        evaluation.evaluate(50, before_chunk=do_nothing)
    assert recording.recorded == 0
    for _ in range(2):
        evaluation.evaluate(50, before_chunk=do_nothing)
    assert (recording.recorded, recording.replayed) == (1, 2)


def test_an_interrupted_evaluation_starts_again_from_its_first_chunk(data: ResidentData) -> None:
    network = SmallNet()
    evaluation = build(network, data, Repeat())
    expected = evaluation.evaluate(10, before_chunk=do_nothing)
    chunks = iter([None, None])

    def interrupt() -> None:
        if next(chunks, StopIteration) is StopIteration:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluation.evaluate(10, before_chunk=interrupt)
    assert network.training
    assert same(evaluation.evaluate(10, before_chunk=do_nothing), expected)


def test_an_evaluation_freed_with_the_step_is_recorded_again(data: ResidentData) -> None:
    step = Repeat()
    network = SmallNet()
    forward = Forward(network, data.mean, data.std)
    evaluation = RepeatedEvaluation(
        "test", forward, data.test_x, data.test_y, nn.functional.cross_entropy, step.dependent, launched_first=1
    )
    expected = evaluation.evaluate(10, before_chunk=do_nothing)
    evaluation.evaluate(10, before_chunk=do_nothing)
    (first,) = step._dependents
    assert first.ready
    step.free()
    assert not first.ready
    assert same(evaluation.evaluate(10, before_chunk=do_nothing), expected)
    assert [other.ready for other in step._dependents] == [True]


class FailingNet(LinearNet):
    """Fails once in eval mode, like an operation that no graph can contain, or for lack of memory."""

    def __init__(self, message: str, *, after: int) -> None:
        super().__init__()
        self.message, self.after = message, after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.after -= x.device.type == "cpu"
        if self.after == 0:
            raise RuntimeError(self.message)
        return super().forward(x)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("operation not permitted when stream is capturing\nmore", "operation not permitted when stream is capturing"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", "memory ran out"),
    ],
)
def test_evaluations_that_cannot_be_recorded_are_launched_with_one_notice_of_the_reason(
    message: str, reason: str, data: ResidentData
) -> None:
    recording = Counting()
    evaluation = build(FailingNet(message, after=7), data, recording)
    found = [evaluation.evaluate(10, before_chunk=do_nothing) for _ in range(3)]
    assert same(found[0], found[1])
    assert same(found[0], found[2])
    assert recording.recorded == 1
    (notice,) = evaluation.notices
    assert notice.code == "evaluation-launched"
    expected = f"Evaluations on the test images are launched, because they could not be captured ({reason})."
    assert notice.message == expected


def test_chunks_that_need_much_memory_are_launched(data: ResidentData, monkeypatch: pytest.MonkeyPatch) -> None:
    """The convolution of the small network has 4 maps of 6x6 in float32."""
    monkeypatch.setattr(static_evaluation, "MAX_RECORDED_BYTES", 10 * 4 * 4 * 6 * 6)
    recording = Counting()
    evaluation = build(SmallNet(), data, recording)
    recorded = []
    for chunk in (10, 10, 11, 9):
        evaluation.evaluate(chunk, before_chunk=do_nothing)
        recorded.append(recording.recorded)
    assert recorded == [0, 1, 1, 2]
    assert evaluation.notices == []
