"""The whole network in one picture: its stages from the image to the answer, and what each of them gives for one image.

A stage is a box of the graph whose output is drawn: a convolution with what follows it, a pooling, a sum, a closed block.
What only passes values on (flatten, shortcut) is no stage, and what prepares the image belongs to the image. Values are
brought to 256 steps and wide layers to some of their channels, so that a whole network is a few ten kilobytes.
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

MOST_MAPS = 16  # of a layer, beside each other; a few more are all shown
_ALL_MAPS = 20
MOST_VALUES = 128  # of a vector
_SIDE = 56  # values across; larger maps are averaged
_STEPS = 255
_ROUNDING = 1e-6  # share of the largest value: what differs by less is one value, resized or normalised in float32


@dataclass(frozen=True, slots=True)
class Stage:
    """One slab. box: what it is; its inputs are stages. closed: it is a block that can be opened."""

    box: Box
    closed: bool

    @property
    def is_maps(self) -> bool:
        """Whether its output is pictures; maps of a single value are drawn as a vector."""
        return len(self.box.shape) == 3 and self.box.shape[1:] != (1, 1)

    @property
    def count(self) -> int:
        """Channels of its output, or values of its vector."""
        return self.box.shape[0]


@dataclass(frozen=True, slots=True)
class StageValues:
    """What is drawn of a stage. channels: which, in their order (k,). values: uint8 (k, h, w), a vector's (k, 1, 1).

    low, high: the numbers that 0 and 255 stand for; zero is in the middle of signed values.
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
    """What every stage gives for one image, by the stage's id, and the logits float32 (K,)."""

    stages: Mapping[str, StageValues]
    logits: np.ndarray


def list_stages(nodes: Sequence[GraphNode], *, opened: Collection[str] = ()) -> tuple[Stage, ...]:
    """Return the stages in the order they run; the first is the image. opened: blocks shown as their layers."""
    kinds = {node.name: node.kind for node in nodes}
    before: dict[str, str] = {}  # of a box that is no stage, the stage whose values it passes on
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
    """Runs a network along a graph and keeps a copy of some nodes' outputs; a later layer may work in place."""

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
    """Run once in eval mode and return the outputs of the graph's nodes by their ids: layers, and joins between layers.

    network: of the layers that were traced, with any weights. No hook is set, so other threads may run it meanwhile.
    """
    with evaluating(network), torch.inference_mode():
        recorder = _Recorder(network, traced.graph, nodes)
        recorder.run(x_BCHW)
    return recorder.outputs


def choose_channels(
    traced: TracedNetwork, network: nn.Module, x_BCHW: Tensor, *, stages: Sequence[Stage]
) -> dict[str, np.ndarray]:
    """Return which channels of each stage are drawn, in their order, by the stage's id.

    Of a wide layer those with the largest mean magnitude over the images: chosen once for a run, so that a picture can
    be followed over epochs and images.
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
    """Return how many channels of a stage are drawn; a class has to be seen whatever its logit."""
    if stage.is_maps:
        return _ALL_MAPS if stage.count <= _ALL_MAPS else MOST_MAPS
    return MOST_VALUES


def network_values(
    traced: TracedNetwork,
    network: nn.Module,
    x_1CHW: Tensor,
    *,
    stages: Sequence[Stage],
    channels: Mapping[str, np.ndarray],
) -> NetworkValues:
    """Return what every stage gives for one normalised image, of the chosen channels by stage."""
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
    """Return the ends of the colour scale: 0 to the largest, or with zero in the middle where there are negatives.

    whole: from the smallest to the largest, as for an image; both ends are one where all of it is one value, such as an
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
"""For each row of a map the first and the last row that it was made from; columns have the same."""


def input_rows(traced: TracedNetwork, network: nn.Module, stage: Stage) -> Rows | None:
    """Return which rows of the stages before it a stage's maps are made from; None for all of them, or of a closed block."""
    if stage.closed or not stage.is_maps or not stage.box.inputs:
        return None
    nodes = {node.id: node for node in traced.nodes}
    first = nodes[stage.box.nodes[0]]
    before = nodes[first.inputs[0]].output_shape
    layers = dict(network.named_modules())
    field: ReceptiveField | None = ReceptiveField()
    if first.name in layers:
        field = field_after(field, layers[first.name], input_shape=before)
    return _rows(field, stage, side=before[-1])


def image_rows(traced: TracedNetwork, stage: Stage, image: Stage) -> Rows | None:
    """Return which rows of the image, as the first stage draws it, a stage's maps depend on; None for all of them."""
    nodes = {node.id: node for node in traced.nodes}
    start = nodes[image.box.output].field
    field = nodes[stage.box.output].field
    if field is None or start is None or not stage.is_maps:
        return None
    cut = start.window(0)[0]  # rows of the network's input that are not drawn
    moved = ReceptiveField(tuple((first - cut, last - cut) for first, last in field.windows), field.period)
    return _rows(moved, stage, side=image.box.shape[-1])


def _rows(field: ReceptiveField | None, stage: Stage, *, side: int) -> Rows | None:
    if field is None:
        return None
    return tuple(field.pixels(row, image_size=side) for row in range(stage.box.shape[-1]))
