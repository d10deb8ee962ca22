"""Each option and the numbers of classes and channels take effect in the layers of every registered network."""

from collections import Counter

import pytest
import torch
from torch import nn

from lab.architectures.activations import OFFERED
from lab.architectures.blocks import Resize, hidden_group
from lab.architectures.build import build_network
from lab.architectures.googlenet import WithAuxiliary
from lab.architectures.registry import get_architecture, list_architectures
from lab.architectures.spec import ArchOption

ALL = [arch.id for arch in list_architectures()]
OPTIONS = [(arch.id, option) for arch in list_architectures() for option in arch.options]
# Options that change the behaviour of a layer, but not its representation.
HIDDEN = {"random_crop"}

# id: layers of each kind in the table of the paper; report D's ResNet-18 has no batch norm on its three shortcuts.
# GoogLeNet has 4 poolings between its stages and one in each of its 9 modules (table 1 and figure 2b).
LAYERS = {
    "lenet5": {"Conv2d": 2, "MaxPool2d": 2, "ReLU": 4, "Linear": 3},
    "alexnet": {"Conv2d": 5, "MaxPool2d": 3, "ReLU": 7, "Linear": 3, "Dropout": 2},
    "vgg11": {"Conv2d": 8, "MaxPool2d": 5, "ReLU": 10, "Linear": 3, "Dropout": 2},
    "vgg16-64": {"Conv2d": 13, "MaxPool2d": 5, "AdaptiveAvgPool2d": 1, "ReLU": 15, "Linear": 3, "Dropout": 2},
    "vgg19": {"Conv2d": 16, "MaxPool2d": 5, "ReLU": 18, "Linear": 3, "Dropout": 2},
    "googlenet": {"Conv2d": 57, "MaxPool2d": 13, "AdaptiveAvgPool2d": 1, "ReLU": 57, "Linear": 1, "Dropout": 1},
    "mobilenet": {"Conv2d": 27, "BatchNorm2d": 27, "ReLU6": 27, "AvgPool2d": 1, "Linear": 1},
    "resnet18": {
        "Conv2d": 20,
        "BatchNorm2d": 17,
        "MaxPool2d": 1,
        "AdaptiveAvgPool2d": 1,
        "ReLU": 17,
        "Linear": 1,
        "Identity": 5,
    },
    "resnet18-tv": {"Conv2d": 20, "BatchNorm2d": 20, "MaxPool2d": 1, "AdaptiveAvgPool2d": 1, "ReLU": 9, "Linear": 1},
}


def on_meta(id: str, **settings) -> nn.Module:
    with torch.device("meta"):
        return build_network(id, **settings)


def another(option: ArchOption) -> object:
    if option.kind is bool:
        return not option.default
    if option.kind is list:
        return [item + 4 for item in option.default]
    if option.is_layer_list:
        return "conv 4 3, tanh, avgpool 3"
    if option.kind is str:
        return option.choices[1]
    return option.default + (3 if option.kind is int else 0.0625)


@pytest.mark.parametrize(("id", "option"), OPTIONS, ids=lambda part: getattr(part, "name", part))
def test_each_option_changes_the_layers(id: str, option: ArchOption) -> None:
    plain, changed = on_meta(id), on_meta(id, options={option.name: another(option)})
    if option.name in HIDDEN:
        assert any(vars(one) != vars(other) for one, other in zip(plain.modules(), changed.modules(), strict=True))
    else:
        assert repr(plain) != repr(changed)


@pytest.mark.parametrize("id", [id for id, option in OPTIONS if option.name == "dropout"])
def test_the_dropout_option_is_the_rate_of_every_dropout_layer(id: str) -> None:
    network = on_meta(id, options={"dropout": 0.0625})
    assert {layer.p for layer in network.modules() if isinstance(layer, nn.Dropout | nn.Dropout2d)} == {0.0625}


LAYERS_OF = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


@pytest.mark.parametrize("id", [id for id, option in OPTIONS if option.name == "activation"])
def test_the_activation_replaces_every_relu_and_nothing_else(id: str) -> None:
    plain = on_meta(id)
    count = sum(type(layer) is nn.ReLU for layer in plain.modules())
    tensors = {name: each.shape for name, each in plain.state_dict().items()}
    for name in OFFERED:
        network = on_meta(id, options={"activation": name})
        kinds = Counter(type(layer) for layer in network.modules())
        assert {name: each.shape for name, each in network.state_dict().items()} == tensors
        assert {kind: kinds[kind] for kind in LAYERS_OF.values() if kinds[kind]} == (
            {LAYERS_OF[name]: count} if name != "none" else {}
        )
        named = [path for path, layer in network.named_modules() if type(layer) in LAYERS_OF.values()]
        assert all(path.rpartition(".")[2].rstrip("0123456789") == name for path in named)


def test_without_activations_the_hidden_layers_are_one_linear_function() -> None:
    layers = hidden_group([5, 4, 3], classes=2, activation="none")
    x, y = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layers(x + y) + layers(torch.zeros(5)), layers(x) + layers(y))
    curved = hidden_group([5, 4, 3], classes=2, activation="tanh")
    assert (curved(x + y) + curved(torch.zeros(5)) - curved(x) - curved(y)).abs().max() > 1e-3


@pytest.mark.parametrize("id", ALL)
def test_every_network_accepts_colour_images_and_any_number_of_classes(id: str) -> None:
    large = get_architecture(id).default_input_size == "224"  # on the meta device the size has no cost
    network = on_meta(id, channels=3, classes=7, image_size=40).eval()
    assert network(torch.empty(2, 3, 40, 40, device="meta")).shape == (2, 7)
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == 3
    if large:
        assert next(layer.size for layer in network.modules() if isinstance(layer, Resize)) == 224


def test_auxiliary_classifiers_have_the_number_of_classes() -> None:
    trained = on_meta("googlenet", channels=3, classes=7, options={"aux": True}).train()(
        torch.empty(2, 3, 28, 28, device="meta")
    )
    assert isinstance(trained, WithAuxiliary)
    assert {tuple(logits.shape) for logits in (trained.logits, *trained.auxiliary)} == {(2, 7)}


@pytest.mark.parametrize("id", LAYERS)
def test_the_number_of_layers_of_each_kind_is_that_of_the_paper(id: str) -> None:
    leaves = Counter(type(layer).__name__ for layer in on_meta(id).modules() if not list(layer.children()))
    for helper in ("Resize", "Flatten", "ModuleDict"):
        del leaves[helper]
    assert leaves == LAYERS[id]


@pytest.mark.parametrize("id", ["vgg11", "vgg19", "vgg-small"])
def test_vgg_halves_sizes_rounding_down(id: str) -> None:
    """As in torch and the paper: pooling of 2×2 with stride 2, and nothing beyond the edge."""
    pools = [layer for layer in on_meta(id).modules() if isinstance(layer, nn.MaxPool2d)]
    assert {(layer.kernel_size, layer.stride, layer.ceil_mode) for layer in pools} == {(2, 2, False)}


def test_images_are_smoothed_when_downscaled_and_not_when_upscaled() -> None:
    """Every fourth column is 1: at a quarter of the size each value is the mean, which point samples would miss."""
    lines = torch.zeros(1, 1, 32, 32)
    lines[..., ::4] = 1.0
    torch.testing.assert_close(Resize(8)(lines)[..., 2:-2, 2:-2], torch.full((1, 1, 4, 4), 0.25))
    spot = torch.zeros(1, 1, 8, 8)
    spot[..., 4, 4] = 1.0
    assert Resize(16)(spot).max().item() == 0.75 * 0.75  # sampled a quarter of a pixel off in both directions
    assert Resize(8)(spot) is spot
