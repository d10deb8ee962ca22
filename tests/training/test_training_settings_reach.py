"""Every hyperparameter takes effect: steps with a closed form for each optimizer setting."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lab.config import RunConfig
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Evaluated, StepMetrics
from lab.training.losses import build_loss
from lab.training.optimizers import build_optimizer
from lab.training.stepping import Stepper
from tests.training.training_nets import LinearNet

CPU = torch.device("cpu")


def weights_after(gradients: list[float], **settings: object) -> list[float]:
    """Return the values of a weight that starts at 2, after each of these gradients."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 2.0)
    optimizer = build_optimizer(RunConfig(**settings), network)
    found = []
    for gradient in gradients:
        network.weight.grad = torch.tensor([[gradient]])
        for part in optimizer.parts:
            part.step()
        found.append(network.weight.item())
    return found


def expected_adam(gradients: list[float], *, lr: float, beta1: float, beta2: float, decay: float = 0.0) -> list[float]:
    """Return the same for Adam as in Kingma & Ba 2015, algorithm 1; decay: L2 penalty added to the gradient."""
    weight, first, second, found = 2.0, 0.0, 0.0, []
    for step, value in enumerate(gradients, 1):
        gradient = value + decay * weight
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        weight -= lr * (first / (1 - beta1**step)) / (math.sqrt(second / (1 - beta2**step)) + 1e-8)
        found.append(weight)
    return found


GRADIENTS = [3.0, -1.0, 0.5, 4.0]


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.5, 0.999), (0.9, 0.8), (0.0, 0.5)])
def test_both_betas_of_adam_act_as_in_the_paper(beta1: float, beta2: float) -> None:
    found = weights_after(GRADIENTS, optimizer="adam", lr=0.1, beta1=beta1, beta2=beta2)
    assert found == pytest.approx(expected_adam(GRADIENTS, lr=0.1, beta1=beta1, beta2=beta2), rel=1e-5)


def test_weight_decay_of_adam_is_part_of_the_gradient() -> None:
    found = weights_after(GRADIENTS, optimizer="adam", lr=0.1, weight_decay=0.3)
    assert found == pytest.approx(expected_adam(GRADIENTS, lr=0.1, beta1=0.9, beta2=0.999, decay=0.3), rel=1e-5)


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.3, 0.7)])
def test_adamw_decays_the_weight_and_then_takes_the_step_of_adam(beta1: float, beta2: float) -> None:
    weight, first, second, expected = 2.0, 0.0, 0.0, []
    for step, gradient in enumerate(GRADIENTS, 1):
        weight *= 1 - 0.1 * 0.4
        first, second = beta1 * first + (1 - beta1) * gradient, beta2 * second + (1 - beta2) * gradient**2
        weight -= 0.1 * (first / (1 - beta1**step)) / (math.sqrt(second / (1 - beta2**step)) + 1e-8)
        expected.append(weight)
    settings = {"optimizer": "adamw", "lr": 0.1, "beta1": beta1, "beta2": beta2, "weight_decay": 0.4}
    assert weights_after(GRADIENTS, **settings) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_rmsprop_with_momentum_and_decay_has_its_closed_form(momentum: float, decay: float) -> None:
    weight, square, speed, expected = 2.0, 0.0, 0.0, []
    for value in GRADIENTS:
        gradient = value + decay * weight
        square = 0.99 * square + 0.01 * gradient**2
        speed = momentum * speed + gradient / (math.sqrt(square) + 1e-8)
        weight -= 0.01 * speed
        expected.append(weight)
    found = weights_after(GRADIENTS, optimizer="rmsprop", lr=0.01, momentum=momentum, weight_decay=decay)
    assert found == pytest.approx(expected, rel=1e-5)


def test_momentum_of_sgd_is_not_dampened_over_many_steps() -> None:
    speed, weight, expected = 0.0, 2.0, []
    for gradient in GRADIENTS:
        speed = 0.7 * speed + gradient
        weight -= 0.05 * speed
        expected.append(weight)
    assert weights_after(GRADIENTS, optimizer="sgd", lr=0.05, momentum=0.7) == pytest.approx(expected, rel=1e-6)


def test_muons_momentum_and_decay_act_on_hidden_weights() -> None:
    """The orthogonalised update of a 1x1 hidden matrix is a sign times a known size, whatever the gradient."""
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    nn.init.constant_(network[0].weight, 2.0)
    optimizer = build_optimizer(RunConfig(optimizer="muon", lr=0.1, momentum=0.9, weight_decay=0.5), network)
    muon = optimizer.parts[1]
    assert muon.param_groups[0]["momentum"] == 0.9
    network[0].weight.grad = torch.tensor([[7.0]])
    network[1].weight.grad = torch.tensor([[0.0]])
    for part in optimizer.parts:
        part.step()
    update = (2.0 * (1 - 0.1 * 0.5) - network[0].weight.item()) / 0.1
    assert 0.2 * 0.6 < update < 0.2 * 1.3  # singular values end near 1 (test_training_optimizers), scaled by 0.2


def test_the_learning_rate_of_a_step_is_set_in_every_part_of_the_optimizer() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    optimizer = build_optimizer(RunConfig(optimizer="muon", lr=0.1), network)
    optimizer.set_lr(0.025)
    assert [group["lr"] for part in optimizer.parts for group in part.param_groups] == [0.025, 0.025]


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"schedule": "step", "step_epochs": 1, "gamma": 0.1}, [0.5] * 3 + [0.05] * 3 + [0.005] * 3),
        ({"warmup_epochs": 2.0}, [0.5 / 6, 1 / 6, 0.25, 2 / 6, 2.5 / 6, 0.5] + [0.5] * 3),
        ({"schedule": "cosine"}, [0.25 * (1 + math.cos(math.pi * step / 9)) for step in range(9)]),
    ],
    ids=["step", "warm-up", "cosine"],
)
def test_each_update_of_a_run_uses_the_rate_of_its_step(
    data: ResidentData, settings: dict[str, object], rates: list[float]
) -> None:
    """Nine updates of a linear network, computed again explicitly."""
    plain = {"optimizer": "sgd", "momentum": 0.0, "lr": 0.5, "batch_size": 30, "epochs": 3, "shuffle": False}
    network, reference = LinearNet(), LinearNet()
    for _ in train(RunConfig(**plain, **settings), network=network, data=data, device=CPU):
        pass
    x_BCHW = (data.train_x / 255 - data.mean) / data.std
    for step, rate in enumerate(rates):
        batch = slice(30 * (step % 3), 30 * (step % 3) + 30)
        loss = nn.functional.cross_entropy(reference(x_BCHW[batch]), data.train_y[batch])
        for parameter, gradient in zip(
            reference.parameters(), torch.autograd.grad(loss, list(reference.parameters())), strict=True
        ):
            parameter.data -= rate * gradient
    for found, expected in zip(network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def _stepper(network: nn.Module, **settings: object) -> Stepper:
    config = RunConfig(**settings)
    return Stepper(network, build_loss(config), build_optimizer(config, network), config, CPU)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_gradients_are_measured_and_clipped_unscaled_in_every_precision(data: ResidentData, precision: str) -> None:
    """In float16 the loss is scaled by 65,536 before the backward pass, which must not affect the norm or clipping."""
    x, y = (data.train_x.float() / 255 - data.mean) / data.std, data.train_y
    exact = LinearNet()
    loss = nn.functional.cross_entropy(exact(x), y)
    true_norm = nn.utils.get_total_norm(torch.autograd.grad(loss, list(exact.parameters()))).item()
    network = LinearNet()
    stepper = _stepper(network, optimizer="sgd", momentum=0.0, lr=1.0, grad_clip=0.01, precision=precision)
    stepper.step(x, y, measure_norm=True)
    assert float(stepper.grad_norm or 0.0) == pytest.approx(true_norm, rel=0.02)
    moved = torch.cat([p.detach().flatten() for p in network.parameters()]).norm().item()
    assert moved == pytest.approx(0.01, rel=0.02)


def test_a_gradient_below_the_limit_is_not_clipped(data: ResidentData) -> None:
    x, y = (data.train_x.float() / 255 - data.mean) / data.std, data.train_y
    clipped, free = LinearNet(), LinearNet()
    for network, limit in ((clipped, 1e6), (free, 0.0)):
        _stepper(network, optimizer="sgd", momentum=0.0, lr=0.1, grad_clip=limit).step(x, y)
    assert torch.equal(clipped[1].weight, free[1].weight)


def _epochs(data: ResidentData, **settings: object) -> list[Evaluated]:
    config = RunConfig(**{"batch_size": 16, "val_fraction": 0.2, "optimizer": "sgd", **settings})
    events = train(config, network=LinearNet(), data=data, device=CPU)
    return [event for event in events if isinstance(event, Evaluated) and event.epoch_end]


def test_an_epochs_learning_rate_is_that_of_its_last_step(data: ResidentData) -> None:
    """With a schedule that divides the rate by ten every epoch, each epoch reports its own rate, not the next."""
    found = [e.metrics["lr"] for e in _epochs(data, epochs=3, lr=0.1, schedule="step", step_epochs=1, gamma=0.1)]
    assert found == pytest.approx([0.1, 0.01, 0.001])


def test_an_epochs_rate_in_a_cosine_and_a_warm_up_is_that_of_its_last_step(data: ResidentData) -> None:
    cosine = [e.metrics["lr"] for e in _epochs(data, epochs=2, lr=0.1, schedule="cosine")]
    assert cosine == pytest.approx([0.1 * 0.5 * (1 + math.cos(math.pi * step / 12)) for step in (5, 11)])
    warm = [e.metrics["lr"] for e in _epochs(data, epochs=3, lr=0.1, warmup_epochs=2.0)]
    assert warm == pytest.approx([0.05, 0.1, 0.1])


def test_one_cycle_ends_far_below_its_initial_rate(data: ResidentData) -> None:
    epochs = _epochs(data, epochs=5, lr=0.1, schedule="one-cycle")
    assert epochs[-1].metrics["lr"] == pytest.approx(0.1 / 25 / 1e4)
    assert max(e.metrics["lr"] for e in epochs) < 0.1 + 1e-12


def test_the_batch_size_determines_the_images_of_each_step(data: ResidentData) -> None:
    config = RunConfig(batch_size=32, epochs=1, val_fraction=0.2)
    events = list(train(config, network=LinearNet(), data=data, device=CPU))
    steps = np.concatenate([e.step for e in events if isinstance(e, StepMetrics)])
    accuracy = np.concatenate([e.accuracy for e in events if isinstance(e, StepMetrics)])
    assert steps.tolist() == [1, 2, 3]
    images = [32, 32, 26]  # of 90; the last batch is smaller, and its accuracy is relative to its own size
    for share, count in zip(accuracy, images):
        assert share * count == pytest.approx(round(share * count), abs=1e-9)


def test_muon_applies_nesterov_momentum() -> None:
    """After gradients of 1 and -0.5 the momentum is still positive (0.04), but the look-ahead is negative (-0.014)."""
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    nn.init.constant_(network[0].weight, 2.0)
    muon = build_optimizer(RunConfig(optimizer="muon", lr=0.1, momentum=0.9), network).parts[1]
    path = [2.0]
    for gradient in (1.0, -0.5):
        network[0].weight.grad = torch.tensor([[gradient]])
        muon.step()
        path.append(network[0].weight.item())
    assert path[1] < path[0]
    assert path[2] > path[1]
