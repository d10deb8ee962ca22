"""Training on several devices, tested in one process: shares, batch norm, dropout and a team of one."""

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lab.config import RunConfig
from lab.errors import TrainingError
from lab.training.batches import Batches
from lab.training.data import ResidentData
from lab.training.generators import Generators
from lab.training.kernels import QuickDropout
from lab.training.parallel import ParallelSteps
from lab.training.step_choice import StepKind, build_steps
from lab.training.steps import Steps
from lab.training.team import Team, join_team, leave_team
from lab.training.whole_batch import share_dropout, synchronise_batch_norm
from tests.training.training_nets import LinearNet, SmallNet

CPU = torch.device("cpu")


@pytest.fixture
def team_of_one(tmp_path: Path) -> Iterator[Team]:
    """A team of one rank: sums over its members are its own values."""
    yield join_team(0, 1, tmp_path / "meeting", CPU)
    leave_team()


@pytest.mark.parametrize(
    ("images", "size", "shares"),
    [
        (8, 2, [(0, 4), (4, 8)]),
        (8, 3, [(0, 3), (3, 6), (6, 8)]),
        (7, 3, [(0, 3), (3, 5), (5, 7)]),
        (3, 3, [(0, 1), (1, 2), (2, 3)]),
        (5, 1, [(0, 5)]),
    ],
)
def test_shares_differ_by_at_most_one_image_the_larger_ones_first(
    images: int, size: int, shares: list[tuple[int, int]]
) -> None:
    found = [Team(rank, size, None).share(images) for rank in range(size)]
    assert [(share.start, share.stop) for share in found] == shares


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(3),
        nn.BatchNorm2d(3, momentum=None),
        nn.BatchNorm2d(3, affine=False, eps=0.1),
        nn.BatchNorm2d(3, track_running_stats=False),
    ],
    ids=["default", "cumulative average", "not affine", "no running averages"],
)
def test_batch_norm_on_one_device_equals_torchs(team_of_one: Team, norm: nn.BatchNorm2d) -> None:
    own, shared = copy.deepcopy(norm), copy.deepcopy(norm)
    synchronise_batch_norm(shared)
    assert type(shared) is not type(own)
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        x = 3 + 2 * torch.randn(5, 3, 4, 4, generator=generator)
        inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
        weight = torch.randn(x.shape, generator=generator)
        outputs = [module(images) for module, images in zip((own, shared), inputs)]
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-5, atol=1e-5)
        for output in outputs:
            torch.autograd.backward((output * weight).sum())
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shared.state_dict(), own.state_dict(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(shared.eval()(x), own.eval()(x), rtol=1e-5, atol=1e-5)


def test_batch_norm_of_vectors_equals_torchs(team_of_one: Team) -> None:
    own, shared = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    synchronise_batch_norm(shared)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(shared(x), own(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(shared.running_var, own.running_var)


@pytest.mark.parametrize("kind", [nn.Dropout, QuickDropout, nn.Dropout2d])
def test_every_rank_has_its_rows_of_the_dropout_mask_that_one_device_would_draw(kind: type[nn.Module]) -> None:
    x = torch.ones(7, 4, 3, 3)
    whole = kind(0.5)
    torch.manual_seed(3)
    expected = whole(x)
    assert 0 < (expected == 0).sum() < expected.numel()
    for rank in range(2):
        team = Team(rank, 2, None, images=7)
        shared = nn.Sequential(kind(0.5))
        share_dropout(shared, team)
        torch.manual_seed(3)
        assert torch.equal(shared(x[team.share(7)]), expected[team.share(7)])
        assert torch.equal(shared.eval()(x), x)


def _steps(team: Team | None, network: nn.Module, data: ResidentData, **settings: object) -> Steps:
    config = RunConfig(**{"optimizer": "sgd", "lr": 0.05, "batch_size": 32, "grad_clip": 1.0, **settings})
    batches = Batches(data.train_x, data.train_y, mean=data.mean, std=data.std, batch_size=config.batch_size)
    if team is None:
        return build_steps(config, network, network, batches, Generators(CPU), CPU, kind=StepKind.LAUNCHED)
    return ParallelSteps(team, config, network, network, batches, Generators(CPU), CPU)


def test_a_team_of_one_takes_the_steps_of_one_device(team_of_one: Team, data: ResidentData) -> None:
    network = SmallNet()
    seen = []
    for team in (None, team_of_one):
        copied = copy.deepcopy(network)
        steps = _steps(team, copied, data)
        torch.manual_seed(4)
        steps.prepare()
        for first in (0, 1):  # an epoch, and one that starts at its second batch
            steps.begin(torch.arange(90).flip(0), first=first, rates=np.array([0.05, 0.1, 0.02])[first:])
            for number in range(first, 3):
                steps.step(measure_norm=number == 2)
        norm = steps.gradient_norm()
        assert norm is not None
        seen.append((steps.drain(), norm, copied.state_dict()))
        assert steps.notices() == []
    (single, norm_single, weights_single), (many, norm_many, weights_many) = seen
    assert many.images.tolist() == single.images.tolist() == [32, 32, 26, 32, 26]
    assert many.correct.tolist() == single.correct.tolist()
    assert many.loss.tolist() == pytest.approx(single.loss.tolist(), rel=1e-4)
    assert norm_many == pytest.approx(norm_single, rel=1e-3)
    torch.testing.assert_close(weights_many, weights_single, rtol=1e-3, atol=1e-5)


def test_a_batch_with_fewer_images_than_devices_is_refused_before_the_first_step(data: ResidentData) -> None:
    """90 images by 44 leave a last batch of two."""
    with pytest.raises(TrainingError, match="The smallest batch has size 2, but there are 3 devices"):
        _steps(Team(0, 3, None), LinearNet(), data, batch_size=44)
    assert _steps(Team(0, 2, None), LinearNet(), data, batch_size=44).how == "launched, on 2 devices"
