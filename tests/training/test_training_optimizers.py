"""Optimizer steps with a closed form."""

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.config import RunConfig
from lab.errors import ArtifactError
from lab.training.muon import Muon, hidden_weights, orthogonalise
from lab.training.optimizers import Optimizer, build_optimizer


def weight_after(gradients: list[float], **settings: object) -> float:
    """Return a weight that starts at 2, after steps with these gradients."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 2.0)
    optimizer = build_optimizer(RunConfig(**settings), network)
    for gradient in gradients:
        network.weight.grad = torch.tensor([[gradient]])
        for part in optimizer.parts:
            part.step()
    return network.weight.item()


def test_sgd_subtracts_the_rate_times_the_gradient() -> None:
    assert weight_after([3.0], optimizer="sgd", lr=0.1, momentum=0.0) == pytest.approx(2 - 0.1 * 3)


def test_momentum_adds_its_fraction_of_the_last_step() -> None:
    expected = 2 - 0.1 * 3 - 0.1 * (0.9 * 3 + 1)
    assert weight_after([3.0, 1.0], optimizer="sgd", lr=0.1, momentum=0.9) == pytest.approx(expected)


def test_nesterov_looks_ahead_along_the_momentum() -> None:
    first, second = 3.0, 0.9 * 3.0 + 1.0
    expected = 2 - 0.1 * (3 + 0.9 * first) - 0.1 * (1 + 0.9 * second)
    assert weight_after([3.0, 1.0], optimizer="sgd", lr=0.1, momentum=0.9, nesterov=True) == pytest.approx(expected)


def test_weight_decay_of_sgd_is_part_of_the_gradient() -> None:
    value = weight_after([3.0], optimizer="sgd", lr=0.1, momentum=0.0, weight_decay=0.5)
    assert value == pytest.approx(2 - 0.1 * (3 + 0.5 * 2))


def test_adams_first_step_has_the_size_of_the_learning_rate_whatever_the_gradient() -> None:
    assert weight_after([1e-3], optimizer="adam", lr=0.1) == pytest.approx(1.9, rel=1e-4)
    assert weight_after([-50.0], optimizer="adam", lr=0.1) == pytest.approx(2.1, rel=1e-4)


def test_weight_decay_of_adamw_shrinks_the_weight_itself() -> None:
    value = weight_after([1.0], optimizer="adamw", lr=0.1, weight_decay=0.5)
    assert value == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1, rel=1e-4)


def test_rmsprops_first_step_divides_by_the_root_of_a_hundredth() -> None:
    assert weight_after([4.0], optimizer="rmsprop", lr=0.01, momentum=0.0) == pytest.approx(2 - 0.01 * 10, rel=1e-4)


def test_orthogonalising_brings_singular_values_near_one_and_preserves_the_vectors() -> None:
    matrix = torch.randn(24, 60, generator=torch.Generator().manual_seed(3))
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalise(matrix)
    inner = u.T @ result @ vt.T
    assert ((inner.diagonal() > 0.6) & (inner.diagonal() < 1.3)).all()
    assert (inner - inner.diagonal().diag()).abs().max() < 1e-4


def test_muons_step_has_adams_size_and_ignores_the_gradients_scale() -> None:
    generator = torch.Generator().manual_seed(3)
    gradient = torch.randn(16, 4, 5, 5, generator=generator)
    steps = []
    for scale in (1.0, 1e4):
        weight = nn.Parameter(torch.zeros(16, 4, 5, 5))
        weight.grad = gradient * scale
        Muon([weight], lr=0.1, momentum=0.9).step()
        steps.append(weight.detach())
    assert torch.allclose(steps[0], steps[1], atol=1e-6)
    assert steps[0].square().mean().sqrt().item() == pytest.approx(0.1 * 0.2, rel=0.25)  # root mean square


def test_muon_updates_hidden_weights_and_adam_the_rest() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 8), nn.Linear(8, 3))
    adam, muon = build_optimizer(RunConfig(optimizer="muon"), network).parts
    shapes = [tuple(p.shape) for p in muon.param_groups[0]["params"]]
    assert shapes == [(4, 1, 3, 3), (8, 4)]
    assert len(adam.param_groups[0]["params"]) == 6


def test_muon_leaves_every_output_layer_to_adam() -> None:
    with torch.device("meta"):
        network = build_network("googlenet", options={"aux": True})
    hidden = {id(weight) for weight in hidden_weights(network)}
    remaining = [name for name, p in network.named_parameters() if p.ndim >= 2 and id(p) not in hidden]
    assert remaining == ["classifier.fc.weight", "auxiliary.inception4a.fc2.weight", "auxiliary.inception4d.fc2.weight"]


def test_frozen_weights_are_not_optimised() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[0].requires_grad_(False)
    assert len(build_optimizer(RunConfig(optimizer="adam"), network).parameters) == 2


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "muon"])
def test_a_loaded_optimizer_state_continues_with_the_same_bits(name: str) -> None:
    config = RunConfig(optimizer=name, lr=0.01)
    generator = torch.Generator().manual_seed(0)
    gradients = [[torch.randn(6, 5, generator=generator), torch.randn(6, generator=generator)] for _ in range(4)]
    uninterrupted, resumed = nn.Linear(5, 6), nn.Linear(5, 6)
    resumed.load_state_dict(uninterrupted.state_dict())

    def take_steps(optimizer: Optimizer, network: nn.Linear, numbers: range) -> None:
        for i in numbers:
            network.weight.grad, network.bias.grad = (g.clone() for g in gradients[i])
            for part in optimizer.parts:
                part.step()

    take_steps(build_optimizer(config, uninterrupted), uninterrupted, range(4))
    first = build_optimizer(config, resumed)
    take_steps(first, resumed, range(2))
    second = build_optimizer(config, resumed)
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    take_steps(second, resumed, range(2, 4))
    assert torch.equal(uninterrupted.weight, resumed.weight)
    assert torch.equal(uninterrupted.bias, resumed.bias)


def test_a_state_for_unknown_weights_is_refused() -> None:
    optimizer = build_optimizer(RunConfig(), nn.Linear(2, 2))
    with pytest.raises(ArtifactError, match=r"'other\.weight', which this network does not train"):
        optimizer.load_state({"other.weight/exp_avg": torch.zeros(2, 2)})
