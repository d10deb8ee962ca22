"""Parts of the Architecture page with hand-written layers: facts of a box, sums of a group, the effect of clicks."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lab.inspection.picture import Box
from lab.inspection.summary import LayerRow, Summary
from lab.inspection.timing import LayerTime, Timing
from pages.architecture import comparison, graph, layers, slabs, times, totals
from pages.cache.design import design_of
from pages.state.architecture import ARCHITECTURE
from tests.web.addresses import draw_alone
from tests.web.plain_text import PLAIN
from tests.web.shown_components import Shown

LENET = design_of("lenet5", "auto", {})
BATCH = 2


@pytest.fixture(autouse=True)
def nothing_chosen() -> Iterator[None]:
    ARCHITECTURE.forget()
    yield
    ARCHITECTURE.forget()


def _row(name: str, depth: int = 1, *, leaf: bool = True, **facts: Any) -> LayerRow:
    """Return a layer, for a batch of two, with these facts; all others are None or 0."""
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
    defaults = {
        "input_shape": (BATCH, 1, 8, 8),
        "total_params": 400,
        "trainable_params": 400,
        "total_mult_adds": 4_000,
        "forward_backward_bytes": 2_000,
        "params_bytes": 1_600,
        "input_bytes": 512,
        "text": "",
    }
    return Summary(layers=rows, **defaults | facts)


NETWORK = _summary(ROOT, GROUP, CONV, POOL, LINEAR)

# -- the graph ---------------------------------------------------------------------------------------------------------


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
def test_a_chosen_box_shows_only_the_facts_that_its_layer_has(name: str, facts: list[str]) -> None:
    app = draw_alone(lambda: graph._facts(NETWORK, [name]))
    head, body = (each.value.translate(PLAIN) for each in app.markdown)
    assert head.startswith(f"**{name}** ")
    assert body.split("  \n") == facts
    assert not app.info


def test_a_receptive_field_may_have_no_stride_and_without_a_chosen_box_a_hint_is_shown() -> None:
    whole = replace(POOL, kernel_size=None, receptive_field=28)
    app = draw_alone(lambda: graph._facts(_summary(whole), [whole.name, "relu"]))
    assert app.markdown[1].value.translate(PLAIN).endswith("Receptive field: **28×28 pixels**")
    assert len(draw_alone(lambda: graph._facts(NETWORK, [])).info) == 1


def _box(name: str, *more: str, family: str = "convolution") -> Box:
    return Box(name, name, "", family, (1,), 0, (name, *more), ())


def test_a_click_on_a_block_opens_it_too_and_one_on_a_layer_selects_all_layers_of_its_box() -> None:
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
    design = design_of(arch, "auto", {})
    ARCHITECTURE.change(detail={arch: detail})

    def part() -> None:
        graph.show_graph(design, NETWORK)

    assert not draw_alone(part).button
    opened = replace(ARCHITECTURE.read(), opened=("features.residual1",), selected=("features.conv",))
    app = draw_alone(part, state={ARCHITECTURE.state_key: opened})
    assert "features.conv" in app.markdown[0].value.translate(PLAIN)
    app.button[0].click().run()
    assert app.session_state[ARCHITECTURE.state_key].opened == ()


# -- the slabs ---------------------------------------------------------------------------------------------------------


def _slab(shown: Shown, title: str) -> str:
    (found,) = [stage["id"] for stage in shown.of("arch-slabs")["stages"] if stage["title"] == title]
    return str(found)


def test_a_click_on_a_slab_selects_its_layers_and_a_second_click_deselects_them(shown: Shown) -> None:
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


def test_opening_or_closing_a_block_leaves_the_other_blocks_as_they_are(shown: Shown) -> None:
    small = design_of("resnet-small", "auto", {})
    slabs.show_slabs(small)
    closed = len(shown.data["stages"])
    for block in ("features.residual1", "features.residual2"):
        shown.report("open", block)
    assert ARCHITECTURE.read().opened == ("features.residual1", "features.residual2")
    slabs.show_slabs(small)
    assert len(shown.data["stages"]) > closed
    shown.report("close", "features.residual1")
    assert ARCHITECTURE.read().opened == ("features.residual2",)


# -- the table ---------------------------------------------------------------------------------------------------------


def test_a_group_has_the_sums_of_its_layers_for_one_image_and_their_share_of_the_total() -> None:
    rows = {row["name"]: row for row in layers.table_rows(NETWORK)}
    assert list(rows) == ["features", "features.conv", "features.pool", "fc"]
    numbers = ("depth", "leaf", "params_text", "mult_adds", "mult_adds_text", "bytes_text", "param_share_text")
    assert [rows["features"][name] for name in numbers] == [0, False, "40", 1_500, "1,500", "1.4 kB", "10.0 %"]
    assert [rows["features.pool"][name] for name in numbers] == [1, True, "", 0, "", "0.3 kB", "0.0 %"]
    assert [rows["fc"][name] for name in numbers] == [0, True, "360", 500, "500", "0.1 kB", "90.0 %"]
    assert [rows[name]["work_share_text"] for name in rows] == ["75.0 %", "75.0 %", "0.0 %", "25.0 %"]
    conv = {"short": "conv", "shape": "4×6×6", "size": 288, "field": 5, "step": 4, "bytes": 1_152, "type": "Conv2d"}
    assert {name: rows["features.conv"][name] for name in conv} == conv


def test_auxiliary_parameters_get_a_row_and_shares_of_a_network_without_parameters_are_zero() -> None:
    (auxiliary,) = layers.table_rows(_summary(replace(ROOT, params=100)))
    facts = {"name": "auxiliary", "params": 100, "params_text": "100", "param_share_text": "25.0 %", "leaf": True}
    assert {name: auxiliary[name] for name in facts} == facts
    assert (auxiliary["work_share_text"], auxiliary["mult_adds_text"], auxiliary["field"]) == ("0.0 %", "", None)
    (empty,) = layers.table_rows(_summary(ROOT, _row("relu"), total_params=0, total_mult_adds=0))
    assert (empty["param_share"], empty["work_share"]) == (0, 0)


def test_the_csv_of_layers_has_raw_counts_and_counts_per_image() -> None:
    head, *lines = csv.reader(io.StringIO(layers.rows_csv(NETWORK)))
    assert len(lines) == 5
    conv = dict(zip(head, lines[2], strict=True))
    facts = {"name": "features.conv", "depth": "2", "output_shape": "2x4x6x6", "mult_adds": "3000", "batch_size": "2"}
    assert {name: conv[name] for name in facts} == facts
    assert (conv["mult_adds_per_image"], conv["kernel_size"], conv["receptive_stride"]) == ("1500", "3", "4")
    assert (lines[4][head.index("kernel_size")], lines[4][head.index("mult_adds_per_image")]) == ("", "500")


@pytest.mark.parametrize(("count", "folded"), [(38, []), (39, ["features.block"])])
def test_nested_groups_start_folded_if_the_table_is_long(shown: Shown, count: int, folded: list[str]) -> None:
    block = _row("features.block", 2, leaf=False)
    ARCHITECTURE.change(selected=("layer0",))
    layers.show_layers(LENET, _summary(ROOT, GROUP, block, *(_row(f"layer{n}", 3) for n in range(count))))
    table = shown.of("arch-layers")
    assert (table["folded"], table["selected"], len(table["rows"])) == (folded, ["layer0"], count + 2)


def test_the_help_of_the_total_says_how_many_parameters_are_not_trained() -> None:
    def helps(summary: Summary) -> dict[str, str]:
        return {each.label: each.help for each in draw_alone(lambda: totals.show_totals(summary)).metric}

    assert helps(NETWORK)["Parameters"] == ""
    assert helps(replace(NETWORK, trainable_params=150))["Parameters"] == "250 of them are not trained."


# -- two networks ------------------------------------------------------------------------------------------------------


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
def test_two_counts_are_compared_by_a_factor_or_in_percent_if_they_are_close(left: int, right: int, words: str) -> None:
    assert comparison._times(left, right) == words


def test_a_cell_of_two_paired_layers_has_one_value_if_they_agree_and_both_otherwise() -> None:
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


# -- measured times ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "size", "batch", "offered"),
    [
        ("alexnet", "224", 63, True),
        ("alexnet", "224", 64, False),  # 60.1 G mult-adds in 0.5 GB
        ("lenet5", "auto", 27_000, True),
        ("lenet5", "auto", 28_000, False),  # 1.5 GB for 11.8 G mult-adds
    ],
)
def test_times_are_not_measured_if_that_needs_too_much_work_or_memory(
    arch: str, size: str, batch: int, offered: bool
) -> None:
    app = draw_alone(lambda: times.show_times(design_of(arch, size, {}), batch))
    assert (len(app.button), len(app.info)) == ((1, 0) if offered else (0, 1))


CLEAR = Timing((LayerTime("features.conv", "Conv2d", 3.0, 0.2), LayerTime("pool", "Max", 1.0, 0.1)), 8.0, 0.5, 7, "cpu")


def _measured(timing: Timing) -> AppTest:
    held = replace(ARCHITECTURE.record(), times={f"{LENET!r} {BATCH}": (timing, 0.0)})
    return draw_alone(lambda: times.show_times(LENET, BATCH), state={ARCHITECTURE.state_key: held})


def test_each_layer_has_its_share_of_the_time_and_its_mult_adds_per_second() -> None:
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


def test_measured_times_have_their_spread_and_a_warning_if_it_exceeds_every_difference() -> None:
    app = _measured(CLEAR)
    assert [(each.value, each.delta) for each in app.metric] == [("8.00 ± 0.50 ms", "250 images/s")]
    assert not app.warning
    unclear = _measured(replace(CLEAR, layers=(CLEAR.layers[0], LayerTime("pool", "Max", 2.9, 0.1))))
    assert unclear.warning[0].value.translate(PLAIN).startswith("The spread exceeds every difference")
