"""The whole network in one picture: its stages from the image to the answer, and each stage's output for one image.

A stage is a box of the graph whose output is drawn: a convolution with its activation, a pooling, a sum, a closed
block. Layers that only pass values on (flatten, shortcut) are no stages, and layers that prepare the image belong to
the image. Values are quantised to 256 levels and wide layers limited to some of their channels, so that a whole network
takes some tens of kilobytes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from lab.inspection.graph import GraphNode, TracedNetwork
from lab.inspection.layer_kinds import field_after
from lab.inspection.observe import evaluating
from lab.inspection.picture import Box, boxes
from lab.inspection.receptive_field import ReceptiveField

MAX_MAPS = 16  # maps shown of a layer with more than `_ALL_MAPS`
_ALL_MAPS = 20  # a layer with up to this many maps shows them all
MAX_VALUES = 128  # values shown of a vector
_SIDE = 56  # maximum side in values; larger maps are averaged
_STEPS = 255
_ROUNDING = 1e-6  # share of the largest value; smaller differences are float32 rounding of one value


@dataclass(frozen=True, slots=True)
class Stage:
    """One slab of the picture. box: its box of the graph, with stages as inputs. closed: a block that can be opened."""

    box: Box
    closed: bool

    @property
    def is_maps(self) -> bool:
        """Whether its output is drawn as maps; maps of a single value are drawn as a vector."""
        return len(self.box.shape) == 3 and self.box.shape[1:] != (1, 1)

    @property
    def count(self) -> int:
        """Number of channels of its output, or of values if it is a vector."""
        return self.box.shape[0]


@dataclass(frozen=True, slots=True)
class StageValues:
    """The drawn values of a stage.

    channels: their indices in ascending order, (k,). values: uint8 (k, h, w), or (k, 1, 1) for a vector. low, high: the
    numbers that 0 and 255 represent; for signed values, zero is in the middle.
    """

    channels: np.ndarray
    values: np.ndarray
    low: float
    high: float

    @property
    def signed(self) -> bool:
        """Whether zero is in the middle of the scale."""
        return self.low < 0 and self.low == -self.high


@dataclass(frozen=True, slots=True)
class NetworkValues:
    """Every stage's drawn values for one image, by the stage's id, and the logits float32 (K,)."""

    stages: Mapping[str, StageValues]
    logits: np.ndarray


def list_stages(nodes: Sequence[GraphNode], *, opened: Collection[str] = ()) -> tuple[Stage, ...]:
    """Return the stages in execution order; the first is the image. opened: blocks shown as their layers."""
    kinds = {node.name: node.kind for node in nodes}
    before: dict[str, str] = {}  # for a box that is no stage: the stage whose values it passes on
    stages: dict[str, Stage] = {}
    for box in boxes(nodes, detail="blocks", opened=frozenset(opened)):
        inputs = tuple(dict.fromkeys(before.get(each, each) for each in box.inputs))
        source = stages[inputs[0]] if inputs else None
        if source and source.box.family == "input" and kinds[box.names[0]].prepares_input:
            stages[inputs[0]] = Stage(
                replace(source.box, shape=box.shape, nodes=(*source.box.nodes, *box.nodes)), closed=False
            )
            before[box.id] = inputs[0]
        elif source and box.family != "block" and all(kinds[name].passes_on for name in box.names):
            before[box.id] = inputs[0]
        else:
            stages[box.id] = Stage(replace(box, inputs=inputs), closed=box.family == "block")
    return tuple(stages.values())


class _Recorder(fx.Interpreter):
    """Runs a network along a graph and copies some nodes' outputs, because a later layer may work in place."""

    def __init__(self, network: nn.Module, graph: fx.Graph, wanted: Collection[str]) -> None:
        super().__init__(network, graph=graph)
        self.wanted = frozenset(wanted)
        self.outputs: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self.wanted:
            self.outputs[n.name] = result.detach().clone()
        return result


def node_outputs(
    traced: TracedNetwork, network: nn.Module, x_BCHW: Tensor, *, nodes: Collection[str]
) -> dict[str, Tensor]:
    """Return the outputs of the graph's nodes (layers and joins) by id, from one pass in eval mode.

    network: has the layers that were traced, with any weights. No hooks are set, so other threads may run it meanwhile.
    """
    with evaluating(network), torch.inference_mode():
        recorder = _Recorder(network, traced.graph, nodes)
        recorder.run(x_BCHW)
    return recorder.outputs


def choose_channels(
    traced: TracedNetwork, network: nn.Module, x_BCHW: Tensor, *, stages: Sequence[Stage]
) -> dict[str, np.ndarray]:
    """Return the indices of the channels to draw of each stage, ascending, by the stage's id.

    Of a wide layer, these are the channels with the largest mean magnitude over the images. They are chosen once for a
    run, so that pictures are comparable over epochs and images.
    """
    outputs = node_outputs(traced, network, x_BCHW, nodes=[stage.box.output for stage in stages])
    chosen = {}
    for stage in stages:
        most, count = _most(stage), stage.count
        mean_C = outputs[stage.box.output].abs().flatten(2).mean((0, 2)) if stage.is_maps else None
        if mean_C is None:
            mean_C = outputs[stage.box.output].abs().flatten(1).mean(0)
        strongest = np.argsort(-np.nan_to_num(mean_C.float().cpu().numpy()), kind="stable")
        chosen[stage.box.id] = np.sort(strongest[: min(most, count)])
    return chosen


def _most(stage: Stage) -> int:
    """Return the maximum number of channels drawn of a stage."""
    if stage.is_maps:
        return _ALL_MAPS if stage.count <= _ALL_MAPS else MAX_MAPS
    return MAX_VALUES


def network_values(
    traced: TracedNetwork,
    network: nn.Module,
    x_1CHW: Tensor,
    *,
    stages: Sequence[Stage],
    channels: Mapping[str, np.ndarray],
) -> NetworkValues:
    """Return every stage's values for one normalised image. channels: those to draw, by the stage's id."""
    outputs = node_outputs(traced, network, x_1CHW, nodes=[stage.box.output for stage in stages])
    values = {stage.box.id: _reduced(stage, outputs[stage.box.output][0], channels[stage.box.id]) for stage in stages}
    return NetworkValues(values, outputs[stages[-1].box.output][0].float().cpu().numpy())


def _reduced(stage: Stage, output: Tensor, channels: np.ndarray) -> StageValues:
    chosen = output.float().reshape(stage.count, *(output.shape[1:] if stage.is_maps else (1, 1)))[
        torch.from_numpy(channels)
    ]
    if stage.is_maps and chosen.shape[-1] > _SIDE:
        factor = -(-chosen.shape[-1] // _SIDE)
        chosen = F.avg_pool2d(chosen[None], factor, ceil_mode=True)[0]
    numbers = chosen.cpu().numpy()
    low, high = value_range(numbers, whole=stage.box.family == "input")
    filled = np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)
    share = (filled - low) / (high - low) if high > low else np.zeros_like(filled)
    return StageValues(channels, (share.clip(0, 1) * _STEPS).round().astype(np.uint8), low, high)


def value_range(numbers: np.ndarray, *, whole: bool = False) -> tuple[float, float]:
    """Return the ends of the colour scale: 0 to the largest value, or symmetric about zero if any value is negative.

    whole: from the smallest to the largest value, as for an image; both ends are equal if all values are, as on an
    empty sheet.
    """
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return 0.0, 0.0
    if whole:
        low, high = float(finite.min()), float(finite.max())
        return low, high if high - low > _ROUNDING * max(abs(low), abs(high)) else low
    bound = float(np.abs(finite).max())
    return (-bound if finite.min() < 0 else 0.0), bound


Rows = tuple[tuple[int, int], ...]
"""The first and last input row that each row of a map depends on; the same holds for columns."""


def input_rows(traced: TracedNetwork, network: nn.Module, stage: Stage) -> Rows | None:
    """Return which rows of the preceding stage a stage's maps depend on; None for all of them or for a closed block."""
    if stage.closed or not stage.is_maps or not stage.box.inputs:
        return None
    nodes = {node.id: node for node in traced.nodes}
    first = nodes[stage.box.nodes[0]]
    before = nodes[first.inputs[0]].output_shape
    layers = dict(network.named_modules())
    field: ReceptiveField | None = ReceptiveField.of_image(before[-1])
    if first.name in layers:
        field = field_after(field, layers[first.name], output_shape=first.output_shape)
    return None if field is None else field.inside


def image_rows(traced: TracedNetwork, stage: Stage, image: Stage) -> Rows | None:
    """Return which rows of the image, as drawn by the first stage, a stage's maps depend on; None for all of them."""
    nodes = {node.id: node for node in traced.nodes}
    start = nodes[image.box.output].field
    field = nodes[stage.box.output].field
    if field is None or start is None or not stage.is_maps:
        return None
    cut = start.window(0)[0]  # rows of the network's input that are not drawn
    return tuple((first - cut, last - cut) for first, last in field.inside)
