"""The messages between the ranks of a run, with two threads as ranks: the steps equal those of one device."""

import copy
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.config import RunConfig
from lab.training import parallel, whole_batch
from lab.training.checkpoint import Checkpoint
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Ended, Snapshot, StepMetrics
from lab.training.parallel import ParallelSteps, follow
from lab.training.step_choice import StepKind, StepsBuilder
from lab.training.team import Team
from tests.training.training_nets import SmallNet

CPU = torch.device("cpu")
LIMIT_S = 60.0  # a rank that waits for a message fails after this time
CONFIG = RunConfig(
    optimizer="sgd", lr=0.05, schedule="cosine", batch_size=32, epochs=2, grad_clip=1.0, device="cpu", devices=2
)


class Ranks:
    """A fake `torch.distributed` of threads that exchange tensors as processes do. commands: those of rank 0."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size, timeout=LIMIT_S)
        self._held: list[Any] = [None] * size
        self._own = threading.local()
        self.commands: list[list[int]] = []

    def enter(self, rank: int) -> None:
        """Make this thread a rank."""
        self._own.rank = rank

    def _exchange(self, mine: Any) -> list[Any]:
        self._held[self._own.rank] = copy.deepcopy(mine)
        self._barrier.wait()
        every = copy.deepcopy(self._held)
        self._barrier.wait()
        return every

    def broadcast(self, tensor: Tensor, *, src: int, group: object) -> None:
        every = self._exchange(tensor)
        tensor.copy_(every[src])
        if self._own.rank == src:
            self.commands.append(tensor.tolist())

    def broadcast_object_list(self, objects: list[Any], *, src: int, group: object) -> None:
        objects[:] = self._exchange(objects)[src]

    def all_reduce(self, tensor: Tensor) -> None:
        tensor.copy_(torch.stack(self._exchange(tensor)).sum(0))


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> Ranks:
    fake = Ranks(2)
    monkeypatch.setattr(parallel, "dist", fake)
    monkeypatch.setattr(whole_batch, "dist", fake)
    return fake


def _network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return SmallNet(dropout=0.0)  # both threads would draw from the same generator


def _train(
    network: nn.Module, data: ResidentData, steps: StepKind | StepsBuilder, **more: Any
) -> tuple[Ended, list[float], Checkpoint]:
    """Train, and return the last event, the losses and the newest checkpoint."""
    losses: list[float] = []
    ended, saved = None, None
    for event in train(CONFIG, network=network, data=data, device=CPU, steps=steps, **more):
        match event:
            case StepMetrics():
                losses += event.loss.tolist()
            case Snapshot(kind="checkpoint"):
                saved = copy.deepcopy(event.state())
            case Ended():
                ended = event
    assert ended is not None
    assert isinstance(saved, Checkpoint)
    return ended, losses, saved


def _together(
    ranks: Ranks, network: nn.Module, data: ResidentData, **more: Any
) -> tuple[Ended, list[float], Checkpoint, nn.Module]:
    """Train on two ranks, the second with other initial weights; return the result of rank 0 and the second network."""
    built: list[ParallelSteps] = []

    def build(*arguments: Any) -> ParallelSteps:
        built.append(ParallelSteps(Team(0, 2, None), *arguments))
        return built[-1]

    second, failed = _network(99), list[BaseException]()

    def follower() -> None:
        ranks.enter(1)
        try:
            follow(CONFIG, network=second, data=data, device=CPU, team=Team(1, 2, None))
        except BaseException as error:
            failed.append(error)

    other = threading.Thread(target=follower, daemon=True)
    other.start()
    ranks.enter(0)
    found = _train(network, data, build, **more)
    built[0].end()
    other.join(LIMIT_S)
    assert not other.is_alive()
    assert not failed
    return (*found, second)


def test_two_ranks_take_the_steps_of_one_device_and_end_with_equal_weights(ranks: Ranks, data: ResidentData) -> None:
    single, network = _network(1), _network(1)
    _, losses, _ = _train(single, data, StepKind.LAUNCHED)
    ended, found, _, second = _together(ranks, network, data)
    assert (ended.outcome, ended.step) == ("finished", 6)
    assert found == pytest.approx(losses, rel=1e-3)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, single.state_dict()[name], rtol=1e-3, atol=1e-4)
        assert torch.equal(tensor, second.state_dict()[name]), name
    begin, step, measured, end = [0, 0], [1, 0], [1, 1], [2, 0]
    assert ranks.commands == [begin, step, step, measured, begin, step, step, measured, end]


def test_ranks_that_resume_have_the_state_of_the_checkpoint(ranks: Ranks, data: ResidentData) -> None:
    uninterrupted, network = _network(1), _network(1)
    _, losses, _, _ = _together(ranks, uninterrupted, data)
    paused, first, saved, _ = _together(ranks, network, data, pause_epoch=1)
    assert (paused.outcome, paused.step, paused.planned) == ("paused", 3, True)
    resumed = _network(5)
    ended, rest, _, second = _together(ranks, resumed, data, resume=saved)
    assert (ended.outcome, ended.step) == ("finished", 6)
    assert first + rest == losses
    for name, tensor in uninterrupted.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
        assert torch.equal(tensor, second.state_dict()[name]), name
