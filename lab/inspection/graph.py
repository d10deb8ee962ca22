"""A network as a graph of layers and joins, from input to logits, by symbolic tracing (torch.fx).

Every module without children is one node. So is every operation between layers, such as adding a shortcut or
concatenating branches. Receptive fields are computed along the same graph.
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
    """One layer or join.

    name: the module's path ("features.conv1"); a join has its block's path and "+". type: the layer's class, or the
    name of the function between layers.
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
    """Treats every module without children as a leaf, so that the lab's own layers are nodes like those of torch.

    torch.fx patches `nn.Module` for the whole process, so calls from other threads arrive here too; they are passed
    through.
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
        # Another thread may be running a network that shares its weights with the probe.
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(m.children())


class _ShapeRecorder(fx.Interpreter):
    """Runs the traced network once and records the output shape of each node."""

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
    """A network's nodes and their torch.fx graph, which can run any network with the same layers."""

    nodes: tuple[GraphNode, ...]
    graph: fx.Graph


def trace_graph(network: nn.Module, *, input_shape: tuple[int, ...]) -> tuple[GraphNode, ...]:
    """Return the nodes in execution order, for an input of shape (B, C, H, W); the first is the image."""
    return trace_network(network, input_shape=input_shape).nodes


def trace_network(network: nn.Module, *, input_shape: tuple[int, ...]) -> TracedNetwork:
    """Return the nodes of `trace_graph` and the torch.fx graph behind them. The network is not changed."""
    probe, x_BCHW = make_probe(network, input_shape=input_shape)
    with ONE_AT_A_TIME:
        graph = _LayerTracer().trace(probe)
    recorder = _ShapeRecorder(probe, graph)  # with a `GraphModule`, the graph would keep the weights alive
    with torch.no_grad():
        recorder.run(x_BCHW)
    modules = dict(probe.named_modules())
    nodes: dict[str, GraphNode] = {}
    for item in graph.nodes:
        if item.op == "output" or item.name not in recorder.shapes:  # not a tensor, such as the size passed to a view
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
            field=_field(item, layer, kind, inputs, recorder.shapes[item.name]),
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


def _field(
    item: fx.Node, layer: nn.Module | None, kind: LayerKind, inputs: list[GraphNode], shape: tuple[int, ...]
) -> ReceptiveField | None:
    if item.op == "placeholder":
        return ReceptiveField.of_image(shape[-1])
    if layer is not None:
        return field_after(inputs[0].field, layer, output_shape=shape)
    joins = kind.family == "join" or kind.is_activation
    return union([node.field for node in inputs]) if joins else None
