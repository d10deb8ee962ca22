"""Gradients layer by layer: known answers, what is followed to which activation, and that nothing is changed."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.architectures.build import build_network
from lab.inspection.gradient_flow import LayerFlow
from lab.inspection.gradients import layer_flows, weight_changes, weight_layers
from lab.training.losses import AUXILIARY_WEIGHT, compute_loss
from tests.every_network import EVERY_NETWORK


def _by_name(flows: tuple[LayerFlow, ...]) -> dict[str, LayerFlow]:
    return {flow.name: flow for flow in flows}


def _sum(output: Tensor) -> Tensor:
    return output.sum()


def test_the_gradient_of_a_linear_network_with_mse_is_its_closed_form() -> None:
    """For mean((xWᵀ + b - t)²) over B×K entries, it is 2/(BK) (y - t)ᵀx."""
    torch.manual_seed(1)
    layer, x, target = nn.Linear(5, 3), torch.rand(4, 5), torch.rand(4, 3)
    (flow,) = layer_flows(nn.Sequential(layer), x, lambda y: F.mse_loss(y, target))
    with torch.no_grad():
        expected = 2 / 12 * (layer(x) - target).T @ x
    assert flow.gradient is not None
    assert (flow.name, flow.type, flow.count) == ("0", "Linear", 15)
    assert flow.gradient.norm == pytest.approx(float(expected.norm()))
    assert flow.rms == pytest.approx(float(expected.square().mean().sqrt()))
    assert flow.weights.norm == pytest.approx(float(layer.weight.detach().norm()))
    assert flow.ratio == pytest.approx(float(expected.norm() / layer.weight.detach().norm()))
    low, middle, high = expected.abs().flatten().quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    assert (flow.gradient.low, flow.gradient.middle, flow.gradient.high) == pytest.approx((low, middle, high))
    assert (flow.zeros, flow.dead, flow.change) == (None, None, None)


def test_the_gradient_of_the_first_of_two_linear_layers_comes_through_the_second() -> None:
    """For the sum of all outputs of V(Wx), the gradient of W is Vᵀ1 xᵀ, summed over the images."""
    first, second, x = nn.Linear(3, 2, bias=False), nn.Linear(2, 4, bias=False), torch.rand(6, 3)
    flows = _by_name(layer_flows(nn.Sequential(first, second), x, _sum))
    expected = torch.outer(second.weight.detach().sum(0), x.sum(0))
    assert flows["0"].gradient is not None
    assert flows["0"].gradient.norm == pytest.approx(float(expected.norm()))


def _units(*biases: float) -> nn.Linear:
    """A layer whose outputs are exactly these numbers for every image."""
    layer = nn.Linear(2, len(biases))
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor(biases))
    return layer


def test_dead_units_are_those_that_are_zero_for_every_image_and_their_weights_have_no_gradient() -> None:
    first, last = _units(1.0, -1.0, 0.0, -2.0), nn.Linear(4, 2)
    with torch.no_grad():
        first.weight[1, 0] = 3.0  # alive for the image whose first pixel is 1
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    flows = _by_name(layer_flows(nn.Sequential(first, nn.ReLU(), last), x, _sum))
    assert flows["0"].zeros == pytest.approx(5 / 8)
    assert flows["0"].dead == pytest.approx(2 / 4)
    assert flows["0"].gradient is not None
    assert flows["0"].gradient.zeros == pytest.approx(
        (2 + 2 + 1) / 8
    )  # of dead units, and where the pixel of the only image is 0
    assert (flows["2"].zeros, flows["2"].dead) == (None, None)


def test_a_channel_is_dead_only_if_it_is_zero_at_every_position() -> None:
    convolution = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        convolution.weight.fill_(1.0)
        convolution.bias.copy_(torch.tensor([0.0, -5.0]))  # type: ignore[union-attr]
    x = torch.zeros(2, 1, 2, 2)
    x[0, 0, 1, 1] = 1.0
    (flow,) = layer_flows(nn.Sequential(convolution, nn.ReLU()), x, _sum)
    assert flow.zeros == pytest.approx(15 / 16)
    assert flow.dead == pytest.approx(1 / 2)


class _Sum(nn.Module):
    """relu(b(relu(a(x))) + c(x)), with one ReLU that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.b, self.a = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1), nn.Conv2d(1, 2, 1)
        self.norm, self.pool, self.relu = nn.BatchNorm2d(2), nn.AvgPool2d(2, 1), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        first = self.relu(self.pool(self.norm(self.a(x))))
        total: Tensor = self.relu(self.b(first) + self.pool(self.c(x)))
        return total


def test_layers_are_in_the_order_in_which_they_run_and_followed_to_their_own_activation() -> None:
    torch.manual_seed(0)
    flows = layer_flows(_Sum(), torch.rand(4, 1, 3, 3), _sum)
    assert [flow.name for flow in flows] == ["a", "b", "c"]
    a, b, c = flows
    assert a.zeros is not None, "norm and pooling pass the output on"
    assert 0 < a.zeros < 1
    assert (b.zeros, c.zeros) == (None, None), "the activation after a sum belongs to neither summand"


def test_a_layer_that_is_frozen_or_not_used_by_the_loss_has_no_gradient() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    network[0].weight.requires_grad_(False)
    frozen = _by_name(layer_flows(network, torch.rand(3, 2), _sum))
    assert (frozen["0"].gradient, frozen["0"].rms, frozen["0"].ratio) == (None, None, None)
    assert frozen["0"].zeros is not None
    assert frozen["2"].gradient is not None
    constant = torch.zeros((), requires_grad=True)
    unused = layer_flows(nn.Sequential(nn.Linear(2, 2)), torch.rand(3, 2), lambda _: constant * 1.0)
    assert unused[0].gradient is None
    network.requires_grad_(False)
    assert [flow.gradient for flow in layer_flows(network, torch.rand(3, 2), _sum)] == [None, None]


def test_weights_that_are_not_finite_give_numbers_that_are_not() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        network[0].weight[0, 0] = math.nan
    first, second = layer_flows(network, torch.rand(3, 2), _sum)
    assert second.gradient is not None
    numbers = (first.zeros, first.dead, first.weights.norm, first.weights.middle, second.rms, second.gradient.low)
    assert [number is not None and math.isnan(number) for number in numbers] == [True] * 6


def test_a_gradient_whose_squares_are_zero_in_float32_is_not_reported_as_zero() -> None:
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        network[1].weight.fill_(1e-30)
    assert layer_flows(network, torch.ones(1, 2), _sum)[0].rms == pytest.approx(1e-30, rel=1e-6, abs=0.0)


def test_percentiles_of_a_large_layer_are_estimated_by_a_sample() -> None:
    layer = nn.Linear(1000, 300, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0, 1, 300_000).view(300, 1000))
    (flow,) = layer_flows(nn.Sequential(layer), torch.ones(1, 1000), _sum)
    assert (flow.weights.low, flow.weights.middle, flow.weights.high) == pytest.approx((0.05, 0.5, 0.95), abs=0.01)
    assert flow.weights.norm == pytest.approx(float(layer.weight.detach().norm()))


def test_the_network_and_torchs_generator_are_unchanged() -> None:
    torch.manual_seed(3)
    network = build_network("lenet-bn", classes=10, image_size=28, options={"dropout": 0.5})
    network.get_submodule("features.conv1").requires_grad_(False)
    network.eval().get_submodule("features.bn1").train()
    network.zero_grad()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    settings = [(m.training, list(m._forward_hooks), getattr(m, "inplace", None)) for m in network.modules()]
    trained = [p.requires_grad for p in network.parameters()]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        flows = layer_flows(network, torch.rand(4, 1, 28, 28), _sum)
    assert flows[1].rms
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [(m.training, list(m._forward_hooks), getattr(m, "inplace", None)) for m in network.modules()] == settings
    assert [p.requires_grad for p in network.parameters()] == trained
    assert [p.grad for p in network.parameters()] == [None] * len(trained)


def test_batch_norm_normalises_by_the_batch_as_in_training() -> None:
    """With the averages of an untrained norm, half of these values would be zero, and with those of the batch too."""
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1), nn.ReLU()).eval()
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.fill_(-100.0)
    (flow,) = layer_flows(network, torch.tensor([[1.0], [2.0], [3.0], [4.0]]), _sum)
    assert flow.zeros == pytest.approx(1 / 2)


def test_auxiliary_classifiers_are_layers_of_the_training_and_part_of_its_loss() -> None:
    torch.manual_seed(0)
    network = build_network("googlenet", classes=10, image_size=28, input_size="32", options={"aux": True})
    y, given = torch.tensor([1, 2]), torch.rand(2, 1, 28, 28)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels)

    def measured(weight: float) -> dict[str, LayerFlow]:
        def total(output: tuple[Tensor, tuple[Tensor, ...]]) -> Tensor:
            logits, extra = output
            return loss(logits, y) + weight * torch.stack([loss(each, y) for each in extra]).sum()

        torch.manual_seed(5)
        return _by_name(layer_flows(network, given, total))

    torch.manual_seed(5)
    own = _by_name(layer_flows(network, given, lambda output: compute_loss(loss, output, y)[0]))
    name = "auxiliary.inception4a.fc2"
    assert own[name].rms == pytest.approx(measured(AUXILIARY_WEIGHT)[name].rms)
    assert own[name].rms == pytest.approx(AUXILIARY_WEIGHT * (measured(1.0)[name].rms or 0))
    assert list(own).index(name) < list(own).index("classifier.fc")


@pytest.mark.parametrize("arch", EVERY_NETWORK)
def test_every_network_has_a_gradient_in_every_layer_that_it_trains(arch: str) -> None:
    torch.manual_seed(0)
    network = build_network(arch, classes=10, image_size=28)
    trained = {name for name, weight in weight_layers(network).items() if weight.requires_grad}
    flows = _by_name(
        layer_flows(network, torch.rand(2, 1, 28, 28), lambda y: compute_loss(F.cross_entropy, y, _TWO)[0])
    )
    assert set(flows) == set(weight_layers(network))
    assert {name for name, flow in flows.items() if flow.gradient is not None} == trained
    assert all(math.isfinite(flow.rms or 0.0) for flow in flows.values())
    assert any(flow.zeros is not None for flow in flows.values())


_TWO = torch.tensor([3, 7])


def test_the_change_of_weights_is_relative_to_their_norm_before() -> None:
    before = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        before[2].weight.zero_()
        before[3].weight.zero_()
        now = copy.deepcopy(before)
        now[0].weight.mul_(3.0)
        now[3].weight.fill_(1.0)
        now[4].weight.fill_(9.0)  # the scale of a norm is no layer
    assert weight_changes(now, before) == {"0": pytest.approx(2.0), "1": 0.0, "2": 0.0, "3": math.inf}
