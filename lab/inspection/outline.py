"""Measures the outline of a network: its size, and the slabs of its small picture."""

import torch

from lab.architectures.build import build_network
from lab.architectures.outline import Outline, OutlineStage
from lab.inspection.graph import trace_graph
from lab.inspection.stages import list_stages

_SIDE, _CLASSES = 28, 10


def measure_outline(arch: str) -> Outline:
    """Return the outline of a network with default options, measured on the meta device without memory for weights."""
    with torch.device("meta"):
        network = build_network(arch, classes=_CLASSES, image_size=_SIDE, channels=1)
    nodes = trace_graph(network, input_shape=(1, 1, _SIDE, _SIDE))
    stages = tuple(
        OutlineStage(stage.box.family, stage.count, stage.box.shape[-1] if stage.is_maps else 1)
        for stage in list_stages(nodes)
    )
    layers = sum(node.kind.family in ("convolution", "linear") for node in nodes)
    return Outline(sum(parameter.numel() for parameter in network.parameters()), layers, stages)
