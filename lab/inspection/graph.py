"""A network as a graph of layers and joins, from input to logits, by symbolic tracing (torch.fx).

Every layer without children is one node; what code between layers does (adding a shortcut, joining branches) is a
node of its own. Receptive fields are followed along the same graph.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from lab.architectures.shapes import make_probe
from lab.architectures.tracing import ONE_AT_A_TIME
from lab.inspection.layer_kinds import IMAGE, LayerKind, field_after, kind_of, kind_of_function
from lab.inspection.receptive_field import ReceptiveField, union


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One layer or join. `name` is the module's path ("features.conv1"); a join has its block's path and "+".

    type: the layer's class, or what the function between layers is called.
    """

    id: str
    name: str
    type: str
    kind: LayerKind
    inputs: tuple[str, ...]
    output_shape: tuple[int, ...]
    params: int
    field: ReceptiveField | None


class _LayerTracer(fx.Tracer):
    """Stops at every module without children, so that a layer of ours is as much a layer as torch's.

    torch.fx has it asked about the modules of all threads; those of the others are left alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        # The probe may share its weights with a network that another thread runs.
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(m.children())


class _ShapeRecorder(fx.Interpreter):
    """Runs the traced network once and notes what shape leaves each node."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        super().__init__(network, graph=graph)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.shapes[n.name] = tuple(result.shape)
        return result


@dataclass(frozen=True, slots=True, eq=False)
class TracedNetwork:
    """A network's nodes, and torch.fx's own graph of them, which runs any network of the same layers."""

    nodes: tuple[GraphNode, ...]
    graph: fx.Graph


def trace_graph(network: nn.Module, *, input_shape: tuple[int, ...]) -> tuple[GraphNode, ...]:
    """Return the nodes in the order they run, for an input of (B, C, H, W); the first is the image."""
    return trace_network(network, input_shape=input_shape).nodes


def trace_network(network: nn.Module, *, input_shape: tuple[int, ...]) -> TracedNetwork:
    """Return the nodes of `trace_graph` with the graph they were read from; nothing of the network changes."""
    probe, x_BCHW = make_probe(network, input_shape=input_shape)
    with ONE_AT_A_TIME:
        graph = _LayerTracer().trace(probe)
    recorder = _ShapeRecorder(probe, graph)  # a `GraphModule` would have the graph hold on to the weights
    with torch.no_grad():
        recorder.run(x_BCHW)
    modules = dict(probe.named_modules())
    nodes: dict[str, GraphNode] = {}
    for item in graph.nodes:
        if item.op == "output" or item.name not in recorder.shapes:  # such as the size that a view is given
            continue
        inputs = [nodes[source.name] for source in item.all_input_nodes if source.name in nodes]
        layer = modules[str(item.target)] if item.op == "call_module" else None
        kind = _kind(item, layer)
        nodes[item.name] = GraphNode(
            id=item.name,
            name=_name(item),
            type=type(layer).__name__ if layer is not None else kind.name,
            kind=kind,
            inputs=tuple(node.id for node in inputs),
            output_shape=recorder.shapes[item.name],
            params=sum(p.numel() for p in layer.parameters()) if layer is not None else 0,
            field=_field(item, layer, kind, inputs),
        )
    return TracedNetwork(tuple(nodes.values()), graph)


def _name(item: fx.Node) -> str:
    if item.op == "placeholder":
        return "image"
    if item.op == "call_module":
        return str(item.target)
    stack = [path for path in item.meta.get("nn_module_stack", {}) if path]
    return f"{stack[-1]}.+" if stack else "+"


def _kind(item: fx.Node, layer: nn.Module | None) -> LayerKind:
    if item.op == "placeholder":
        return IMAGE
    if layer is not None:
        return kind_of(layer)
    return kind_of_function(getattr(item.target, "__name__", str(item.target)))


def _field(item: fx.Node, layer: nn.Module | None, kind: LayerKind, inputs: list[GraphNode]) -> ReceptiveField | None:
    if item.op == "placeholder":
        return ReceptiveField()
    if layer is not None:
        return field_after(inputs[0].field, layer, input_shape=inputs[0].output_shape)
    joins = kind.family == "join" or kind.is_activation
    return union([node.field for node in inputs]) if joins else None
