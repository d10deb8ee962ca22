"""Shapes are found with a computed image for small networks, and on the meta device for large ones."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lab.architectures.build import build_network
from lab.architectures.shapes import LayerShapeError, make_probe, meta_copy, output_shape
from tests.every_network import EVERY_NETWORK

ROOT = Path(__file__).resolve().parents[2]
IMAGE = (1, 1, 28, 28)
ON_META = """
import sys
import torch
from lab.architectures.build import build_network
from lab.architectures.shapes import meta_copy
from lab.inspection.summary import summarize

layer, state = torch.nn.Linear(1, 1), torch.get_rng_state()
meta_copy(layer)
assert torch.equal(torch.get_rng_state(), state)
before = set(sys.modules)
with torch.device("meta"):
    network = build_network("lenet-bn")
summarize(network, input_shape=(2, 1, 28, 28))
late = set(sys.modules) - before
print(sorted(name for name in late if name.partition(".")[0] in ("torch", "sympy", "mpmath")))
"""
CLASSIFIES_A_DRAWING = """
import sys, torch
from lab.architectures.build import build_network
from lab.architectures.inference_batches import inference_batch_size
from lab.inspection.observe import list_layers
network = build_network("lenet5")
list_layers(network, image_size=28)
inference_batch_size(network, images=100, image_shape=(1, 28, 28))
print(sorted({"sympy", "torch._dynamo"} & set(sys.modules)))
"""


def _shapes(network: nn.Module, x_BCHW: Tensor) -> list[tuple[str, tuple[int, ...]]]:
    """Return the output shape of each layer, in the order of execution."""
    seen: list[tuple[str, tuple[int, ...]]] = []

    def watch(name: str, layer: nn.Module) -> None:
        layer.register_forward_hook(lambda _layer, _inputs, output: seen.append((name, tuple(output.shape))))

    for name, layer in network.named_modules():
        if not any(layer.children()):
            watch(name, layer)
    with torch.no_grad():
        network(x_BCHW)
    return seen


def _is_computed(probe: nn.Module) -> bool:
    return not any(parameter.is_meta for parameter in probe.parameters())


@pytest.mark.parametrize("arch", EVERY_NETWORK)
def test_a_computed_image_and_one_on_the_meta_device_give_the_same_shapes(arch: str) -> None:
    network = build_network(arch)
    probe, x_BCHW = make_probe(network, input_shape=IMAGE)
    on_meta = meta_copy(network).eval()
    assert _shapes(probe, x_BCHW) == _shapes(on_meta, torch.empty(IMAGE, device="meta"))


@pytest.mark.parametrize(
    ("arch", "computed"),
    [("lenet5", True), ("basic-cnn", True), *((arch, False) for arch in ("alexnet", "googlenet", "mobilenet"))],
)
def test_small_networks_are_computed_and_large_ones_are_not(arch: str, computed: bool) -> None:
    assert _is_computed(make_probe(build_network(arch), input_shape=IMAGE)[0]) is computed


def test_a_small_network_classifies_a_drawing_without_importing_sympy_and_dynamo() -> None:
    """Torch's meta device imports both, which takes 1.7 s and 145 MB."""
    done = subprocess.run([sys.executable, "-c", CLASSIFIES_A_DRAWING], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.long
def test_imports_of_the_meta_device_are_done_before_a_network_runs_on_it() -> None:
    """Two threads that import these modules during a forward pass may see them partially initialised."""
    done = subprocess.run([sys.executable, "-c", ON_META], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_finding_shapes_does_not_change_the_network() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)).train()
    calls: list[object] = []
    network[0].register_forward_hook(lambda *arguments: calls.append(arguments))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    probe, x_BCHW = make_probe(network, input_shape=IMAGE)
    with torch.no_grad():
        assert tuple(probe(x_BCHW).shape) == (1, 2, 26, 26)
    assert calls == []
    assert all(layer.training for layer in network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert next(probe.parameters()) is next(network.parameters())  # no memory is used for a second set of weights


def test_shapes_of_a_network_on_the_meta_device_are_found_there() -> None:
    with torch.device("meta"):
        features, pool = nn.Conv2d(1, 4, 3), nn.MaxPool2d(2)
        assert output_shape(features, input_shape=IMAGE) == (1, 4, 26, 26)
        assert output_shape(pool, input_shape=(1, 4, 26, 26)) == (1, 4, 13, 13)
    assert make_probe(features, input_shape=IMAGE)[1].is_meta


def test_the_probe_image_is_on_the_device_of_the_buffers_of_a_network_without_weights() -> None:
    """Its buffers may be on a GPU, where an image on the CPU is refused."""
    network = nn.BatchNorm2d(1, affine=False)
    assert not list(network.parameters())
    assert make_probe(network.to("meta"), input_shape=IMAGE)[1].is_meta
    assert not make_probe(nn.BatchNorm2d(1, affine=False), input_shape=IMAGE)[1].is_meta


def test_an_empty_batch_would_give_a_wrong_shape() -> None:
    """Why no empty batch is used on the CPU: torch returns the input shape unchanged."""
    layer = nn.PixelUnshuffle(2)
    assert output_shape(layer, input_shape=(1, 4, 8, 8)) == (1, 16, 4, 4)
    assert tuple(layer(torch.zeros(0, 4, 8, 8)).shape) == (0, 4, 8, 8)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_layer_that_does_not_accept_its_input_is_named_with_the_shape(device: str) -> None:
    with torch.device(device):
        layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 5))
    with pytest.raises(LayerShapeError, match=r"^features\.1 \(Conv2d\) cannot take 2×4×4\.$") as caught:
        output_shape(layers, input_shape=(1, 1, 6, 6), prefix="features")
    assert [(step.name, step.output_shape) for step in caught.value.steps] == [
        ("features.0", (1, 2, 4, 4)),
        ("features.1", None),
    ]
