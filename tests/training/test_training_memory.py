"""Batches too small to be trained on: what is said before the first step."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.config import RunConfig
from lab.data.resident import ResidentData, load_resident
from lab.errors import TrainingError
from lab.seeding import derive_seed
from lab.training.engine import train
from lab.training.events import Event, StepMetrics
from lab.training.session import Session
from tests.training.training_nets import SmallNet, build_data

CPU = torch.device("cpu")


def config(**settings: object) -> RunConfig:
    return RunConfig(**{"batch_size": 16, "epochs": 2, "val_fraction": 0.2, **settings})


def run(network: nn.Module, data: ResidentData, settings: RunConfig) -> list[Event]:
    return list(train(settings, network=network, data=data, device=CPU))


@pytest.mark.parametrize(
    ("images", "batch", "message"),
    [
        (9, 4, r"last batch of an epoch \(9 images by 4\) has one image.*choose another batch size, such as 3\."),
        (9, 1, r"Every batch has one image.*choose another batch size, such as 3\."),
        (1, 4, "has one image.*raise train_limit or lower val_fraction"),
    ],
    ids=["one left over", "batches of one", "one in all"],
)
def test_a_batch_of_one_image_that_batch_norm_cannot_use_is_named_before_the_first_step(
    tmp_path: Path, images: int, batch: int, message: str
) -> None:
    settings = RunConfig(
        arch="speedrun-cnn", dataset="digits", train_limit=images, batch_size=batch, val_fraction=0.0, epochs=1
    )
    data = load_resident(settings, root=tmp_path, device=CPU)
    with pytest.raises(TrainingError, match=message):
        next(train(settings, network=build_network("speedrun-cnn"), data=data, device=CPU))


def test_a_run_that_ends_before_the_batch_of_one_image_is_not_refused(tmp_path: Path) -> None:
    settings = RunConfig(
        arch="speedrun-cnn", dataset="digits", train_limit=9, batch_size=4, val_fraction=0.0, epochs=1, max_steps=2
    )
    data = load_resident(settings, root=tmp_path, device=CPU)
    session = Session(settings, build_network("speedrun-cnn"), data, CPU)
    assert (session.total_steps, session.steps_per_epoch) == (2, 3)


def test_trying_a_batch_of_one_image_leaves_no_trace() -> None:
    data, network = build_data(train=33), SmallNet()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    Session(config(), network, data, CPU)
    drawn = torch.rand(3)
    torch.manual_seed(derive_seed(0, "training"))
    assert torch.equal(drawn, torch.rand(3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [e.step for e in run(network, data, config(epochs=1)) if isinstance(e, StepMetrics)][-1][-1] == 3
