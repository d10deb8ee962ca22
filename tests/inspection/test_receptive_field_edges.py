"""At every row of every map, up to both edges, a receptive field is where the network's layers let pixels through.

Each network is followed with 1×1 channels and positive weights, by torch's own convolutions and poolings, for one image
a pixel: row r of a map depends on a pixel where that pixel's image gives a value other than 0. So no gradient vanishes.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.architectures.blocks import Resize
from lab.architectures.build import build_network
from lab.architectures.registry import list_architectures
from lab.architectures.speedrun import Crop
from lab.inspection.graph import GraphNode, trace_graph
from lab.inspection.layer_fields import one_side
from lab.inspection.layer_kinds import field_after
from lab.inspection.receptive_field import ReceptiveField


def one_image_a_pixel(side: int) -> Tensor:
    return torch.eye(side)[:, None, :, None]  # (pixel, 1, row, 1)


def passed_on(layer: nn.Module | None, inputs: list[Tensor]) -> Tensor:
    """Return which pixels (first axis) reach each row (third axis) after a layer, or after a join."""
    x = torch.stack(inputs).sum(0)
    match layer:
        case nn.Conv2d() | nn.MaxPool2d() | nn.AvgPool2d():
            kernel, stride = one_side(layer.kernel_size), one_side(layer.stride)
            padding = layer.padding if isinstance(layer.padding, str) else (one_side(layer.padding), 0)
            if isinstance(layer, nn.Conv2d):
                ones = torch.ones(1, 1, kernel, 1)
                x = F.conv2d(x, ones, None, (stride, 1), padding, (one_side(layer.dilation), 1))
            else:
                x = F.avg_pool2d(x, (kernel, 1), (stride, 1), padding, ceil_mode=layer.ceil_mode)
        case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d():
            x = F.adaptive_avg_pool2d(x, (one_side(layer.output_size), 1))
        case Crop():
            top = (x.shape[2] - layer.size) // 2
            x = x[:, :, top : top + layer.size]
        case Resize():
            x = one_image_a_pixel(layer.size)
    return (x != 0).float()


def windows_of(network: nn.Module, nodes: tuple[GraphNode, ...]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return the first and last pixel that reach each row, for every node that has a receptive field."""
    layers = dict(network.named_modules())
    maps = {nodes[0].id: one_image_a_pixel(nodes[0].output_shape[-1])}
    found = {}
    for node in nodes[1:]:
        if node.field is not None:
            reached = maps[node.id] = passed_on(layers.get(node.name), [maps[each] for each in node.inputs])
            assert reached.shape[2] == node.output_shape[2], node.name
            pixels = [column.nonzero().flatten() for column in reached[:, 0, :, 0].T]
            found[node.id] = tuple((int(each[0]), int(each[-1])) for each in pixels)
    return found


@pytest.mark.parametrize("id", [arch.id for arch in list_architectures()])
def test_every_row_of_every_map_depends_on_the_pixels_that_reach_it(id: str) -> None:
    with torch.device("meta"):
        network = build_network(id)
    nodes = trace_graph(network, input_shape=(1, 1, 28, 28))
    stated = {node.id: node.field.inside for node in nodes[1:] if node.field is not None}
    assert stated == windows_of(network, nodes)


def test_pixels_that_a_stride_leaves_unread_are_in_no_field() -> None:
    """Of 8 rows, a pooling by 3 reads 6; a 3×3 behind it reads a row of padding in place of the last two."""
    network = nn.Sequential(nn.MaxPool2d(3), nn.Conv2d(1, 1, 3, padding=1))
    *_, node = trace_graph(network, input_shape=(1, 1, 8, 8))
    assert node.field is not None
    assert (node.field.window(1), node.field.inside) == ((0, 8), ((0, 5), (0, 5)))


def test_a_dilated_kernel_ends_at_its_last_tap_inside_the_map() -> None:
    """Taps 4 rows apart: of 6 rows, row 1 depends on rows 1 and 5, row 2 on row 2 only."""
    network = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, padding=4, dilation=4))
    *_, node = trace_graph(network, input_shape=(1, 1, 12, 12))
    assert node.field is not None
    assert node.field.inside[1:4] == ((2, 11), (4, 5), (6, 7))


def test_a_row_of_padding_only_depends_on_no_pixel() -> None:
    *_, node = trace_graph(nn.Sequential(nn.ZeroPad2d(2), nn.MaxPool2d(2)), input_shape=(1, 1, 4, 4))
    assert node.field is not None
    assert node.field.inside == ((0, -1), (0, 1), (2, 3), (0, -1))
    again = field_after(node.field, nn.Conv2d(1, 1, 3, padding=1), output_shape=(1, 1, 4, 4))
    assert again is not None
    assert again.inside == ((0, 1), (0, 3), (0, 3), (2, 3))


def test_the_image_itself_depends_on_itself() -> None:
    assert ReceptiveField.of_image(3).inside == ((0, 0), (1, 1), (2, 2))
