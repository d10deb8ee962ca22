"""Every kind of layer: its receptive field by arithmetic and by gradients, its box, and where Grad-CAM reads."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lab.architectures.build import build_network
from lab.architectures.outline import FAMILY_COLOURS
from lab.architectures.registry import list_architectures
from lab.inspection.attribution import attribute
from lab.inspection.graph import trace_graph
from lab.inspection.kernels import list_convolutions
from lab.inspection.layer_kinds import FAMILIES, LAYER_KINDS, field_after, kind_of
from lab.inspection.layout import draw
from lab.inspection.observe import feature_maps, list_layers
from lab.inspection.picture import boxes
from lab.inspection.receptive_field import ReceptiveField, sliding
from lab.inspection.summary import summarize

SIDE = 12  # rows of the input map of a layer under test
IMAGE = 2 * (SIDE - 1) + 3  # rows of the image
STEM = sliding(ReceptiveField.of_image(IMAGE), side=SIDE, kernel=5, stride=2, padding=1)

# a layer, and by arithmetic the size and stride of its field after one of size 5 with stride 2
BY_ARITHMETIC: list[tuple[nn.Module, tuple[int, int | None] | None]] = [
    *[
        (activation, (5, 2))
        for activation in (
            nn.ReLU(),
            nn.ReLU6(),
            nn.LeakyReLU(),
            nn.PReLU(),
            nn.ELU(),
            nn.SELU(),
            nn.CELU(),
            nn.GELU(),
            nn.SiLU(),
            nn.Mish(),
            nn.Hardswish(),
            nn.Hardtanh(),
            nn.Hardsigmoid(),
            nn.Sigmoid(),
            nn.Tanh(),
            nn.Softplus(),
        )
    ],
    (nn.BatchNorm2d(4), (5, 2)),
    (nn.LayerNorm([4, SIDE, SIDE]), (5, 2)),
    (nn.GroupNorm(2, 4), (5, 2)),
    (nn.InstanceNorm2d(4), (5, 2)),
    (nn.LocalResponseNorm(2), (5, 2)),
    (nn.Dropout(), (5, 2)),
    (nn.Dropout2d(), (5, 2)),
    (nn.Identity(), (5, 2)),
    (nn.Softmax(dim=1), (5, 2)),
    (nn.Softmax(dim=-1), None),
    (nn.LogSoftmax(dim=1), (5, 2)),
    (nn.Conv2d(4, 4, 3), (5 + 2 * 2, 2)),
    (nn.Conv2d(4, 4, 3, stride=2, padding=1), (9, 4)),
    (nn.Conv2d(4, 4, 3, dilation=2), (5 + 4 * 2, 2)),
    (nn.Conv2d(4, 4, 3, padding="same"), (9, 2)),
    (nn.Conv2d(4, 4, 3, padding="valid"), (9, 2)),
    (nn.Conv2d(4, 4, (3, 1)), None),
    (nn.MaxPool2d(2), (5 + 2, 4)),
    (nn.MaxPool2d(3, 2, padding=1), (9, 4)),
    (nn.MaxPool2d(2, 1, dilation=3), (5 + 3 * 2, 2)),
    (nn.AvgPool2d(3), (9, 6)),
    (nn.AdaptiveAvgPool2d(1), (5 + 11 * 2, 24)),
    (nn.AdaptiveMaxPool2d(6), (7, 4)),
    (nn.AdaptiveAvgPool2d(12), (5, 2)),
    (nn.AdaptiveAvgPool2d(5), (5 + 3 * 2, None)),  # windows of 3 and 4 rows
    (nn.ConvTranspose2d(4, 4, 2, stride=2), (5, None)),  # each row twice
    (nn.ConvTranspose2d(4, 4, 3, padding=1), (9, 2)),
    (nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1), (7, None)),
    (nn.ConvTranspose2d(4, 4, 1, stride=2), None),  # every second row depends on no pixel
    (nn.Upsample(scale_factor=2), (5, None)),
    (nn.Upsample(size=36), (5, None)),
    (nn.Upsample(scale_factor=2, mode="bilinear"), (7, None)),
    (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), None),
    (nn.Upsample(scale_factor=1.5), None),
    (nn.ZeroPad2d(2), (5, 2)),
    (nn.ZeroPad2d((1, 1, 0, 0)), None),
    (nn.Flatten(), None),
    (nn.Linear(SIDE, 3), None),
]
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)


def name_of(value: object) -> str:
    return repr(value) if isinstance(value, nn.Module) else ""


def after_stem(layer: nn.Module) -> ReceptiveField | None:
    with torch.no_grad():
        shape = layer.eval()(torch.zeros(1, 4, SIDE, SIDE)).shape
    return field_after(STEM, layer, output_shape=tuple(shape))


@pytest.mark.parametrize(("layer", "expected"), BY_ARITHMETIC, ids=name_of)
def test_the_receptive_field_of_a_layer_agrees_with_arithmetic(
    layer: nn.Module, expected: tuple[int, int | None] | None
) -> None:
    field = after_stem(layer)
    assert (None if field is None else (field.size, field.stride)) == expected


def test_every_layer_kind_has_a_case_by_arithmetic() -> None:
    tried = {type(layer) for layer, _ in BY_ARITHMETIC}
    assert {class_.__name__ for class_ in set(LAYER_KINDS) - tried} == {"Resize", "Crop", "BatchNorm1d"}


def through(layer: nn.Module) -> nn.Module:
    """Return a layer to which its whole window contributes: positive weights; convolution or mean for a maximum."""
    if isinstance(layer, nn.MaxPool2d):
        layer = nn.Conv2d(4, 4, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    if isinstance(layer, nn.AdaptiveMaxPool2d):
        return nn.AdaptiveAvgPool2d(layer.output_size)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, 0.01, 0.02)
    return layer.eval()


GRADIENTS = [
    layer
    for layer, expected in BY_ARITHMETIC
    if expected and not isinstance(layer, NORMS) and not isinstance(layer, nn.Hardtanh | nn.Hardsigmoid)
]


@pytest.mark.parametrize("layer", GRADIENTS, ids=name_of)
def test_windows_are_exactly_where_gradients_reach(layer: nn.Module) -> None:
    stem = through(nn.Conv2d(1, 4, 5, stride=2, padding=1))
    x = torch.rand(1, 1, IMAGE, IMAGE).requires_grad_()
    maps = through(layer)(stem(x))
    field = after_stem(layer)
    assert field is not None
    assert field.side == maps.shape[2]
    for row in range(field.side):
        (gradient,) = torch.autograd.grad(maps[0, 0, row].sum(), x, retain_graph=True, allow_unused=True)
        reached = gradient[0, 0].abs().sum(1).nonzero().flatten().tolist()
        assert ((reached[0], reached[-1]) if reached else (0, -1)) == field.pixels(row), row


def test_fields_compose_across_upsampling() -> None:
    """Downsampling and upsampling by 2 gives the same positions: rows 2i and 2i + 1 depend on pixels 2i and 2i + 1."""
    field: ReceptiveField | None = ReceptiveField.of_image(28)
    for layer, side in ((nn.MaxPool2d(2), 14), (nn.Upsample(scale_factor=2), 28)):
        field = field_after(field, layer, output_shape=(1, 1, side, side))
    assert field is not None
    assert [field.pixels(row) for row in (0, 1, 2, 27)] == [(0, 1), (0, 1), (2, 3), (26, 27)]
    again = field_after(field, nn.AvgPool2d(2), output_shape=(1, 1, 14, 14))
    assert again is not None
    assert (again.size, again.stride) == (2, 2)


class Odd(nn.Module):
    """A layer that the table does not know."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW.flip(-1)


class Swish(nn.SiLU):
    """A layer with a base class that the table knows."""


@pytest.mark.parametrize("arch", [arch.id for arch in list_architectures()])
def test_every_leaf_of_every_network_has_a_row_in_the_table(arch: str) -> None:
    with torch.device("meta"):
        network = build_network(arch)
    containers = (nn.ModuleDict, nn.ModuleList, nn.Sequential)  # an empty one is not a layer
    leaves = [m for m in network.modules() if not any(m.children()) and not isinstance(m, containers)]
    known = {id(kind) for kind in LAYER_KINDS.values()}
    assert [type(leaf).__name__ for leaf in leaves if id(kind_of(leaf)) not in known] == []


def test_every_family_of_layers_has_a_colour() -> None:
    assert {kind.family for kind in LAYER_KINDS.values()} <= set(FAMILIES)
    assert set(FAMILIES) | {"block"} == set(FAMILY_COLOURS)


def test_a_layer_without_a_row_is_shown_by_its_class_and_a_derived_class_like_its_base() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), Swish(), Odd(), nn.Conv2d(4, 4, 3))
    nodes = trace_graph(network, input_shape=(1, 1, 28, 28))
    assert [(box.detail, box.family) for box in boxes(nodes)] == [
        ("input", "input"),
        ("convolution · SiLU", "convolution"),
        ("Odd", "other"),
        ("convolution", "convolution"),
    ]
    assert [node.type for node in nodes] == ["Input", "Conv2d", "Swish", "Odd", "Conv2d"]
    assert [node.field and node.field.size for node in nodes] == [1, 3, 3, None, None]
    assert "Odd" in draw(boxes(nodes)).svg


FOLDED = {
    "BN": nn.BatchNorm2d(4),
    "layer norm": nn.LayerNorm([4, 8, 8]),
    "group norm": nn.GroupNorm(2, 4),
    "SiLU": nn.SiLU(),
    "GELU": nn.GELU(),
    "Tanh": nn.Tanh(),
    "LeakyReLU": nn.LeakyReLU(),
    "ELU": nn.ELU(),
    "Hardswish": nn.Hardswish(),
    "dropout": nn.Dropout2d(),
    "softmax": nn.Softmax(dim=1),
}
APART = {
    "average pooling": nn.AvgPool2d(2),
    "max pooling": nn.AdaptiveMaxPool2d(4),
    "transposed convolution": nn.ConvTranspose2d(4, 4, 2, stride=2),
    "upsampling": nn.Upsample(scale_factor=2),
    "zero padding": nn.ZeroPad2d(1),
    "flatten": nn.Flatten(),
    "shortcut": nn.Identity(),
}


@pytest.mark.parametrize("label", FOLDED)
def test_norms_activations_and_dropout_are_drawn_with_the_layer_before_them(label: str) -> None:
    nodes = trace_graph(nn.Sequential(nn.Conv2d(1, 4, 3), FOLDED[label]), input_shape=(1, 1, 10, 10))
    assert [box.detail for box in boxes(nodes)] == ["input", f"convolution · {label}"]
    assert len(boxes(nodes, detail="everything")) == 3


@pytest.mark.parametrize("label", APART)
def test_layers_that_change_the_map_have_their_own_box(label: str) -> None:
    nodes = trace_graph(nn.Sequential(nn.Conv2d(1, 4, 3), APART[label]), input_shape=(1, 1, 10, 10))
    assert [box.detail for box in boxes(nodes)] == ["input", "convolution", label]


class Modern(nn.Module):
    """A small network of the newer kinds, with a shortcut, functions between layers, and a view by size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.SiLU())
        self.down = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(8, 8, 3, padding="same"), nn.LayerNorm([8, 14, 14]))
        self.act = nn.GELU()
        self.up = nn.Sequential(nn.ConvTranspose2d(8, 8, 2, stride=2), nn.Hardswish(), nn.Upsample(scale_factor=2))
        self.last = nn.Sequential(nn.Conv2d(8, 6, 3, stride=2), nn.BatchNorm2d(6), nn.LeakyReLU(), nn.Dropout2d())
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 10))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.stem(x_BCHW)
        down = self.down(x_BCHW)
        x_BCHW = nn.functional.silu(self.up(self.act(down) + down))
        x_BCHW = self.pool(self.last(x_BCHW))
        logits_BK: Tensor = self.head(x_BCHW.view(x_BCHW.size(0), -1))
        return logits_BK


@pytest.fixture(scope="module")
def modern() -> nn.Module:
    torch.manual_seed(0)
    return Modern().eval()


def test_a_network_of_new_kinds_is_summarised_and_drawn(modern: nn.Module) -> None:
    nodes = trace_graph(modern, input_shape=(1, 1, 28, 28))
    assert [box.detail for box in boxes(nodes)] == [
        "input",
        "zero padding",
        "convolution · group norm · SiLU",
        "average pooling",
        "convolution · layer norm",
        "GELU",
        "sum",
        "transposed convolution · Hardswish",
        "upsampling · SiLU",
        "convolution · BN · LeakyReLU · dropout",
        "max pooling",
        "view",
        "linear · BN · Tanh",
        "linear",
    ]
    sizes = {node.name: (node.field.size, node.field.stride) for node in nodes if node.field is not None}
    # 3; pooled 4 with stride 2; after a 3×3 8; upsampled twice, four rows share a window; a 3×3 spans two windows
    assert sizes["stem.3"] == (3, 1)
    assert sizes["down.1"] == sizes["act"] == (8, 2)
    assert sizes["up.0"] == sizes["up.2"] == (8, None)
    assert sizes["last.2"] == (10, None)
    rows = {
        row.name: row.receptive_field for row in summarize(modern, input_shape=(2, 1, 28, 28)).layers if row.is_leaf
    }
    assert rows["last.3"] == 10
    assert rows["head.0"] is None


def test_a_network_of_new_kinds_shows_maps_and_grad_cam(modern: nn.Module) -> None:
    x = torch.rand(1, 1, 28, 28)
    shown = [view.name for view in list_layers(modern, image_size=28) if view.has_maps]
    for name in shown:
        assert np.isfinite(feature_maps(modern, x, layer=name).values).all()
    assert list_convolutions(modern) == ("stem.1", "down.1", "last.0")
    heat = attribute(modern, x, target=3, method="grad-cam", black=0.0).values
    assert heat.shape == (28, 28)
    assert heat.max() > 0


@pytest.mark.parametrize(
    ("norm", "activation"),
    list(itertools.product((nn.BatchNorm2d(4), nn.GroupNorm(2, 4)), (nn.SiLU(), nn.GELU(), nn.LeakyReLU()))),
    ids=name_of,
)
def test_grad_cam_reads_after_norm_and_activation(norm: nn.Module, activation: nn.Module) -> None:
    """With a linear layer on the means, the gradients are its weights, so the map is known (section 3)."""
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), norm, activation)
    network = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    x = torch.rand(1, 1, 8, 8)
    with torch.no_grad():
        maps = features(x)[0]
        expected = (network[3].weight[1][:, None, None] / 64 * maps).sum(0).relu()
    found = attribute(network, x, target=1, method="grad-cam", black=0.0).values
    assert found == pytest.approx(expected.numpy(), abs=1e-6)
