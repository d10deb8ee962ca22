"""Parts of the Architecture page with networks written by hand: facts of a box, sums of a group, and what a press on each changes."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lab.architectures.registry import get_architecture
from lab.inspection.picture import Box
from lab.inspection.summary import LayerRow, Summary
from lab.inspection.timing import LayerTime, Timing
from pages.architecture import comparison, graph, layers, slabs, times, totals
from pages.cache.design import design_of
from pages.state.architecture import ARCHITECTURE
from tests.web.addresses import draw_alone
from tests.web.shown_components import Shown

LENET = design_of(get_architecture("lenet5"), "auto", {})
BATCH = 2


@pytest.fixture(autouse=True)
def nothing_chosen() -> Iterator[None]:
    ARCHITECTURE.forget()
    yield
    ARCHITECTURE.forget()


def _row(name: str, depth: int = 1, *, leaf: bool = True, **facts: Any) -> LayerRow:
    """Return a layer of a batch of two that has only the facts given."""
    bare: dict[str, Any] = dict.fromkeys(("kernel_size", "stride", "receptive_field", "receptive_stride"))
    bare |= dict.fromkeys(("params", "trainable_params", "mult_adds", "output_bytes"), 0)
    shapes = {"type": "Kind", "input_shape": (BATCH, 3), "output_shape": (BATCH, 3)}
    return LayerRow(name=name, depth=depth, is_leaf=leaf, **bare | shapes | facts)


CONV = _row(
    "features.conv",
    2,
    type="Conv2d",
    input_shape=(BATCH, 1, 8, 8),
    output_shape=(BATCH, 4, 6, 6),
    params=40,
    mult_adds=3_000,
    output_bytes=1_152,
    kernel_size=3,
    stride=2,
    receptive_field=5,
    receptive_stride=4,
)
POOL = _row(
    "features.pool", 2, type="MaxPool2d", output_shape=(BATCH, 4, 3, 3), output_bytes=288, kernel_size=2, stride=1
)
LINEAR = _row("fc", type="Linear", output_shape=(BATCH, 10), params=360, mult_adds=1_000, output_bytes=80)
ROOT = _row("net", 0, leaf=False)
GROUP = _row("features", leaf=False)


def _summary(*rows: LayerRow, **facts: Any) -> Summary:
    usual = {
        "input_shape": (BATCH, 1, 8, 8),
        "total_params": 400,
        "trainable_params": 400,
        "total_mult_adds": 4_000,
        "forward_backward_bytes": 2_000,
        "params_bytes": 1_600,
        "input_bytes": 512,
        "text": "",
    }
    return Summary(layers=rows, **usual | facts)


NETWORK = _summary(ROOT, GROUP, CONV, POOL, LINEAR)

# -- the graph -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "features.conv",
            [
                "Input: **2×1×8×8**",
                "Output: **2×4×6×6**",
                "Parameters: **40**",
                "Mult-adds per image: **1,500 (75.0 %)**",
                "Kernel: **3×3, stride 2**",
                "Receptive field: **5×5 pixels, stride 4**",
            ],
        ),
        ("features.pool", ["Input: **2×3**", "Output: **2×4×3×3**", "Kernel: **2×2, stride 1**"]),
        ("fc", ["Input: **2×3**", "Output: **2×10**", "Parameters: **360**", "Mult-adds per image: **500 (25.0 %)**"]),
    ],
)
def test_the_facts_of_a_chosen_box_are_those_its_layer_has(name: str, facts: list[str]) -> None:
    app = draw_alone(lambda: graph._facts(NETWORK, [name]))
    head, body = (each.value.replace("\\", "") for each in app.markdown)
    assert head.startswith(f"**{name}** ")
    assert body.split("  \n") == facts
    assert not app.info


def test_a_field_that_goes_no_further_has_no_stride_and_of_no_box_a_hint_is_shown() -> None:
    whole = replace(POOL, kernel_size=None, receptive_field=28)
    app = draw_alone(lambda: graph._facts(_summary(whole), [whole.name, "relu"]))
    assert app.markdown[1].value.replace("\\", "").endswith("Receptive field: **28×28 pixels**")
    assert len(draw_alone(lambda: graph._facts(NETWORK, [])).info) == 1


def _box(name: str, *more: str, family: str = "convolution") -> Box:
    return Box(name, name, "", family, (1,), 0, (name, *more), ())


def test_a_press_on_a_block_opens_it_beside_the_others_and_on_a_layer_chooses_all_that_is_in_its_box() -> None:
    shown = [_box("features.one", family="block"), _box("conv", "relu"), _box("fc")]
    ARCHITECTURE.change(opened=("features.two",))
    graph._picked("features.one", {"features.one"}, shown)
    assert ARCHITECTURE.read().opened == ("features.two", "features.one")
    assert ARCHITECTURE.read().selected == ()
    graph._picked("conv", {"features.one"}, shown)
    assert ARCHITECTURE.read().selected == ("conv", "relu")
    assert ARCHITECTURE.read().opened == ("features.two", "features.one")


@pytest.mark.parametrize(("arch", "detail"), [("resnet-small", "blocks"), ("lenet5", "layers")])
def test_an_opened_block_of_the_graph_can_be_closed_again(arch: str, detail: str) -> None:
    design = design_of(get_architecture(arch), "auto", {})
    ARCHITECTURE.change(detail={arch: detail})

    def part() -> None:
        graph.show_graph(design, NETWORK)

    assert not draw_alone(part).button
    opened = replace(ARCHITECTURE.read(), opened=("features.residual1",), selected=("features.conv",))
    app = draw_alone(part, state={ARCHITECTURE.state_key: opened})
    assert "features.conv" in app.markdown[0].value.replace("\\", "")
    app.button[0].click().run()
    assert app.session_state[ARCHITECTURE.state_key].opened == ()


# -- the slabs -------------------------------------------------------------------------------------------------------------


def _slab(shown: Shown, title: str) -> str:
    (found,) = [stage["id"] for stage in shown.of("arch-slabs")["stages"] if stage["title"] == title]
    return str(found)


def test_a_press_on_a_slab_marks_its_layers_and_the_next_one_none(shown: Shown) -> None:
    slabs.show_slabs(LENET)
    assert shown.data["chosen"] is None
    shown.report("pick", [_slab(shown, "conv1"), 0])
    assert ARCHITECTURE.read().selected == ("features.conv1", "features.relu1")
    slabs.show_slabs(LENET)
    assert shown.data["chosen"] == {"stage": _slab(shown, "conv1"), "channel": 0}
    shown.report("pick", [_slab(shown, "pool1"), 3])
    assert ARCHITECTURE.read().selected == ("features.pool1",)
    shown.report("pick", [_slab(shown, "pool1"), 3])
    assert ARCHITECTURE.read().selected == ()


def test_a_block_is_opened_and_closed_beside_the_others(shown: Shown) -> None:
    small = design_of(get_architecture("resnet-small"), "auto", {})
    slabs.show_slabs(small)
    closed = len(shown.data["stages"])
    for block in ("features.residual1", "features.residual2"):
        shown.report("open", block)
    assert ARCHITECTURE.read().opened == ("features.residual1", "features.residual2")
    slabs.show_slabs(small)
    assert len(shown.data["stages"]) > closed
    shown.report("close", "features.residual1")
    assert ARCHITECTURE.read().opened == ("features.residual2",)


# -- the table -------------------------------------------------------------------------------------------------------------


def test_a_group_has_the_sums_of_what_lies_below_it_for_one_image_and_its_share_of_all() -> None:
    rows = {row["name"]: row for row in layers.table_rows(NETWORK)}
    assert list(rows) == ["features", "features.conv", "features.pool", "fc"]
    numbers = ("depth", "leaf", "params_text", "mult_adds", "mult_adds_text", "bytes_text", "param_share_text")
    assert [rows["features"][name] for name in numbers] == [0, False, "40", 1_500, "1,500", "1.4 kB", "10.0 %"]
    assert [rows["features.pool"][name] for name in numbers] == [1, True, "", 0, "", "0.3 kB", "0.0 %"]
    assert [rows["fc"][name] for name in numbers] == [0, True, "360", 500, "500", "0.1 kB", "90.0 %"]
    assert [rows[name]["work_share_text"] for name in rows] == ["75.0 %", "75.0 %", "0.0 %", "25.0 %"]
    conv = {"short": "conv", "shape": "4×6×6", "size": 288, "field": 5, "step": 4, "bytes": 1_152, "type": "Conv2d"}
    assert {name: rows["features.conv"][name] for name in conv} == conv


def test_what_is_only_trained_is_a_row_of_its_own_and_a_network_without_numbers_has_no_shares() -> None:
    (hidden,) = layers.table_rows(_summary(replace(ROOT, params=100)))
    facts = {"name": "auxiliary", "params": 100, "params_text": "100", "param_share_text": "25.0 %", "leaf": True}
    assert {name: hidden[name] for name in facts} == facts
    assert (hidden["work_share_text"], hidden["mult_adds_text"], hidden["field"]) == ("0.0 %", "", None)
    (empty,) = layers.table_rows(_summary(ROOT, _row("relu"), total_params=0, total_mult_adds=0))
    assert (empty["param_share"], empty["work_share"]) == (0, 0)


def test_the_file_of_layers_has_raw_numbers_and_those_of_one_image() -> None:
    head, *lines = csv.reader(io.StringIO(layers.rows_csv(NETWORK)))
    assert len(lines) == 5
    conv = dict(zip(head, lines[2], strict=True))
    facts = {"name": "features.conv", "depth": "2", "output_shape": "2x4x6x6", "mult_adds": "3000", "batch_size": "2"}
    assert {name: conv[name] for name in facts} == facts
    assert (conv["mult_adds_per_image"], conv["kernel_size"], conv["receptive_stride"]) == ("1500", "3", "4")
    assert (lines[4][head.index("kernel_size")], lines[4][head.index("mult_adds_per_image")]) == ("", "500")


@pytest.mark.parametrize(("count", "folded"), [(38, []), (39, ["features.block"])])
def test_groups_within_groups_begin_closed_where_the_table_is_long(shown: Shown, count: int, folded: list[str]) -> None:
    block = _row("features.block", 2, leaf=False)
    ARCHITECTURE.change(selected=("layer0",))
    layers.show_layers(LENET, _summary(ROOT, GROUP, block, *(_row(f"layer{n}", 3) for n in range(count))))
    table = shown.of("arch-layers")
    assert (table["folded"], table["selected"], len(table["rows"])) == (folded, ["layer0"], count + 2)


def test_parameters_that_are_not_trained_are_counted_beside_the_total() -> None:
    def helps(summary: Summary) -> dict[str, str]:
        return {each.label: each.help for each in draw_alone(lambda: totals.show_totals(summary)).metric}

    assert helps(NETWORK)["Parameters"] == ""
    assert helps(replace(NETWORK, trainable_params=150))["Parameters"] == "250 of them are not trained."


# -- two networks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        (0, 5, ""),
        (7, 7, "the same"),
        (200, 100, "÷ 2"),
        (100, 235, "× 2.35"),
        (1, 99, "× 99"),
        (2, 250_000, "× 125,000"),
        (5_977_530, 61_750, "÷ 96.8"),
        (5, 0, ""),
        (100_000, 100_123, "0.12 % more"),
        (100_000, 99_990, "0.01 % less"),
    ],
)
def test_what_one_network_has_of_the_other_is_said_as_a_factor_or_in_per_cent_where_they_are_alike(
    left: int, right: int, words: str
) -> None:
    assert comparison._times(left, right) == words


def test_layers_in_pairs_have_one_cell_where_they_agree() -> None:
    assert [comparison._both(*pair) for pair in (("a", "a"), ("a", ""), ("", "b"), ("", ""))] == [
        "a",
        "a | –",
        "– | b",
        "",
    ]
    assert comparison._line(CONV) == "conv · Conv2d 3×3"
    assert comparison._line(LINEAR) == "fc · Linear"
    assert [comparison._number(row) for row in (CONV, POOL, None)] == ["40", "", ""]
    assert comparison._line(None) == ""
    assert [row.name for row in comparison._leaves(NETWORK)] == ["features.conv", "features.pool", "fc"]


# -- measured times --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "size", "batch", "offered"),
    [
        ("alexnet", "224", 63, True),
        ("alexnet", "224", 64, False),  # 60.1 G mult-adds in 0.5 GB
        ("lenet5", "auto", 27_000, True),
        ("lenet5", "auto", 28_000, False),  # 1.5 GB for 11.8 G mult-adds
    ],
)
def test_more_work_or_more_memory_than_a_machine_has_is_not_measured(
    arch: str, size: str, batch: int, offered: bool
) -> None:
    app = draw_alone(lambda: times.show_times(design_of(get_architecture(arch), size, {}), batch))
    assert (len(app.button), len(app.info)) == ((1, 0) if offered else (0, 1))


CLEAR = Timing((LayerTime("features.conv", "Conv2d", 3.0, 0.2), LayerTime("pool", "Max", 1.0, 0.1)), 8.0, 0.5, 7, "cpu")


def _measured(timing: Timing) -> AppTest:
    held = replace(ARCHITECTURE.record(), times={f"{LENET!r} {BATCH}": (timing, 0.0)})
    return draw_alone(lambda: times.show_times(LENET, BATCH), state={ARCHITECTURE.state_key: held})


def test_each_layer_has_its_share_of_the_time_and_what_it_computes_in_a_second() -> None:
    app = draw_alone(lambda: times._time_table(_summary(replace(CONV, mult_adds=6_000_000)), CLEAR))
    first, second = app.dataframe[0].value.to_dict("records")
    assert first == {
        "Layer": "features.conv",
        "Type": "Conv2d",
        "ms": 3.0,
        "Share": 75.0,
        "± ms": 0.2,
        "G mult-adds/s": pytest.approx(2.0),
    }
    assert (second["Share"], str(second["G mult-adds/s"])) == (25.0, "nan")
    (words,) = [caption.value for caption in app.caption]
    assert "median of 7 passes" in words
    assert "The layers add up to 4.00 ms; the whole network without timing hooks took 8.00 ms." in words


def test_what_was_measured_is_said_with_its_spread_and_with_a_caution_where_layers_cannot_be_told_apart() -> None:
    app = _measured(CLEAR)
    assert [(each.value, each.delta) for each in app.metric] == [("8.00 ± 0.50 ms", "250 images/s")]
    assert not app.warning
    unclear = _measured(replace(CLEAR, layers=(CLEAR.layers[0], LayerTime("pool", "Max", 2.9, 0.1))))
    assert unclear.warning[0].value.replace("\\", "").startswith("The spread exceeds every difference")
