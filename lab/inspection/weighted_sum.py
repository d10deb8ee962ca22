"""One output of a linear layer as the sum of its terms: every input times its weight, and the bias.

The largest terms are drawn. If the inputs were maps before flattening, all terms can be arranged as maps again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from lab.errors import InputError, near_miss
from lab.inspection.graph import GraphNode
from lab.inspection.kernels import copy_weights


@dataclass(frozen=True, slots=True, eq=False)
class LinearWeights:
    """One linear layer's weights: float32 (outputs, inputs) and biases (outputs,)."""

    layer: str
    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class WeightedSum:
    """One output: inputs, weights and products float64 (N,); value = total + bias."""

    inputs: np.ndarray
    weights: np.ndarray
    products: np.ndarray
    total: float
    bias: float

    @property
    def value(self) -> float:
        """The layer's output."""
        return self.total + self.bias

    def largest(self, count: int) -> np.ndarray:
        """Return the indices of at most `count` terms of largest magnitude, largest first; ties keep their order."""
        magnitude = np.nan_to_num(np.abs(self.products))
        return np.argsort(-magnitude, kind="stable")[:count]


def read_linear(network: nn.Module, *, layer: str) -> LinearWeights:
    """Return a copy of one linear layer's weights; another layer raises `InputError`."""
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if layer not in names:
        raise InputError(f"{layer!r} is not a linear layer of this network. {near_miss(layer, names)}")
    module = network.get_submodule(layer)
    assert isinstance(module, nn.Linear)
    return LinearWeights(layer, *copy_weights(module))


def take_sum(inputs: np.ndarray, linear: LinearWeights, *, unit: int) -> WeightedSum:
    """Return the terms of one output. inputs: the layer's inputs for one image, (N,).

    Raises `InputError` for an unknown output and for inputs of another length.
    """
    if not 0 <= unit < len(linear.weight):
        raise InputError(f"The output is {unit}, but it must be 0 to {len(linear.weight) - 1}.")
    given = inputs.reshape(-1).astype(np.float64)
    weights = linear.weight[unit].astype(np.float64)
    if given.shape != weights.shape:
        raise InputError(f"{linear.layer} expects {len(weights)} values, but got {len(given)}.")
    products = given * weights
    return WeightedSum(given, weights, products, float(products.sum()), float(linear.bias[unit]))


def shape_before(nodes: Sequence[GraphNode], node: GraphNode) -> tuple[int, ...]:
    """Return the shape of a layer's input before it was flattened: (C, H, W) or (N,)."""
    return source_before(nodes, node).output_shape[1:]


def source_before(nodes: Sequence[GraphNode], node: GraphNode) -> GraphNode:
    """Return the node whose output a layer receives, skipping layers that only pass values on, such as a flatten."""
    by_id = {each.id: each for each in nodes}
    source = by_id[node.inputs[0]]
    while source.kind.passes_on and len(source.output_shape) == 2 and source.inputs:
        before = by_id[source.inputs[0]]
        if math.prod(before.output_shape[1:]) != math.prod(source.output_shape[1:]):
            break
        source = before
    return source
