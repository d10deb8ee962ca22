"""A list of layers as text: what it means, its normal form, what is refused, and the networks that it describes."""

import pytest
import torch
from torch import nn

from lab.architectures.build import LayerShapeError, build_network
from lab.architectures.custom import layers_as_text
from lab.architectures.layer_list import LAYER_WORDS, MAX_LAYERS, add_layers, lines_of, normalise_layers
from lab.architectures.registry import find_layer_list, get_architecture, list_architectures
from lab.errors import ConfigError
from lab.seeding import seed_everything

CUSTOM, LAYERS = find_layer_list()
# Networks with branches, frozen weights, or layers that no word has.
NOT_LISTED = {"speedrun-cnn", "resnet-small", "resnet18-tv", "vgg16-64", "mobilenet", "googlenet"}
OWN_WEIGHTS = {"vgg-small"}  # drawn in its own way
LARGE = {"vgg11", "vgg19", "alexnet", "resnet18", "wide-cnn"}  # compared without weights


def built(layers: str, **settings) -> nn.Module:
    seed_everything(0)
    return build_network(CUSTOM.id, options={LAYERS.name: layers}, **settings)


def leaves(network: nn.Module) -> list[str]:
    return [repr(module) for module in network.modules() if not any(module.children())]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("conv 16 5, relu, maxpool 2, linear 64", "conv 16 5, relu, maxpool 2, linear 64"),
        ("Conv2d 16 5x5\nReLU\nMaxPool2d\n\nLinear 64", "conv 16 5, relu, maxpool 2, linear 64"),
        ("conv 16; BatchNorm2d; LeakyReLU;", "conv 16 3, batchnorm, leaky_relu"),
        ("conv kernel 5 channels 16 stride 1", "conv 16 5"),
        ("conv padding 2 16 5", "conv 16 5 padding 2"),
        ("maxpool 3 stride 3, maxpool 3 stride 2 padding 1", "maxpool 3, maxpool 3 stride 2 padding 1"),
        ("pool, gap, bn, dense 8, dropout .25", "maxpool 2, globalpool, batchnorm, linear 8, dropout 0.25"),
        ("Dropout2d 0.2, Dropout 0.2", "dropout2d 0.2, dropout 0.2"),
        ("residual 32 stride 2", "residual 32 stride 2"),
        ("", ""),
    ],
)
def test_equal_layers_have_one_normal_form(text: str, normal: str) -> None:
    assert normalise_layers(text) == normal
    assert normalise_layers(normal) == normal
    assert normalise_layers(lines_of(text)) == normal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("relu, cnv 3", "Layer 2 is 'cnv 3', but there is no layer 'cnv'. Did you mean 'conv'?"),
        (
            "conv",
            "Layer 1 is 'conv', but channels is missing: it is written 'conv CHANNELS kernel 3 stride 1 padding 0'.",
        ),
        (
            "maxpool 2 2",
            "Layer 1 is 'maxpool 2 2', but '2' is one value too many: it is written "
            "'maxpool window 2 stride WINDOW padding 0'.",
        ),
        (
            "linear nan",
            "Layer 1 is 'linear nan', but units must be a whole number from 1 to 16384: it is written 'linear UNITS'.",
        ),
        ("linear 2.5", "but units must be a whole number from 1 to 16384"),
        ("conv 8 5x3", "but kernel must be a whole number from 1 to 31"),
        ("dropout 1", "but rate must be a number from 0.0 to 0.95"),
        ("conv 8 stride", "but stride must be a whole number from 1 to 16"),
        ("conv 8 stride 2 stride 1", "but stride is given twice."),
        ("Conv2d(1, 16)", "but layers are written without brackets, such as 'conv 16 5 padding 2'."),
        ("flatten", "but maps are flattened before the first linear layer without it: leave it out."),
        ("maxpool 2 padding 2", "but the padding of a pooling must be at most half of its window."),
        (
            "linear 8, relu, conv 4",
            "Layer 3 is 'conv 4 3', which needs maps, but it comes after 'linear 8', which has none: put it before "
            "the first linear layer.",
        ),
        (", ".join(["relu"] * (MAX_LAYERS + 1)), "The network has 101 layers, but 100 is the most that can be listed."),
    ],
)
def test_a_wrong_layer_is_refused_with_its_number_and_the_rule(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        normalise_layers(text)
    assert message in str(caught.value)
    assert caught.value.field == "arch_options"


@pytest.mark.parametrize("value", [None, True, 1, 0.5])
def test_only_text_is_a_list_of_layers(value: object) -> None:
    with pytest.raises(ConfigError, match="it must be a list of layers, such as 'conv 16 5, relu, maxpool 2'"):
        LAYERS.check(value, arch=CUSTOM.id)


def test_a_flag_that_was_split_at_its_commas_is_the_same_list() -> None:
    assert LAYERS.check(["conv 16 5", " relu"], arch=CUSTOM.id) == LAYERS.check("conv 16 5, relu", arch=CUSTOM.id)


@pytest.mark.parametrize("word", LAYER_WORDS, ids=lambda word: word.word)
def test_every_word_builds_a_layer_that_is_read_back(word) -> None:
    given = [f"{2 if argument.whole else 0.5}" for argument in word.arguments if not argument.named]
    layer = " ".join([word.word, *given])
    network = built(layer)
    assert layers_as_text(network) == normalise_layers(layer)
    assert network(torch.rand(3, 1, 28, 28)).shape == (3, 10)


def test_layers_have_the_shapes_and_parameters_of_their_arguments() -> None:
    network = built(
        "conv 6 5 padding 2, tanh, avgpool 2, residual 8 stride 2, residual 8 stride 2, linear 20, batchnorm"
    )
    assert [name for name, _ in network.features.named_children()] == [
        "conv1",
        "tanh1",
        "pool1",
        "residual1",
        "residual2",
    ]
    assert [name for name, _ in network.classifier.named_children()] == ["fc1", "bn1", "fc2"]
    assert network.features(torch.rand(2, 1, 28, 28)).shape == (2, 8, 4, 4)  # 28 → 14 → 7 → 4
    block = (6 * 9 * 8 + 8) + 16 + (8 * 9 * 8 + 8) + 16 + (6 * 8 + 8)
    same = 2 * (8 * 9 * 8 + 8) + 32 + (8 * 8 + 8)  # with stride 2, the shortcut is a convolution too
    linear = 8 * 4 * 4 * 20 + 20 + 40 + 20 * 10 + 10
    assert sum(p.numel() for p in network.parameters()) == 6 * 25 + 6 + block + same + linear


def test_without_convolutions_the_image_is_flattened() -> None:
    network = built("linear 5, relu")
    assert [name for name, _ in network.named_children()] == ["resize", "flatten", "classifier"]
    assert sum(p.numel() for p in network.parameters()) == 784 * 5 + 5 + 50 + 10
    assert sum(p.numel() for p in built("", channels=3).parameters()) == 3 * 784 * 10 + 10


def test_layers_that_shrink_the_maps_too_far_are_refused_with_the_layer_and_the_smallest_size() -> None:
    with pytest.raises(LayerShapeError) as caught:
        built("conv 8 5, maxpool 4, conv 8 7")
    assert str(caught.value) == (
        "custom cannot take 28×28 images (features.conv2 (Conv2d) cannot take 8×6×6); the smallest size that works is "
        "32×32: choose input size 32 or 64 or 224."
    )


def test_the_layers_of_registered_networks_are_listed_unless_no_list_describes_them() -> None:
    for arch in list_architectures():
        with torch.device("meta"):
            network = build_network(arch.id)
        assert (layers_as_text(network) is None) is (arch.id in NOT_LISTED), arch.id
    with torch.device("meta"):
        lenet = build_network("lenet5")
    assert layers_as_text(lenet) == (
        "conv 6 5, relu, maxpool 2, conv 16 5, relu, maxpool 2, linear 120, relu, linear 84, relu"
    )
    assert layers_as_text(nn.Linear(2, 2)) is None


@pytest.mark.parametrize("id", [a.id for a in list_architectures() if a.id not in NOT_LISTED and a is not CUSTOM])
def test_the_listed_layers_build_the_same_network(id: str) -> None:
    size = get_architecture(id).default_input_size
    seed_everything(0)
    with torch.device("meta" if id in LARGE else "cpu"):
        network = build_network(id)
        text = layers_as_text(network)
        assert text is not None
        rebuilt = built(text, input_size=size)
    assert leaves(rebuilt) == leaves(network)
    if id not in LARGE | OWN_WEIGHTS:
        for one, other in zip(network.parameters(), rebuilt.parameters(), strict=True):
            assert torch.equal(one, other)


def test_other_settings_of_a_layer_than_a_list_can_have_are_not_dropped() -> None:
    for layer in (
        nn.Conv2d(1, 4, 3, padding="same"),
        nn.Conv2d(1, 4, 3, bias=False),
        nn.Conv2d(1, 4, (3, 5)),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.LeakyReLU(0.2),
        nn.BatchNorm2d(1, affine=False),
        nn.AdaptiveAvgPool2d(2),
        nn.GroupNorm(1, 1),
    ):
        network = built("conv 1 1, linear 3")
        network.features.add_module("more", layer)
        assert layers_as_text(network) is None, layer


def test_more_layers_come_before_the_first_linear_one_if_they_need_maps() -> None:
    text = "conv 8 3\nrelu\nlinear 64\nrelu"
    assert add_layers(text, "conv 16 3, relu") == "conv 8 3\nrelu\nconv 16 3\nrelu\nlinear 64\nrelu"
    assert add_layers(text, "dropout 0.5") == f"{text}\ndropout 0.5"
    assert add_layers("conv 8 3, relu", "maxpool 2") == "conv 8 3\nrelu\nmaxpool 2"
    assert add_layers("", "linear 8, relu") == "linear 8\nrelu"
    assert add_layers("nothing\nLinear 8", "residual 8") == "nothing\nresidual 8\nLinear 8"
