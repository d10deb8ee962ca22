"""A network's logits and the outputs of its layers, observed without changing it.

Only forward hooks are used. Hooks are removed and modes restored in `finally`. Outputs are copied, because an in-place
ReLU would overwrite its convolution's output. A hook records only the thread that set it, so that all inspecting
threads can share one network.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.architectures.inference_batches import inference_batch_size
from lab.data.channels import normalise_images, with_channels
from lab.errors import InputError, near_miss
from lab.inspection.graph import trace_graph
from lab.inspection.layer_kinds import LayerKind
from lab.inspection.receptive_field import ReceptiveField


@dataclass(frozen=True, slots=True)
class LayerView:
    """One layer that can be inspected. shape: (C, H, W) for maps, (N,) for a vector."""

    name: str
    type: str
    kind: LayerKind
    shape: tuple[int, ...]
    field: ReceptiveField | None

    @property
    def has_maps(self) -> bool:
        """Whether its output is a set of maps, one per channel."""
        return len(self.shape) == 3


@dataclass(frozen=True, slots=True)
class FeatureMaps:
    """A layer's output for one image. values: float32 (C, H, W); mean and sparsity (share of exact zeros): (C,)."""

    layer: LayerView
    values: np.ndarray
    mean: np.ndarray
    sparsity: np.ndarray


@contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """Put every module into eval mode within the context and restore each module's own mode afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield network
    finally:
        for module, mode in modes:
            module.training = mode


def list_layers(network: nn.Module, *, image_size: int, channels: int = 1) -> tuple[LayerView, ...]:
    """Return every layer in execution order, with the shape of its output for one image.

    A layer that runs twice (such as a ReLU shared within a block) is listed where it runs last: `capture` returns that
    output.
    """
    nodes = trace_graph(network, input_shape=(1, channels, image_size, image_size))
    known = dict(network.named_modules())
    last = {node.name: place for place, node in enumerate(nodes)}
    return tuple(
        LayerView(node.name, node.type, node.kind, node.output_shape[1:], node.field)
        for place, node in enumerate(nodes)
        if node.name in known and last[node.name] == place
    )


def find_layer(layers: Sequence[LayerView], name: str) -> LayerView:
    """Return one layer by name. Raises `InputError`, which suggests the nearest name, if it does not exist."""
    for layer in layers:
        if layer.name == name:
            return layer
    raise InputError(f"The network has no layer {name!r}. {near_miss(name, [layer.name for layer in layers])}")


def to_input(images_u8: np.ndarray, *, mean: float, std: float) -> Tensor:
    """Return uint8 images (N, H, W) or (N, C, H, W) as x_BCHW float32: scaled to [0, 1], minus mean, divided by std."""
    return torch.from_numpy(np.ascontiguousarray(normalise_images(images_u8, mean=mean, std=std)))


def in_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Return a hook that calls the given one only in the current thread; other threads may run the same network."""
    me = threading.get_ident()

    def filtered(*arguments: Any) -> Any:
        return hook(*arguments) if threading.get_ident() == me else None

    return filtered


def capture(network: nn.Module, x_BCHW: Tensor, *, layers: Sequence[str]) -> dict[str, Tensor]:
    """Return copies of the named layers' outputs from one pass in eval mode; the last output if a layer runs twice."""
    outputs: dict[str, Tensor] = {}
    handles = []

    def watch(name: str) -> None:
        def record(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            outputs[name] = output.detach().clone()

        handles.append(network.get_submodule(name).register_forward_hook(in_this_thread(record)))

    try:
        with evaluating(network), torch.no_grad():
            for name in layers:
                watch(name)
            network(x_BCHW)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def layer_input(network: nn.Module, x_BCHW: Tensor, *, layer: str) -> Tensor:
    """Return a copy of the named layer's input from one pass in eval mode; the last input if it runs twice."""
    recorded: list[Tensor] = []

    def record(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        recorded.append(inputs[0].detach().clone())

    handle = network.get_submodule(layer).register_forward_pre_hook(in_this_thread(record))
    try:
        with evaluating(network), torch.no_grad():
            network(x_BCHW)
    finally:
        handle.remove()
    return recorded[-1]


def feature_maps(network: nn.Module, x_1CHW: Tensor, *, layer: str) -> FeatureMaps:
    """Return a layer's maps for one normalised image; a vector becomes 1×1 maps. Raises `InputError` for the layer."""
    layers = list_layers(network, image_size=x_1CHW.shape[-1], channels=x_1CHW.shape[1])
    view = find_layer(layers, layer)
    output = capture(network, x_1CHW, layers=[layer])[layer][0]
    values = output.float().cpu().numpy().reshape(output.shape[0], *(output.shape[1:] or (1, 1)))
    flat = values.reshape(len(values), -1)
    return FeatureMaps(view, values, flat.mean(1), (flat == 0).mean(1))


def compute_logits(network: nn.Module, images_u8: np.ndarray, *, mean: float, std: float) -> np.ndarray:
    """Return logits float32 (N, K) for uint8 images (N, H, W) or (N, C, H, W), in batches on the network's device."""
    device = next(network.parameters()).device
    size = inference_batch_size(network, images=len(images_u8), image_shape=with_channels(images_u8).shape[1:])
    parts = []
    with evaluating(network), torch.inference_mode():
        for start in range(0, len(images_u8), size):
            x = to_input(images_u8[start : start + size], mean=mean, std=std).to(device)
            parts.append(network(x).float().cpu().numpy())
    return np.concatenate(parts)
