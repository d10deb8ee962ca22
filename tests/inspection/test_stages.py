"""The stages of a network show what it computes, within half a step; of wide layers, the strongest channels."""

import numpy as np
import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.registry import list_architectures
from lab.inspection.graph import TracedNetwork, trace_network
from lab.inspection.observe import capture
from lab.inspection.stages import (
    MAX_MAPS,
    Stage,
    choose_channels,
    image_rows,
    input_rows,
    list_stages,
    network_values,
    node_outputs,
    value_range,
)

IMAGE = (1, 1, 28, 28)


def built(arch: str) -> tuple[nn.Module, TracedNetwork]:
    torch.manual_seed(0)
    network = build_network(arch).eval()
    return network, trace_network(network, input_shape=IMAGE)


def named(stages: tuple[Stage, ...], title: str) -> Stage:
    return next(stage for stage in stages if stage.box.title == title)


@pytest.mark.parametrize("arch", [a.id for a in list_architectures()])
def test_the_stages_of_every_network_lead_from_the_image_to_the_logits(arch: str) -> None:
    with torch.device("meta"):
        traced = trace_network(build_network(arch), input_shape=IMAGE)
    for opened in ((), {node.box.block for node in list_stages(traced.nodes)}):
        stages = list_stages(traced.nodes, opened=opened)
        ids = [stage.box.id for stage in stages]
        assert stages[0].box.family == "input"
        assert stages[0].box.inputs == ()
        assert stages[-1].box.shape == (10,)
        for place, stage in enumerate(stages[1:], start=1):
            assert stage.box.inputs
            assert set(stage.box.inputs) <= set(ids[:place])
        assert {each for stage in stages for each in stage.box.inputs} == set(ids[:-1])
        assert any(stage.closed for stage in stages) <= (not opened)


def test_layers_that_only_pass_values_on_are_not_stages_and_the_resized_image_is_the_first() -> None:
    _, traced = built("lenet5")
    stages = list_stages(traced.nodes)
    assert [stage.box.title for stage in stages] == [
        "image",
        "conv1",
        "pool1",
        "conv2",
        "pool2",
        "fc1",
        "fc2",
        "fc3",
    ]
    assert stages[0].box.shape == (1, 32, 32)
    assert named(stages, "fc1").box.inputs == (named(stages, "pool2").box.id,)


def test_an_opened_block_shows_its_shortcut_and_the_sum_of_both_branches() -> None:
    network, traced = built("resnet-small")
    closed = list_stages(traced.nodes)
    block = named(closed, "residual1")
    assert block.closed
    opened = list_stages(traced.nodes, opened=[block.box.block])
    total = next(stage for stage in opened if stage.box.family == "join")
    assert named(opened, "pool1").box.id in total.box.inputs
    assert len(total.box.inputs) == 2
    x = torch.randn(IMAGE)
    found = node_outputs(traced, network, x, nodes=[*(s.box.output for s in opened), *total.box.nodes])
    terms = sum(found[next(s for s in opened if s.box.id == each).box.output] for each in total.box.inputs)
    assert torch.equal(found[total.box.nodes[0]], terms)


def test_values_are_the_networks_own_within_half_a_step_and_its_logits_exactly() -> None:
    network, traced = built("lenet-bn")
    stages = list_stages(traced.nodes)
    x = torch.randn(IMAGE)
    channels = choose_channels(traced, network, x, stages=stages)
    values = network_values(traced, network, x, stages=stages, channels=channels)
    with torch.no_grad():
        assert np.array_equal(values.logits, network(x)[0].numpy())
    layers = {"conv1": "features.relu1", "pool1": "features.pool1", "fc2": "classifier.relu2", "fc3": "classifier.fc3"}
    outputs = capture(network, x, layers=list(layers.values()))
    for title, layer in layers.items():
        drawn = values.stages[named(stages, title).box.id]
        numbers = drawn.low + (drawn.high - drawn.low) * drawn.values.astype(float) / 255
        wanted = outputs[layer][0].numpy()[drawn.channels].reshape(numbers.shape)
        assert np.abs(numbers - wanted).max() <= (drawn.high - drawn.low) / 510 + 1e-6, title
        assert drawn.signed == (title == "fc3")


def test_the_strongest_channels_of_a_wide_layer_are_drawn_in_their_order() -> None:
    network, traced = built("speedrun-cnn")
    stages = list_stages(traced.nodes)
    stage = named(stages, "conv2")
    conv = network.get_submodule("features.bn2")
    strong = [3, 8, 9, 30]
    with torch.no_grad():
        conv.weight.fill_(0.01)
        conv.bias.fill_(0.01)
        conv.bias[strong] = 9.0
    x = torch.randn(4, 1, 28, 28)
    channels = choose_channels(traced, network, x, stages=stages)
    chosen = channels[stage.box.id]
    assert len(chosen) == MAX_MAPS
    assert set(strong) <= set(chosen.tolist())
    assert sorted(chosen.tolist()) == chosen.tolist()
    assert network_values(traced, network, x[:1], stages=stages, channels=channels).stages[
        stage.box.id
    ].values.shape == (16, 8, 8)


def test_large_maps_are_averaged_and_keep_their_proportions() -> None:
    network, traced = built("mobilenet")
    stages = list_stages(traced.nodes)
    channels = {stage.box.id: np.arange(1) for stage in stages}
    x = torch.full(IMAGE, 0.5)
    x[..., :14] = -0.5
    values = network_values(traced, network, x, stages=stages, channels=channels).stages[stages[0].box.id]
    assert stages[0].box.shape == (1, 224, 224)
    assert values.values.shape == (1, 56, 56)
    assert (values.low, values.high) == pytest.approx((-0.5, 0.5), abs=1e-6)
    assert values.values[0, :, :20].max() < 10 < 245 < values.values[0, :, -20:].min()


def test_drawing_the_stages_changes_neither_weights_nor_modes() -> None:
    network, traced = built("lenet-bn")
    network.train()
    before = [t.clone() for t in network.state_dict().values()]
    stages = list_stages(traced.nodes)
    x = torch.randn(IMAGE)
    network_values(traced, network, x, stages=stages, channels=choose_channels(traced, network, x, stages=stages))
    assert all(torch.equal(a, b) for a, b in zip(before, network.state_dict().values(), strict=True))
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize(("arch", "title"), [("lenet5", "conv2"), ("lenet5", "pool2"), ("speedrun-cnn", "conv2")])
def test_a_value_depends_on_the_reported_rows_of_the_image_and_on_no_others(arch: str, title: str) -> None:
    network, traced = built(arch)
    stages = list_stages(traced.nodes)
    stage = named(stages, title)
    rows = image_rows(traced, stage, stages[0])
    assert rows is not None
    row = 2
    resized = named(stages, "image").box
    image = torch.randn(1, *resized.shape)
    cut = (28 - resized.shape[-1]) // 2 if arch == "speedrun-cnn" else 0
    if arch == "lenet5":
        network.resize = nn.Identity()
        traced = trace_network(network, input_shape=(1, *resized.shape))
        stages = list_stages(traced.nodes)
        stage = named(stages, title)
    x = torch.nn.functional.pad(image, (cut,) * 4)

    def value(changed: torch.Tensor) -> torch.Tensor:
        return node_outputs(traced, network, changed, nodes=[stage.box.output])[stage.box.output][0, :, row, row]

    first, last = rows[row]
    outside = x.clone()
    outside[..., cut + last + 1 :, :] += 5
    outside[..., : cut + first, :] += 5
    assert torch.equal(value(outside), value(x))
    for edge in (first, last):
        inside = x.clone()
        inside[..., cut + edge, cut + first : cut + last + 1] += 50
        assert not torch.equal(value(inside), value(x)), edge


def test_the_input_rows_are_the_window_of_the_stages_first_layer() -> None:
    network, traced = built("lenet5")
    stages = list_stages(traced.nodes)
    assert input_rows(traced, network, named(stages, "conv2"))[:2] == ((0, 4), (1, 5))
    assert input_rows(traced, network, named(stages, "pool1"))[:2] == ((0, 1), (2, 3))
    assert input_rows(traced, network, named(stages, "image")) is None
    assert input_rows(traced, network, named(stages, "fc1")) is None
    network, traced = built("resnet-small")
    stages = list_stages(traced.nodes)
    block = named(stages, "residual1")
    assert input_rows(traced, network, block) is None
    opened = list_stages(traced.nodes, opened=[block.box.block])
    total = next(stage for stage in opened if stage.box.family == "join")
    assert input_rows(traced, network, total)[3] == (3, 3)


def test_a_colour_scale_has_zero_at_its_end_or_in_its_middle() -> None:
    assert value_range(np.array([0.0, 3.0])) == (0, 3)
    assert value_range(np.array([-1.0, 3.0])) == (-3, 3)
    assert value_range(np.array([1.0, 3.0, np.nan, np.inf])) == (0, 3)
    assert value_range(np.array([-1.0, 3.0]), whole=True) == (-1, 3)
    assert value_range(np.array([np.nan])) == (0, 0)


def test_a_blank_image_is_one_colour_without_amplified_rounding_errors() -> None:
    sheet = np.full((1, 32, 32), -0.42421296, np.float32)
    sheet[0, ::2] = np.nextafter(sheet[0, ::2], np.float32(0))
    low, high = value_range(sheet, whole=True)
    assert low == high
    network, traced = built("lenet5")
    stages = list_stages(traced.nodes)
    values = network_values(
        traced,
        network,
        torch.full(IMAGE, -0.42421296),
        stages=stages,
        channels={stage.box.id: np.arange(min(stage.count, 4)) for stage in stages},
    )
    assert len(np.unique(values.stages[stages[0].box.id].values)) == 1
