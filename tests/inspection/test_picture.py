"""The graph: every layer once, joins where branches meet, folded to the requested detail, drawn as safe SVG."""

import re
from functools import cache
from xml.etree import ElementTree

import pytest
import torch

from lab.architectures.build import LayerShapeError, build_network
from lab.architectures.registry import list_architectures
from lab.inspection.graph import GraphNode, trace_graph
from lab.inspection.layer_kinds import IMAGE
from lab.inspection.layout import draw
from lab.inspection.picture import DETAILS, boxes, failed_boxes


@cache
def traced(arch: str) -> tuple[GraphNode, ...]:
    with torch.device("meta"):
        return trace_graph(build_network(arch), input_shape=(1, 1, 28, 28))


def test_a_residual_network_has_a_sum_with_two_inputs() -> None:
    nodes = traced("resnet-small")
    sums = [node for node in nodes if node.type == "add"]
    assert [(node.name, len(node.inputs)) for node in sums] == [
        ("features.residual1.+", 2),
        ("features.residual2.+", 2),
    ]
    assert nodes[0].type == "Input"
    assert nodes[-1].output_shape == (1, 10)


def test_googlenet_joins_four_branches_nine_times() -> None:
    joins = [node for node in traced("googlenet") if node.type == "join"]
    assert len(joins) == 9
    assert {len(node.inputs) for node in joins} == {4}


def test_folding_puts_activations_with_their_layer() -> None:
    assert [(box.title, box.detail) for box in boxes(traced("lenet-bn"))][2:5] == [
        ("conv1", "convolution · BN · ReLU"),
        ("pool1", "max pooling"),
        ("conv2", "convolution · BN · ReLU"),
    ]
    everything = boxes(traced("lenet-bn"), detail="everything")
    assert len(everything) == len(traced("lenet-bn"))


def test_blocks_close_and_open() -> None:
    closed = boxes(traced("googlenet"), detail="blocks")
    assert [box.title for box in closed if box.family == "block"] == [
        f"inception{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    ]
    opened = boxes(traced("googlenet"), detail="blocks", opened=frozenset({"features.inception4b"}))
    assert len(opened) > len(closed)
    assert not any(box.title == "inception4b" for box in opened)
    (closed_box,) = (box for box in closed if box.title == "inception4b")
    inside = [box for box in opened if box.block == closed_box.block == "features.inception4b"]
    assert (closed_box.names[0], closed_box.detail) == ("features.inception4b", f"{len(closed_box.nodes)} operations")
    assert closed_box.params == sum(box.params for box in inside) > 0
    assert {node for box in inside for node in box.nodes} == set(closed_box.nodes)
    assert "block" not in {box.family for box in inside}
    assert all(name.startswith("features.inception4b.") for box in inside for name in box.names)
    assert (inside[-1].shape, inside[-1].family) == (closed_box.shape, "join")
    assert {box.block for box in boxes(traced("googlenet"))} == {""}


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("arch", [a.id for a in list_architectures()])
def test_every_network_is_drawn_completely_without_overlapping_boxes(arch: str, detail: str) -> None:
    nodes = traced(arch)
    shown = boxes(nodes, detail=detail)
    assert {name for box in shown for name in box.names} >= {node.name for node in nodes}
    assert sum(box.params for box in shown) == sum(node.params for node in nodes)
    picture = draw(shown, title=arch)
    places = re.findall(r'<rect x="(-?\d+)" y="(\d+)" width="264"', picture.svg)
    assert len(places) == len(shown)
    for i, (x, y) in enumerate(places):
        for other_x, other_y in places[i + 1 :]:
            assert y != other_y or abs(int(x) - int(other_x)) >= 264


def test_the_svg_is_well_formed_and_escapes_titles() -> None:
    (box,) = boxes([GraphNode("a", "<script>&\"'", "Input", IMAGE, (), (1, 1, 2, 2), 0, None)])
    hostile = type(box)(**{f: getattr(box, f) for f in box.__slots__} | {"title": "<script>alert(1)</script>"})
    svg = draw([hostile], title="<b>").svg
    assert "<script" not in svg
    ElementTree.fromstring(svg)


def test_a_failed_forward_is_drawn_up_to_the_layer_that_failed() -> None:
    with pytest.raises(LayerShapeError) as caught:
        build_network("vgg11", channels=3, input_size="native")
    chain = failed_boxes(caught.value.steps)
    assert chain[0].shape == (3, 28, 28)
    assert [box.failed for box in chain] == [False] * (len(chain) - 1) + [True]
    assert (chain[-1].title, chain[-1].shape) == ("pool5", (512, 1, 1))
    assert "does not fit: 512×1×1" in draw(chain).svg


def test_no_word_of_a_registered_network_is_cut_in_its_graph() -> None:
    cut = []
    for arch in list_architectures():
        for detail in DETAILS:
            closed = boxes(traced(arch.id), detail=detail)
            blocks = frozenset(box.names[0] for box in closed if box.family == "block")
            shown = (closed, boxes(traced(arch.id), detail=detail, opened=blocks))
            cut += [(arch.id, detail) for each in shown if "…" in draw(each).svg]
    assert cut == []
