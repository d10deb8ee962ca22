"""The contract of `Steps`, which every way of taking steps has to fulfil."""

import math

import pytest
import torch

from lab.config import RunConfig
from lab.training.batches import Batches
from lab.training.data import ResidentData
from lab.training.losses import build_loss
from lab.training.optimizers import build_optimizer
from lab.training.stepping import Stepper
from lab.training.steps import LaunchedSteps, Steps
from tests.training.training_nets import LinearNet

CPU = torch.device("cpu")


def build_steps(network: LinearNet, data: ResidentData, **settings: object) -> Steps:
    config = RunConfig(**{"optimizer": "sgd", "momentum": 0.0, "lr": 0.0001, "batch_size": 32, **settings})
    batches = Batches(data.train_x, data.train_y, mean=data.mean, std=data.std, batch_size=config.batch_size)
    stepper = Stepper(network, build_loss(config), build_optimizer(config, network), config, CPU)
    return LaunchedSteps(batches, stepper)


def begin(steps: Steps, *, first: int = 0, images: int = 90) -> None:
    steps.begin(torch.arange(images), first=first, generator=torch.Generator())


def test_results_come_once_with_one_entry_a_step(data: ResidentData) -> None:
    """From zero weights the first loss is log 3 and class 0 is predicted; the last batch has the 26 images left."""
    steps = build_steps(LinearNet(), data)
    begin(steps)
    for _ in range(3):
        steps.step(measure_norm=False)
    loss, correct, images = steps.drain()
    assert loss[0] == pytest.approx(math.log(3), rel=1e-6)
    assert correct[0] == (data.train_y[:32] == 0).sum()
    assert images.tolist() == [32, 32, 26]
    begin(steps)
    steps.step(measure_norm=False)
    assert steps.drain().images.tolist() == [32]


def test_an_epoch_can_begin_in_the_middle(data: ResidentData) -> None:
    steps = build_steps(LinearNet(), data)
    begin(steps, first=2)
    steps.step(measure_norm=False)
    loss, correct, images = steps.drain()
    assert images.tolist() == [26]
    assert correct[0] == (data.train_y[64:] == 0).sum()
    assert loss[0] == pytest.approx(math.log(3), rel=1e-6)


def test_a_learning_rate_acts_from_the_next_step_on(data: ResidentData) -> None:
    network = LinearNet()
    steps = build_steps(network, data)
    steps.set_lr(0.0)
    begin(steps)
    steps.step(measure_norm=False)
    assert not network[1].weight.any()
    steps.set_lr(0.1)
    steps.step(measure_norm=False)
    assert network[1].weight.any()


def test_the_gradient_norm_is_measured_on_request_only(data: ResidentData) -> None:
    network = LinearNet()
    steps = build_steps(network, data, batch_size=90)
    begin(steps)
    assert steps.gradient_norm() is None
    x_BCHW = (data.train_x.float() / 255 - data.mean) / data.std
    loss = torch.nn.functional.cross_entropy(network(x_BCHW), data.train_y)
    expected = torch.nn.utils.get_total_norm(torch.autograd.grad(loss, list(network.parameters())))
    steps.step(measure_norm=True)
    assert steps.gradient_norm() == pytest.approx(expected.item(), rel=1e-5)


def test_the_scale_of_float16_goes_into_a_checkpoint_and_comes_back(data: ResidentData) -> None:
    steps = build_steps(LinearNet(), data, precision="float16")
    assert steps.state() == {"parts": 1, "scaler": {**steps.state()["scaler"], "scale": 65536.0}}
    steps.load_state({"parts": 2, "scaler": {**steps.state()["scaler"], "scale": 1024.0}})
    assert (steps.state()["parts"], steps.state()["scaler"]["scale"]) == (2, 1024.0)
    fresh = build_steps(LinearNet(), data)
    fresh.load_state({})
    assert fresh.state() == {"parts": 1, "scaler": {}}
