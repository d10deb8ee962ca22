"""An output of a linear layer as the sum of its terms: known values, and the output of real networks."""

import numpy as np
import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.errors import InputError
from lab.inspection.graph import trace_graph
from lab.inspection.observe import capture, layer_input
from lab.inspection.weighted_sum import LinearWeights, read_linear, shape_before, take_sum

KNOWN = LinearWeights(
    "fc", np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], np.float32), np.array([10.0, -1.0], np.float32)
)


def test_a_sum_is_its_products_and_the_bias() -> None:
    found = take_sum(np.array([2.0, 4.0, -6.0]), KNOWN, unit=0)
    assert found.products.tolist() == [2.0, -8.0, -3.0]
    assert (found.total, found.bias, found.value) == (-9.0, 10.0, 1.0)
    assert take_sum(np.array([[2.0], [4.0], [-6.0]]), KNOWN, unit=1).value == 12.0 + 6.0 - 1.0


def test_the_largest_terms_come_first_whatever_their_sign() -> None:
    found = take_sum(np.array([2.0, 4.0, -6.0]), KNOWN, unit=0)
    assert found.largest(2).tolist() == [1, 2]
    assert found.largest(10).tolist() == [1, 2, 0]


def test_an_output_or_an_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="The output is 2, but it must be 0 to 1"):
        take_sum(np.zeros(3), KNOWN, unit=2)
    with pytest.raises(InputError, match="fc expects 3 values, but got 4"):
        take_sum(np.zeros(4), KNOWN, unit=0)
    with pytest.raises(InputError, match="is not a linear layer"):
        read_linear(nn.Sequential(nn.Conv2d(1, 1, 1)), layer="0")


@pytest.mark.parametrize(
    ("arch", "layer", "before"),
    [
        ("lenet5", "classifier.fc1", (16, 5, 5)),
        ("lenet5", "classifier.fc2", (120,)),
        ("lenet-bn", "classifier.fc3", (84,)),
        ("resnet-small", None, None),
    ],
)
def test_the_terms_of_every_output_of_a_real_layer_add_up_to_it(
    arch: str, layer: str | None, before: tuple[int, ...] | None
) -> None:
    torch.manual_seed(0)
    network = build_network(arch).eval()
    nodes = trace_graph(network, input_shape=(1, 1, 28, 28))
    node = [each for each in nodes if each.kind.family == "linear" and layer in (None, each.name)][-1]
    x = torch.randn(1, 1, 28, 28)
    inputs = layer_input(network, x, layer=node.name)[0].numpy()
    outputs = capture(network, x, layers=[node.name])[node.name][0].numpy()
    linear = read_linear(network, layer=node.name)
    sums = [take_sum(inputs, linear, unit=unit).value for unit in range(len(outputs))]
    assert sums == pytest.approx(outputs, abs=1e-4)
    assert before is None or shape_before(nodes, node) == before


def test_a_layer_without_a_bias_adds_nothing() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    assert read_linear(network, layer="1").bias.tolist() == [0.0, 0.0]
