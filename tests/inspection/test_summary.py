"""Rows add up to torchinfo's totals, receptive fields agree with hand calculation, and the network stays unchanged."""

import json
import time

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.registry import list_architectures
from lab.inspection.graph import trace_graph
from lab.inspection.receptive_field import ReceptiveField, sliding, union
from lab.inspection.summary import Summary, summarize
from tests.every_network import EVERY_NETWORK


def on_meta(id: str, **settings) -> nn.Module:
    with torch.device("meta"):
        return build_network(id, **settings)


@pytest.mark.parametrize("id", [arch.id for arch in list_architectures()])
def test_rows_add_up_to_the_totals(id: str) -> None:
    summary = summarize(on_meta(id), input_shape=(2, 1, 28, 28))
    assert sum(row.params for row in summary.layers) == summary.total_params
    assert sum(row.trainable_params for row in summary.layers) == summary.trainable_params
    assert sum(row.mult_adds for row in summary.layers) == summary.total_mult_adds


def test_auxiliary_classifiers_count_as_parameters_although_they_do_not_run() -> None:
    plain = summarize(on_meta("googlenet"), input_shape=(1, 1, 28, 28))
    with_aux = summarize(on_meta("googlenet", options={"aux": True}), input_shape=(1, 1, 28, 28))
    # Each: a 1×1 convolution to 128, 2,048 → 1,024, 1,024 → 10, with biases.
    extra = sum(c * 128 + 128 + 2048 * 1024 + 1024 + 1024 * 10 + 10 for c in (512, 528))
    assert with_aux.total_params - plain.total_params == extra
    assert with_aux.total_mult_adds == plain.total_mult_adds
    assert sum(row.params for row in with_aux.layers) == with_aux.total_params


def test_frozen_weights_are_not_trainable() -> None:
    summary = summarize(on_meta("speedrun-cnn"), input_shape=(1, 1, 28, 28))
    assert summary.total_params - summary.trainable_params == 16 * 25


def test_the_json_output_has_the_documented_fields() -> None:
    found = json.loads(json.dumps(summarize(on_meta("lenet5"), input_shape=(64, 1, 28, 28)).as_dict(), allow_nan=False))
    assert set(found) == {
        "total_params",
        "trainable_params",
        "total_mult_adds",
        "forward_backward_bytes",
        "params_bytes",
        "layers",
    }
    assert found["layers"][3] == {
        "name": "features.conv1",
        "type": "Conv2d",
        "depth": 2,
        "output_shape": [64, 6, 28, 28],
        "params": 156,
        "mult_adds": 7_827_456,
    }
    assert found["params_bytes"] == 61_706 * 4


def test_the_text_names_units_and_batch_without_the_names_of_enums() -> None:
    text = summarize(on_meta("lenet5"), input_shape=(64, 1, 28, 28)).text
    assert "Total mult-adds (M): 27.07\n" in text
    assert "Mult-adds of one image: 423,038\n" in text
    assert "those of a batch of 64 images." in text
    assert "Units." not in text
    assert "Total mult-adds (G): 1.05\n" in summarize(on_meta("conv2-fc2"), input_shape=(64, 1, 28, 28)).text


@pytest.mark.parametrize("id", EVERY_NETWORK)
def test_mult_adds_of_one_image_are_those_of_a_batch_of_one(id: str) -> None:
    several = summarize(on_meta(id), input_shape=(3, 1, 28, 28))
    one = summarize(on_meta(id), input_shape=(1, 1, 28, 28))
    assert several.mult_adds_per_image == one.mult_adds_per_image == one.total_mult_adds
    assert [row.mult_adds // 3 for row in several.layers] == [row.mult_adds for row in one.layers]


def test_the_text_is_torchinfos_table() -> None:
    text = summarize(on_meta("lenet5"), input_shape=(64, 1, 28, 28)).text
    assert "Total params: 61,706" in text
    assert "Forward/backward pass size (MB): 3.34" in text


def fields_of(id: str) -> dict[str, tuple[int, int]]:
    rows = summarize(on_meta(id), input_shape=(1, 1, 28, 28)).layers
    return {r.name: (r.receptive_field, r.receptive_stride) for r in rows if r.receptive_field is not None}


def test_receptive_fields_of_lenet5_agree_with_hand_calculation() -> None:
    assert fields_of("lenet5") == {
        "resize": (1, 1),
        "features.conv1": (5, 1),
        "features.relu1": (5, 1),
        "features.pool1": (6, 2),
        "features.conv2": (14, 2),
        "features.relu2": (14, 2),
        "features.pool2": (16, 4),
    }


def test_receptive_fields_of_vgg11_agree_with_hand_calculation() -> None:
    fields = fields_of("vgg11")
    convolutions = ["1_1", "2_1", "3_1", "3_2", "4_1", "4_2", "5_1", "5_2"]
    assert [fields[f"features.conv{n}"] for n in convolutions] == [
        (3, 1),
        (8, 2),
        (18, 4),
        (26, 4),
        (46, 8),
        (62, 8),
        (102, 16),
        (134, 16),
    ]
    assert fields["features.pool5"] == (150, 32)


def test_a_residual_block_has_the_receptive_field_of_its_longer_branch() -> None:
    fields = fields_of("resnet-small")
    assert fields["features.pool1"] == (6, 2)
    assert fields["features.residual1.relu"] == (14, 2)  # two 3×3 at stride 2: 6 + 2·2·2


@pytest.mark.parametrize("id", ["lenet5", "lenet-bn", "resnet-small", "conv3-bn", "speedrun-cnn"])
def test_a_receptive_field_is_exactly_where_gradients_reach(id: str) -> None:
    torch.manual_seed(0)
    network = build_network(id).eval()
    nodes = {
        n.name: n for n in trace_graph(network, input_shape=(1, 1, 28, 28)) if n.field and len(n.output_shape) == 4
    }
    deepest = list(nodes.values())[-1]
    side = network.get_submodule("resize").size
    x = torch.randn(1, 1, side, side, requires_grad=True)
    captured = {}
    layer = network.get_submodule(deepest.name)
    handle = layer.register_forward_hook(lambda _m, _i, output: captured.update(map=output))
    for module in network.modules():  # so that every pixel reaches the output
        if isinstance(module, nn.ReLU):
            module.forward = lambda t: t
        if isinstance(module, nn.MaxPool2d):
            module.forward = lambda t: nn.functional.avg_pool2d(t, 2)
    try:
        network(x)
        (gradient,) = torch.autograd.grad(captured["map"][0, :, 1, 1].sum(), x)
    finally:
        handle.remove()
    seen = gradient[0, 0].abs().sum(0).nonzero().flatten()
    assert deepest.field is not None
    assert (int(seen.min()), int(seen.max())) == deepest.field.pixels(1)


def test_a_layer_that_runs_twice_has_a_row_and_a_field_for_each_time() -> None:
    # torchvision's basic block has one ReLU: after its first convolution, and after the sum of its two branches.
    rows = summarize(on_meta("resnet18-tv"), input_shape=(1, 1, 28, 28)).layers
    sizes = [
        (row.type, row.receptive_field) for row in rows if row.name.startswith("features.layer1.0.") and row.is_leaf
    ]
    assert sizes == [
        ("Conv2d", 19),
        ("BatchNorm2d", 19),
        ("ReLU", 19),
        ("Conv2d", 27),
        ("BatchNorm2d", 27),
        ("ReLU", 27),
    ]


def test_a_field_is_clipped_at_the_edge_of_the_image() -> None:
    field = sliding(ReceptiveField.of_image(28), side=28, kernel=5, padding=2)
    assert (field.window(0), field.pixels(0), field.pixels(27)) == ((-2, 2), (0, 2), (25, 27))


def test_summarising_leaves_the_network_and_the_random_state_unchanged() -> None:
    network = build_network("lenet-bn").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rng = torch.get_rng_state()
    summarize(network, input_shape=(4, 1, 28, 28))
    assert network.training
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_a_large_network_at_224_is_counted_without_allocating_its_memory() -> None:
    start = time.process_time()
    summary = summarize(on_meta("vgg19"), input_shape=(4096, 1, 28, 28))
    assert summary.forward_backward_bytes > 400e9
    assert time.process_time() - start < 5


def test_dilation_widens_the_receptive_field() -> None:
    """A kernel of 3 with dilation 2 spans 5 pixels; after a stride of 2 its steps count double."""
    network = nn.Sequential(
        nn.Conv2d(1, 1, 3, dilation=2, padding=2), nn.Conv2d(1, 1, 1, stride=2), nn.Conv2d(1, 1, 3, dilation=3)
    )
    fields = [node.field for node in trace_graph(network, input_shape=(1, 1, 28, 28)) if node.type == "Conv2d"]
    windows = [(field.window(0), field.window(1)) for field in fields if field is not None]
    assert windows == [((-2, 2), (-1, 3)), ((-2, 2), (0, 4)), ((-2, 14), (0, 16))]


def test_the_memory_of_a_batch_is_that_of_input_outputs_and_parameters() -> None:
    summary = Summary((4, 1, 2, 2), 5, 5, 48, 30, 20, 64, (), "")
    assert (summary.estimated_total_bytes, summary.batch, summary.mult_adds_per_image) == (114, 4, 12)
    counted = summarize(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), input_shape=(4, 1, 2, 2))
    assert (counted.input_bytes, counted.params_bytes) == (4 * 4 * 4, 15 * 4)


def test_windows_have_a_middle_even_if_they_repeat() -> None:
    field = ReceptiveField(((-1, 3), (0, 5)), 4, ())
    assert [field.middle(row) for row in range(4)] == [1.0, 2.5, 5.0, 6.5]
    assert (field.size, field.stride) == (6, None)
    assert ReceptiveField(((0, 2), (2, 4)), 4, ()).stride == 2
    assert ReceptiveField(((0, 2), (2, 5)), 4, ()).stride is None


def test_branches_that_move_on_at_different_speeds_have_no_field_together() -> None:
    one = ReceptiveField(((0, 2),), 1, ((0, 2), (1, 3)))
    two = ReceptiveField(((0, 2),), 2, ((0, 2), (2, 3)))
    wide = ReceptiveField(((-1, 3), (0, 4)), 2, ((0, 3), (0, 3)))
    assert (union([one, two]), union([one, None]), union([])) == (None, None, None)
    assert union([one, ReceptiveField(((0, 2),), 1, ((0, 2),))]) is None  # a map of another side
    assert union([one, wide]) == ReceptiveField(((-1, 3), (0, 4)), 2, ((0, 3), (0, 3)))
    assert union([one]) == one
