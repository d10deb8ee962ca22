"""Counts of every network against the reports, input sizes that they accept and refuse, and their outputs."""

from functools import cache

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network, smallest_size
from lab.architectures.googlenet import WithAuxiliary
from lab.architectures.registry import get_architecture, list_architectures
from lab.errors import ConfigError, ShapeError, UnknownNameError
from lab.inspection.summary import summarize

# id: parameters, mult-adds and forward/backward megabytes, with the digits printed in reference/experiments.md
KNOWN = {
    "conv2-fc2": (1_625_866, "1046.96 M", "38.61"),
    "conv3-bn": (125_642, "1444.56 M", "90.18"),
    "conv2-bn": (35_530, "161.16 M", "32.25"),
    "wide-cnn": (26_585_098, "3992.65 M", "77.73"),
    "basic-cnn": (21_840, "31.21 M", "3.64"),
    "lenet5": (61_706, "27.07 M", "3.34"),
    "lenet-bn": (61_750, "27.08 M", "6.56"),
    "alexnet": (46_764_746, "60.08 G", "311.63"),
    "vgg11": (128_806_154, "483.50 G", "3806.34"),
    "vgg19": (139_610_058, "1.25 T", "7608.47"),
    "mobilenet": (3_216_650, "35.87 G", "5163.72"),
    "resnet18": (11_178_378, "111.19 G", "2453.41"),
    "googlenet": (5_977_530, "96.40 G", "1651.80"),
    "vgg16-64": (134_300_362, "9.29 G", "64.52"),
    "vgg-small": (1_899_850, "4767.77 M", "154.34"),
    "resnet18-tv": (11_175_370, "2113.32 M", "44.05"),
    "resnet-small": (41_514, "129.93 M", "8.66"),
}
UNITS = {"M": 1e6, "G": 1e9, "T": 1e12}
ALL = [arch.id for arch in list_architectures()]
SMALL = ["lenet5", "lenet-bn", "basic-cnn", "speedrun-cnn", "conv2-fc2", "conv2-bn", "conv3-bn", "resnet-small"]


@cache
def smallest(id: str) -> int | None:
    return smallest_size(get_architecture(id))


def on_meta(id: str, **settings) -> nn.Module:
    with torch.device("meta"):
        return build_network(id, **settings)


@pytest.mark.parametrize("id", KNOWN)
def test_counts_equal_those_of_the_reports(id: str) -> None:
    params, mult_adds, megabytes = KNOWN[id]
    batch = 8 if id == "vgg16-64" else 64
    summary = summarize(on_meta(id), input_shape=(batch, 1, 28, 28))
    assert summary.total_params == params
    number, unit = mult_adds.split()
    assert f"{summary.total_mult_adds / UNITS[unit]:.2f}" == number
    assert f"{summary.forward_backward_bytes / 1e6:.2f}" == megabytes


def test_the_known_answers_cover_the_registry() -> None:
    assert set(ALL) == set(KNOWN) | {"speedrun-cnn", "pytorch-example", "custom"}


@pytest.mark.parametrize("size", ["native", "32", "64", "224"])
@pytest.mark.parametrize("id", ALL)
def test_every_input_size_works_or_is_refused_with_the_smallest_that_works(id: str, size: str) -> None:
    pixels = 28 if size == "native" else int(size)
    try:
        network = on_meta(id, input_size=size).eval()
    except ShapeError as error:
        least = smallest(id)
        assert least is not None
        assert least > pixels
        assert f"the smallest size that works is {least}×{least}" in str(error)
    else:
        assert network(torch.empty(2, 1, 28, 28, device="meta")).shape == (2, 10)
        assert network.get_submodule("resize").size == pixels


@pytest.mark.parametrize(("id", "expected"), [("vgg11", 32), ("vgg16-64", 34), ("alexnet", 67), ("basic-cnn", 16)])
def test_the_smallest_input_size_follows_from_the_layers(id: str, expected: int) -> None:
    assert smallest(id) == expected


def test_a_refused_input_size_is_reported_with_the_layer_the_shape_and_advice() -> None:
    with pytest.raises(ShapeError, match=r"features\.pool5 \(MaxPool2d\) cannot take 512×1×1.*choose input size 32"):
        build_network("vgg11", input_size="native")


def test_options_determine_the_smallest_input_size() -> None:
    with pytest.raises(ShapeError, match="smallest size that works is 32×32"):
        build_network("wide-cnn", options={"widths": [4] * 6})


@pytest.mark.parametrize("id", SMALL)
def test_small_networks_compute_finite_logits_and_gradients(id: str) -> None:
    torch.manual_seed(0)
    network = build_network(id)
    logits_BK = network(torch.randn(4, 1, 28, 28))
    assert logits_BK.shape == (4, 10)
    assert torch.isfinite(logits_BK).all()
    assert (logits_BK.std(dim=0) > 0).any()  # the output depends on the image
    logits_BK.square().sum().backward()
    trainable = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    for name, parameter in trainable:
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert any((parameter.grad != 0).any() for _, parameter in trainable)


@pytest.mark.parametrize("side", [16, 28, 32])
def test_images_of_another_size_are_resized_to_the_input_size(side: int) -> None:
    torch.manual_seed(0)
    network = build_network("lenet5", image_size=side).eval()
    x_BCHW = torch.randn(2, 1, side, side)
    resized_BCHW = nn.functional.interpolate(x_BCHW, size=(32, 32), mode="bilinear")
    torch.testing.assert_close(network(x_BCHW), network(resized_BCHW), rtol=1e-5, atol=1e-6)


def test_options_change_the_layers_they_name() -> None:
    wide = build_network("wide-cnn", options={"widths": [4, 8], "hidden": [16], "batch_norm": False})
    assert [m.out_channels for m in wide.modules() if isinstance(m, nn.Conv2d)] == [4, 8]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in wide.modules())
    assert [m.out_features for m in wide.modules() if isinstance(m, nn.Linear)] == [16, 10]
    assert {m.p for m in build_network("basic-cnn", options={"dropout": 0.25}).modules() if hasattr(m, "p")} == {0.25}


def test_layers_are_in_the_order_of_the_reports() -> None:
    assert [name for name, _ in build_network("basic-cnn").get_submodule("features").named_children()] == [
        "conv1",
        "pool1",
        "relu1",
        "conv2",
        "drop2",
        "pool2",
        "relu2",
    ]
    assert [name for name, _ in build_network("lenet5").get_submodule("features").named_children()] == [
        "conv1",
        "relu1",
        "pool1",
        "conv2",
        "relu2",
        "pool2",
    ]


@pytest.mark.parametrize("id", ALL)
def test_options_that_keep_the_layers_do_not_affect_which_images_are_accepted(id: str) -> None:
    """A run with only such options is queued without building the network, because building it imports torch."""
    arch = get_architecture(id)
    keeping = {o.name: [2] * o.items[0] if o.kind is list else 0.5 for o in arch.options if o.keeps_layers}
    for options in ({}, keeping):
        with torch.device("meta"):
            build_network(id, classes=10, input_size=arch.default_input_size, options=options)


def test_the_same_seed_gives_the_same_weights() -> None:
    torch.manual_seed(3)
    first = build_network("vgg-small").state_dict()
    torch.manual_seed(3)
    second = build_network("vgg-small").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_vgg_small_is_initialised_as_in_report_e() -> None:
    torch.manual_seed(0)
    network = build_network("vgg-small")
    linear, convolution = network.get_submodule("classifier.fc1"), network.get_submodule("features.conv2_2")
    assert linear.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert linear.bias.abs().max().item() == 0
    assert convolution.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)  # sqrt(2 / fan out)


@pytest.mark.parametrize("size", ["32", "64", "224"])
def test_googlenet_has_two_auxiliary_classifiers_in_training_only(size: str) -> None:
    network = on_meta("googlenet", input_size=size, options={"aux": True}, classes=7)
    x = torch.empty(2, 1, 28, 28, device="meta")
    trained = network.train()(x)
    assert isinstance(trained, WithAuxiliary)
    assert [tuple(t.shape) for t in (trained.logits, *trained.auxiliary)] == [(2, 7)] * 3
    assert network.eval()(x).shape == (2, 7)


def test_the_auxiliary_classifiers_are_attached_to_4a_and_4d_as_in_the_paper() -> None:
    network = on_meta("googlenet", options={"aux": True})
    sizes = {n: m.in_features for n, m in network.named_modules() if n.endswith("fc1")}
    assert sizes == {"auxiliary.inception4a.fc1": 2048, "auxiliary.inception4d.fc1": 2048}  # 128 × 4 × 4
    assert [m.in_channels for n, m in network.named_modules() if n.startswith("aux") and n.endswith("conv")] == [
        512,
        528,
    ]


def test_gradients_of_auxiliary_losses_reach_the_first_layer() -> None:
    torch.manual_seed(0)
    network = build_network("googlenet", input_size="32", options={"aux": True}).train()
    for extra in network(torch.randn(2, 1, 28, 28)).auxiliary:
        (gradient,) = torch.autograd.grad(
            extra.sum(), network.get_parameter("features.conv1.weight"), retain_graph=True
        )
        assert gradient.abs().sum() > 0


def test_googlenet_without_the_option_returns_plain_logits_in_training() -> None:
    assert isinstance(on_meta("googlenet").train()(torch.empty(2, 1, 28, 28, device="meta")), torch.Tensor)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 0}, "classes is 0"),
        ({"image_size": -3}, "image_size is -3"),
        ({"channels": "1"}, "channels is '1'"),
        ({"options": {"aux": True}}, "no option 'aux'"),
    ],
)
def test_invalid_settings_are_refused_with_the_value(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_network("lenet5", **settings)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'alexnet'"):
        build_network("alexnt")
