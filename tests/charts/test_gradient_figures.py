"""The heat map of gradients and the ranges of magnitudes: their numbers, labels and texts."""

import math

import pytest

from lab.charts.gradients import FlowMap, flow_map, flow_map_figure, flow_map_words, format_flow, place_of
from lab.charts.magnitudes import magnitudes_figure
from lab.inspection.gradient_flow import QUANTITIES, EpochFlow, LayerFlow
from tests.inspection.test_gradient_flow import layer


def example_flows() -> list[EpochFlow]:
    """Before training and after epochs 1 and 4: a frozen layer, one that vanishes, and one that diverges."""
    return [
        EpochFlow(
            epoch, (layer("features.<a>", None), layer("b", gradient, dead=0.25, change=change), layer("fc", late))
        )
        for epoch, gradient, late, change in (
            (0, 2e-5, 0.05, None),
            (1, 3e-4, math.nan, 0.02),
            (4, 0.0, math.inf, 1.5),
        )
    ]


def _map(quantity: str = "gradient", chosen: int = 1) -> FlowMap:
    return flow_map(example_flows(), quantity, chosen=chosen)


def test_the_heat_map_has_a_row_per_layer_and_a_column_per_epoch() -> None:
    info = _map(chosen=4)
    assert (info.layers, info.epochs, info.chosen) == (("<a>", "b", "fc"), (0, 1, 4), 2)
    assert info.values[0] == (None, None, None)
    assert info.values[1] == pytest.approx((2e-5, 3e-4, 0.0))
    assert info.values[2][0] == pytest.approx(0.05)
    assert info.limits == (-5.0, -1.0)
    assert _map("change").values[1] == (None, 0.02, 1.5)
    assert _map("change").limits == (-2.0, 1.0)
    assert _map("dead").limits == (0.0, 1.0)


def test_a_scale_of_one_value_or_of_none_has_a_decade() -> None:
    one = flow_map([EpochFlow(0, (layer("a", 0.1),))], "gradient", chosen=0)
    assert one.limits == (-1.0, 0.0)
    assert flow_map([EpochFlow(0, (layer("a", None),))], "gradient", chosen=0).limits == (0.0, 1.0)


@pytest.mark.parametrize(
    ("quantity", "value", "text", "place"),
    [
        ("gradient", None, "–", None),
        ("gradient", math.nan, "NaN", None),
        ("gradient", math.inf, "∞", None),
        ("gradient", 0.0, "0", None),
        ("gradient", 0.0123, "0.012", -1.91),
        ("gradient", 0.000123, "1.2e-04", -3.91),
        ("ratio", 12345.0, "1.2e+04", 4.09),
        ("change", 0.0, "0 %", None),
        ("change", 0.00123, "0.12 %", -2.91),
        ("change", 2.0, "200 %", 0.30),
        ("change", 123.45, "12,000 %", 2.09),
        ("change", 1e-9, "1e-07 %", -9.0),
        ("change", 1e20, "1e+22 %", 20.0),
        ("zeros", 0.0, "0 %", 0.0),
        ("zeros", 0.456, "46 %", 0.456),
        ("dead", math.nan, "NaN", None),
    ],
)
def test_values_are_written_in_two_digits_and_those_without_a_place_on_the_scale_are_named(
    quantity: str, value: float | None, text: str, place: float | None
) -> None:
    assert format_flow(QUANTITIES[quantity], value) == text
    assert place_of(QUANTITIES[quantity], value) == (None if place is None else pytest.approx(place, abs=0.01))


def test_cells_have_their_logarithm_their_text_and_a_tooltip() -> None:
    figure = flow_map_figure(_map())
    cells, labels = figure.data
    assert cells.z[1] == pytest.approx((math.log10(2e-5), math.log10(3e-4), None), nan_ok=True)
    assert (cells.zmin, cells.zmax) == (-5, -1)
    assert cells.hovertext[1][1] == "b, after epoch 1<br>Gradient: 3.0e-04"
    assert cells.hovertext[0][0] == "&lt;a&gt;, before training<br>Gradient: –"
    texts = {(x, y): text for x, y, text in zip(labels.x, labels.y, labels.text, strict=True)}
    assert [texts[column, 2] for column in range(3)] == ["0.05", "NaN", "∞"]
    assert texts[2, 1] == "0"
    assert list(figure.layout.yaxis.ticktext) == ["&lt;a&gt;", "b", "fc"]
    assert list(figure.layout.yaxis.range) == [2.5, -0.5], "the first layer is on top"


def test_numbers_are_legible_on_dark_and_on_light_cells() -> None:
    (_, labels) = flow_map_figure(
        flow_map([EpochFlow(0, (layer("a", 1e-4), layer("b", 1.0)))], "gradient", chosen=0)
    ).data
    assert list(labels.textfont.color) == ["#ffffff", "#10151c"]


def test_the_chosen_epoch_has_a_frame_and_a_bold_label() -> None:
    figure = flow_map_figure(_map(chosen=4))
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (1.5, 2.5, -0.5, 2.5)
    assert list(figure.layout.xaxis.ticktext) == ["0", "1", "<b>4</b>"]
    assert figure.layout.annotations[0].x == 2


def _long(columns: int, chosen: int) -> FlowMap:
    return flow_map([EpochFlow(at, (layer("a", 0.1 + at),)) for at in range(columns)], "gradient", chosen=chosen)


@pytest.mark.parametrize(("narrow", "most"), [(False, 17), (True, 7)])
def test_many_columns_have_few_labels_and_no_numbers(narrow: bool, most: int) -> None:
    for chosen in range(40):
        figure = flow_map_figure(_long(40, chosen), narrow=narrow)
        ticks = list(figure.layout.xaxis.tickvals)
        assert chosen in ticks
        assert len(ticks) == len(set(ticks)) <= most
        assert min(abs(a - b) for a in ticks for b in ticks if a != b) > 1, "labels must not touch"
        assert not figure.data[1].text


def test_the_legend_has_the_quantitys_own_numbers() -> None:
    def ticks(quantity: str, *, narrow: bool = False) -> list[str]:
        return list(flow_map_figure(_map(quantity), narrow=narrow).data[0].colorbar.ticktext)

    assert ticks("gradient") == ["1e-05", "0.0001", "0.001", "0.01", "0.1"]
    assert ticks("gradient", narrow=True) == ["1e-05", "0.001", "0.1"]
    assert ticks("change") == ["1 %", "10 %", "100 %", "1,000 %"]
    assert ticks("dead") == ["0 %", "25 %", "50 %", "75 %", "100 %"]


def test_the_alt_text_has_the_range_of_the_chosen_epoch() -> None:
    assert flow_map_words(_map(chosen=0)) == (
        "Gradient of 3 layers at 3 epochs; before training from 2.0e-05 (b) to 0.05 (fc)"
    )
    assert flow_map_words(_map(chosen=1)).endswith("after epoch 1 from 3.0e-04 (b) to 3.0e-04 (b)")
    assert flow_map_words(_map("change", chosen=0)) == (
        "Weight change of 3 layers at 3 epochs; no layer has a finite value before training"
    )


def test_the_ranges_of_weights_and_gradients_are_side_by_side_on_a_logarithmic_axis() -> None:
    figure = magnitudes_figure(example_flows()[0])
    assert figure is not None
    weights, middles, gradients, gradient_middles = figure.data
    assert list(weights.x[:3]) == pytest.approx([0.2, 2.0, None], nan_ok=True)
    assert list(middles.x) == pytest.approx([0.6] * 3)
    assert list(gradient_middles.x) == pytest.approx([6e-5, 0.15])
    assert gradients.y[0] == gradients.y[1] == gradient_middles.y[0]
    assert round(gradients.y[0]) == round(weights.y[3]) == 1, "both ranges are in the layer's row"
    assert (middles.name, gradient_middles.name) == ("weights", "gradient")
    assert gradient_middles.text[0] == "b, gradient: median 6e-05<br>90 % between 2e-05 and 0.0002"
    low, high = figure.layout.xaxis.range
    assert (low, high) == pytest.approx((math.log10(2e-5) - 0.2, math.log10(2.0) + 0.2))


def test_the_ticks_of_magnitudes_are_powers_of_ten() -> None:
    figure = magnitudes_figure(EpochFlow(0, (layer("a", 1.5e-9),)))  # from 1.5e-9 to 2
    assert figure is not None
    assert [math.log10(tick) for tick in figure.layout.xaxis.tickvals] == pytest.approx([-8, -6, -4, -2, 0])
    assert list(figure.layout.xaxis.ticktext) == ["1e-08", "1e-06", "0.0001", "0.01", "1"]


def test_a_layer_without_finite_values_has_no_range_and_no_layers_give_no_figure() -> None:
    broken = layer("a", math.nan, weights=math.inf)
    assert magnitudes_figure(EpochFlow(1, (broken,))) is None
    assert magnitudes_figure(EpochFlow(1, ())) is None
    figure = magnitudes_figure(EpochFlow(1, (broken, layer("b", 1.0))))
    assert figure is not None
    assert list(figure.data[1].y) == [pytest.approx(1, abs=0.5)]


def test_the_share_of_gradients_that_are_exactly_zero_is_in_the_tooltip() -> None:
    one = layer("a", 1.0)
    assert one.gradient is not None
    zeros = LayerFlow("a", "Linear", 4, one.weights, type(one.gradient)(1.0, 0.1, 0.5, 0.9, 0.25), None, None)
    figure = magnitudes_figure(EpochFlow(1, (zeros,)))
    assert figure is not None
    assert figure.data[3].text[0].endswith("<br>25.0 % exactly 0")
