"""Recorded texts of networks: graphs at every detail, costs, and every number of a tiny network.

The weights of the tiny network are multiples of 1/4, so nothing is rounded and its numbers can be checked by hand.
"""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.shapes import LayerShapeError
from lab.errors import InputError
from lab.inspection import layer_fields
from lab.inspection.attribution import METHODS, PASSES, attribute
from lab.inspection.compare import compare
from lab.inspection.graph import trace_graph, trace_network
from lab.inspection.images import pick_image, read_image
from lab.inspection.kernels import kernel_change, read_kernels
from lab.inspection.layer_kinds import _FUNCTIONS, IMAGE, LAYER_KINDS, kind_of_function
from lab.inspection.layout import draw
from lab.inspection.metrics import (
    as_rates,
    calibrate,
    find_cell,
    least_confident_correct,
    most_confident_errors,
    report,
    score_logits,
)
from lab.inspection.observe import capture, feature_maps, layer_input, list_layers
from lab.inspection.outline import measure_outline
from lab.inspection.picture import DETAILS, Box, boxes, failed_boxes
from lab.inspection.plain_convolution import convolve, take_window
from lab.inspection.report import evaluate_network, inspect_image
from lab.inspection.stages import choose_channels, image_rows, input_rows, list_stages, network_values, value_range
from lab.inspection.summary import summarize
from lab.inspection.timing import LayerTime, Timing
from lab.inspection.weighted_sum import read_linear, shape_before, take_sum
from tests.snapshots import check, flat

MEAN, STD = 0.25, 0.5


def on_meta(id: str, **settings) -> nn.Module:
    with torch.device("meta"):
        return build_network(id, **settings)


def _box(box: Box) -> str:
    shape = "×".join(map(str, box.shape))
    flags = " failed" * box.failed
    names = ", ".join(box.names)
    return (
        f"{box.id} [{box.title} | {box.detail} | {box.family}] {shape} {box.params} <- {', '.join(box.inputs)} "
        f"({names}) -> {box.output if box.nodes else '–'} {box.block}{flags}"
    )


GRAPHS = {"resnet-small": "features.residual1", "speedrun-cnn": ""}


@pytest.mark.parametrize("id", GRAPHS)
def test_the_graph_of_a_network_at_every_detail(id: str) -> None:
    nodes = trace_graph(on_meta(id), input_shape=(1, 1, 28, 28))
    lines = []
    for detail in DETAILS if not GRAPHS[id] else DETAILS[::2]:
        lines += [f"{detail}:", *map(_box, boxes(nodes, detail=detail))]
    if GRAPHS[id]:
        opened = boxes(nodes, detail="blocks", opened=frozenset([GRAPHS[id]]))
        lines += ["opened:", *map(_box, opened), "stages, opened:"]
        lines += [f"{_box(one.box)} {one.closed}" for one in list_stages(nodes, opened=[GRAPHS[id]])]
    lines += ["stages:", *(f"{_box(one.box)} {one.closed} {one.is_maps} {one.count}" for one in list_stages(nodes))]
    check(f"graphs/{id}.txt", "\n".join(lines))


def test_the_branches_of_a_wide_network_are_drawn_side_by_side() -> None:
    nodes = trace_graph(on_meta("googlenet"), input_shape=(1, 1, 28, 28))
    opened = boxes(nodes, detail="blocks", opened=frozenset(["features.inception4a"]))
    picture = draw(opened, title="<GoogLeNet>")
    places = re.findall(r'<rect x="(-?[0-9]+)" y="([0-9]+)" width="264"', picture.svg)
    boxed = zip(opened, places, strict=True)
    lines = [
        f"{_box(box)} at {x} {y}"
        for box, (x, y) in boxed
        if box.block in ("", "features.inception4a", "features.inception5b")
    ]
    check("graphs/googlenet.txt", "\n".join([*lines, picture.svg.partition("</title>")[0]]))


def test_a_small_graph_is_drawn_arrow_by_arrow() -> None:
    nodes = trace_graph(on_meta("resnet-small"), input_shape=(1, 1, 28, 28))
    opened = boxes(nodes, detail="blocks", opened=frozenset(["features.residual2"]))
    picture = draw([replace(opened[4], inputs=()), *opened[5:9]], selected="features.residual1")
    with pytest.raises(LayerShapeError) as caught:
        on_meta("vgg11", channels=3, input_size="native")
    failed = failed_boxes(caught.value.steps)
    last = [replace(failed[-2], inputs=()), failed[-1]]
    broken = draw(last)
    lines = [picture.svg.replace("><", ">\n<"), *map(_box, failed), broken.svg.replace("><", ">\n<")]
    check("graphs/drawn.txt", "\n".join(lines))


def test_the_properties_of_every_kind_of_layer() -> None:
    rules = {rule: name for name, rule in vars(layer_fields).items() if callable(rule)}
    flags = ("folds", "makes_maps", "follows_maps", "has_kernels", "prepares_input", "passes_on", "is_activation")
    lines = []
    for kind in (*LAYER_KINDS.values(), IMAGE):
        properties = " ".join(flag for flag in flags if getattr(kind, flag))
        lines.append(f"{kind.name} | {kind.label} | {kind.family} | {rules[kind.field]} | {properties}")
    for function in _FUNCTIONS:
        kind = kind_of_function(function)
        lines.append(f"{function}() | {kind.name} | {kind.label} | {kind.family} | {kind.is_activation}")
    check("layer_kinds.txt", "\n".join(lines))


def test_the_cost_of_a_network_row_by_row() -> None:
    residual, speedrun = (summarize(on_meta(id), input_shape=(2, 1, 28, 28)) for id in ("resnet-small", "speedrun-cnn"))
    pairs = compare(
        summarize(on_meta("lenet5"), input_shape=(1, 1, 28, 28)),
        summarize(on_meta("lenet-bn"), input_shape=(1, 1, 28, 28)),
    )
    names = [
        f"{one.verdict}: {one.left.name if one.left else '–'} | {one.right.name if one.right else '–'}" for one in pairs
    ]
    outline = measure_outline("vgg-small")
    check(
        "costs.txt",
        "\n".join(
            [
                flat(replace(residual, layers=residual.layers[:14])),
                flat(replace(speedrun, text="", layers=speedrun.layers[:4])),
                *names,
                flat(outline.as_dict()),
            ]
        ),
    )


class Tiny(nn.Module):
    """Two convolutions and a linear layer on images of 6×6, with a shortcut that is joined."""

    def __init__(self) -> None:
        super().__init__()
        conv1, conv2 = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 2, bias=False)
        self.features = nn.Sequential()
        for name, layer in (
            ("conv1", conv1),
            ("relu1", nn.ReLU()),
            ("pool1", nn.MaxPool2d(2)),
            ("conv2", conv2),
            ("relu2", nn.ReLU(inplace=True)),
        ):
            self.features.add_module(name, layer)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential()
        self.classifier.add_module("drop", nn.Dropout(0.5))
        self.classifier.add_module("fc1", nn.Linear(12, 3))
        with torch.no_grad():
            for tensor in self.parameters():
                at = torch.arange(tensor.numel())
                tensor.copy_(((at * 7 + at // 5) % 5 - 1.5).reshape(tensor.shape) / 4)

    def forward(self, x):
        return self.classifier(self.flatten(self.features(x)))


IMAGE_U8 = (np.arange(36).reshape(6, 6) * 37 % 4 * 51 + np.eye(6) * 51).astype(np.uint8)
IMAGES_U8 = np.stack([IMAGE_U8, IMAGE_U8.T, 255 - IMAGE_U8, np.roll(IMAGE_U8, 2), np.zeros((6, 6), np.uint8)])


@pytest.fixture
def tiny() -> Tiny:
    return Tiny().train()


def exact(image_u8: np.ndarray) -> torch.Tensor:
    """Return a picture (1, 1, 6, 6) of multiples of 1/4, which float32 represents exactly."""
    return torch.from_numpy((image_u8 // 51).astype(np.float32) / 4 - 0.5)[None, None]


def test_the_activations_of_a_tiny_network(tiny: Tiny) -> None:
    x = exact(IMAGE_U8)
    layers = list_layers(tiny, image_size=6)
    maps = {view.name: feature_maps(tiny, x, layer=view.name) for view in layers}
    lines = [f"{v.name} {v.type} {v.shape} {v.has_maps} {v.field.size if v.field else None}" for v in layers]
    for name, found in maps.items():
        lines.append(
            flat({"values": found.values.squeeze().tolist(), "mean": found.mean, "sparsity": found.sparsity}, name)
        )
    captured = capture(tiny, x, layers=["features.relu2", "classifier.fc1"])
    lines.append(flat({name: each.tolist() for name, each in captured.items()}, "capture"))
    lines.append(flat(layer_input(tiny, x, layer="classifier.fc1").tolist(), "input"))
    assert tiny.training
    check("tiny/maps.txt", "\n".join(lines))


def test_the_terms_of_one_value_of_a_tiny_network(tiny: Tiny) -> None:
    x = exact(IMAGE_U8)
    first, second = (read_kernels(tiny, layer=f"features.conv{n}") for n in (1, 2))
    before = read_kernels(tiny, layer="features.conv1")
    moved = kernel_change(
        first, type(before)(**{f: getattr(before, f) for f in before.__slots__} | {"weight": np.roll(before.weight, 1)})
    )
    pooled = capture(tiny, x, layers=["features.pool1"])["features.pool1"][0].numpy()
    windows = [
        take_window(x[0].numpy(), first, filter=1, row=0, column=5),
        take_window(pooled, second, filter=2, row=1, column=0),
    ]
    dilated = convolve(x.numpy(), first.weight, first.bias, stride=2, padding=2, dilation=2)
    grouped = convolve(np.concatenate([x.numpy(), 1 - x.numpy()], 1), first.weight, groups=2, stride=3)
    linear = read_linear(tiny, layer="classifier.fc1")
    total = take_sum(layer_input(tiny, x, layer="classifier.fc1").numpy(), linear, unit=2)
    nodes = trace_graph(tiny, input_shape=(1, 1, 6, 6))
    facts = {
        "first": first,
        "second": second,
        "change": moved,
        "windows": windows,
        "written": [window.value for window in windows],
        "dilated": dilated,
        "grouped": grouped,
        "linear": linear.bias,
        "sum": total,
        "value": total.value,
        "largest": total.largest(4),
        "before": shape_before(nodes, next(node for node in nodes if node.name == "classifier.fc1")),
    }
    check("tiny/apart.txt", flat(facts))


def test_the_attributions_of_a_tiny_network(tiny: Tiny) -> None:
    found = {method: attribute(tiny, exact(IMAGE_U8), target=1, method=method, black=-0.5) for method in METHODS}
    facts = {name: [[round(float(v), 5) for v in row] for row in one.values] for name, one in found.items()}
    gaps = {name: None if one.gap is None else round(one.gap, 3) for name, one in found.items()}
    assert tiny.features.relu2.inplace
    check(
        "tiny/why.txt",
        flat(
            {
                "methods": METHODS,
                "passes": PASSES,
                **facts,
                "gaps": gaps,
                "targets": [one.target for one in found.values()],
            }
        ),
    )


def test_the_values_of_every_stage_of_a_tiny_network(tiny: Tiny) -> None:
    traced, x = trace_network(tiny, input_shape=(1, 1, 6, 6)), exact(IMAGE_U8)
    stages = list_stages(traced.nodes)
    channels = choose_channels(traced, tiny, torch.cat([x, -x]), stages=stages)
    values = network_values(traced, tiny, x, stages=stages, channels=channels)
    rows = {s.box.id: (input_rows(traced, tiny, s), image_rows(traced, s, stages[0])) for s in stages}
    ranges = [
        value_range(np.array(v), whole=whole)
        for v in ([1.0, 3.0], [-2.0, 1.0], [np.nan], [2.0, 2.0])
        for whole in (False, True)
    ]
    facts = {"channels": channels, "stages": values.stages, "logits": values.logits, "rows": rows, "ranges": ranges}
    check("tiny/stages.txt", flat(facts))


def test_the_metrics_of_a_tiny_network(tiny: Tiny) -> None:
    labels = np.array([0, 1, 2, 1, 1])
    found = evaluate_network(tiny, IMAGES_U8, labels, mean=MEAN, std=STD, classes=("a", "b", "c", "never"))
    inspected = inspect_image(tiny, IMAGE_U8, layer="features.pool1", mean=MEAN, std=STD)
    logits = np.array(
        [[2.0, 1, 0], [0, 3, 1], [1, 0, 1.5], [0.5, 0.25, 0], [np.inf, 0, 0], [0, 2, 0], [4, 0, 0]], np.float32
    )
    answers = score_logits(logits, np.array([0, 1, 0, 1, 2, 0, 0]))
    facts = {
        "report": found.as_dict(),
        "rates": as_rates(found.confusion),
        "probabilities": [round(float(v), 5) for v in inspected.probabilities],
        "answers": answers,
        "calibration": calibrate(answers, bins=4),
        "accuracy": [answers.accuracy, answers.loss],
        "cells": [find_cell(answers, truth=0, answer=answer) for answer in (0, 1, 2)],
        "errors": most_confident_errors(answers),
        "doubts": least_confident_correct(answers),
        "short": [
            find_cell(answers, truth=0, answer=0, limit=1),
            most_confident_errors(answers, limit=1),
            least_confident_correct(answers, limit=2),
        ],
    }
    check("tiny/scores.txt", flat(facts))


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


def test_a_fitted_picture_is_laid_on_its_own_paper() -> None:
    wide = np.full((4, 8), 250, np.uint8)
    wide[1:3, 3:5] = 10
    colours = np.stack([wide, wide // 2, 255 - wide], axis=-1)
    grey, three = read_image(_png(wide), size=8, fit=True), read_image(_png(colours), size=8, channels=3, fit=True)
    same = read_image(_png(np.full((8, 8), 200, np.uint8)), size=8)
    check(
        "tiny/pictures.txt",
        flat({"grey": grey.tolist(), "three": three.tolist(), "same": [int(same.min()), int(same.max())]}),
    )


def test_the_caution_about_measured_times() -> None:
    def timing(*layers: tuple[float, float]) -> Timing:
        rows = tuple(LayerTime(f"layer{n}", "Conv2d", median, spread) for n, (median, spread) in enumerate(layers))
        return Timing(rows, 9.0, 0.5, 7, "cpu")

    cases = [
        timing((3.0, 0.5), (1.0, 0.9), (2.0, 0.1)),
        timing((3.0, 0.5), (2.0, 1.0), (0.5, 0.1)),
        timing((3.0, 1.5), (2.0, 1.0), (0.5, 0.1), (0.4, 0.3)),
        timing((3.0, 1.5), (2.0, 1.0)),
        timing((3.0, 1.5)),
    ]
    pairs = [[(slow.name, quick.name) for slow, quick in one.unclear_pairs()] for one in cases]
    check("tiny/timing.txt", "\n".join([*(one.caution() or "–" for one in cases), flat(pairs)]))


def _refused(request: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        request()
    return str(caught.value)


def test_every_error_names_the_value_the_rule_and_the_way_out(tiny: Tiny, tmp_path: Path) -> None:
    x, first = exact(IMAGE_U8), read_kernels(tiny, layer="features.conv1")
    linear, plain = read_linear(tiny, layer="classifier.fc1"), x[0].numpy()
    maps_free = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    broken = Tiny()
    with torch.no_grad():
        broken.classifier.fc1.bias.fill_(torch.inf)
    images = SimpleNamespace(
        train_images=IMAGES_U8, train_labels=np.arange(5), test_images=IMAGES_U8[:2], test_labels=np.arange(2)
    )
    (tmp_path / "small.png").write_bytes(_png(np.zeros((3, 5), np.uint8)))
    requests: list[Callable[[], object]] = [
        lambda: feature_maps(tiny, x, layer="features.conv3"),
        lambda: read_kernels(tiny, layer="features.relu1"),
        lambda: read_linear(tiny, layer="classifier.fc"),
        lambda: take_window(plain, first, filter=2, row=0, column=0),
        lambda: take_window(plain, first, filter=-1, row=0, column=0),
        lambda: take_window(plain, first, filter=0, row=6, column=0),
        lambda: take_window(plain, first, filter=0, row=0, column=6),
        lambda: take_sum(np.zeros(12), linear, unit=3),
        lambda: take_sum(np.zeros(11), linear, unit=2),
        lambda: convolve(np.zeros((1, 3, 4, 4)), np.zeros((2, 1, 2, 2))),
        lambda: convolve(np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 2, 2)), dilation=3),
        lambda: attribute(tiny, x, target=3, method="saliency", black=0.0),
        lambda: attribute(tiny, x, target=-1, method="saliency", black=0.0),
        lambda: attribute(tiny, x, target=0, method="salience", black=0.0),
        lambda: attribute(broken, x, target=0, method="saliency", black=0.0),
        lambda: attribute(maps_free, x, target=0, method="grad-cam", black=0.0),
        lambda: pick_image("test:2", images, size=6),
        lambda: pick_image("train:5", images, size=6),
        lambda: pick_image("test:-1", images, size=6),
        lambda: pick_image("test:", images, size=6),
        lambda: pick_image(str(tmp_path / "small.png"), images, size=6),
        lambda: read_image(_png(np.zeros((3, 5), np.uint8)), size=4),
        lambda: report(score_logits(np.zeros((1, 3)), np.array([2])), classes=("a", "b")),
    ]
    check("tiny/refusals.txt", "\n".join(_refused(each).replace(str(tmp_path), "FOLDER") for each in requests))
    picked = [pick_image(text, images, size=6) for text in ("test:1", "train:4")]
    assert [label for _, label in picked] == [1, 4]
    assert [bool((image == IMAGES_U8[at]).all()) for (image, _), at in zip(picked, (1, 4), strict=True)] == [True, True]


@pytest.mark.parametrize(("side", "shown"), [(56, 56), (57, 29), (112, 56), (113, 38)])
def test_large_maps_are_averaged_to_at_most_56_values_across(side: int, shown: int) -> None:
    network = nn.Sequential(nn.Identity(), nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(side * side, 2))
    traced = trace_network(network, input_shape=(1, 1, side, side))
    stages = list_stages(traced.nodes)
    x = torch.arange(side * side, dtype=torch.float32).reshape(1, 1, side, side)
    channels = choose_channels(traced, network, x, stages=stages)
    values = network_values(traced, network, x, stages=stages, channels=channels)
    assert values.stages[stages[0].box.id].values.shape == (1, shown, shown)


@pytest.mark.parametrize(("channels", "maps"), [(16, 16), (20, 20), (21, 16), (64, 16)])
def test_the_strongest_maps_of_a_wide_layer_and_128_values_of_a_long_vector_are_drawn(channels: int, maps: int) -> None:
    units = 64 + 4 * channels  # 128, 144, 148, 320
    network = nn.Sequential(nn.Conv2d(1, channels, 1), nn.Flatten(), nn.Linear(4 * channels, units))
    with torch.no_grad():
        network[0].weight.copy_((torch.arange(channels) - channels / 2).reshape(-1, 1, 1, 1))
        network[0].bias.zero_()
        network[2].bias.copy_(torch.arange(units))
        network[2].weight.zero_()
    traced = trace_network(network, input_shape=(1, 1, 2, 2))
    stages = list_stages(traced.nodes)
    chosen = choose_channels(traced, network, torch.ones(2, 1, 2, 2), stages=stages)
    strongest = sorted(range(channels), key=lambda at: (-abs(at - channels / 2), at))[:maps]
    assert chosen[stages[1].box.id].tolist() == sorted(strongest)
    assert chosen[stages[-1].box.id].tolist() == list(range(units - min(units, 128), units))
