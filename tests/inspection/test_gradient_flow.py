"""What the numbers of a layer are called, and the sentences that come from them."""

import math

import pytest

from lab.inspection.gradient_flow import (
    EXPLODES,
    QUANTITIES,
    VANISHES,
    EpochFlow,
    LayerFlow,
    Magnitudes,
    quotient,
    read_flow,
)


def magnitudes(norm: float) -> Magnitudes:
    return Magnitudes(norm, 0.1 * norm, 0.3 * norm, norm, 0.0)


def layer(name: str, gradient: float | None, **fields: float | None) -> LayerFlow:
    """Return a layer of 100 weights of norm 2 whose gradient has this root mean square."""
    known = None if gradient is None else magnitudes(10 * gradient)
    return LayerFlow(
        name,
        "Conv2d",
        100,
        magnitudes(fields.get("weights") or 2.0),
        known,
        fields.get("zeros"),
        fields.get("dead"),
        fields.get("change"),
    )


def _read(*layers: LayerFlow) -> list[str]:
    return list(read_flow(EpochFlow(1, layers)))


def test_quantities_of_a_layer() -> None:
    one = layer("features.conv1", 0.02, zeros=0.25, dead=0.125, change=0.5)
    assert one.label == "conv1"
    assert {name: quantity.read(one) for name, quantity in QUANTITIES.items()} == {
        "gradient": pytest.approx(0.02),
        "ratio": pytest.approx(0.1),
        "change": 0.5,
        "zeros": 0.25,
        "dead": 0.125,
    }


@pytest.mark.parametrize(
    ("part", "whole", "expected"), [(1.0, 4.0, 0.25), (0.0, 0.0, 0.0), (1.0, 0.0, math.inf), (0.0, 2.0, 0.0)]
)
def test_a_quotient_of_norms_is_defined_for_weights_that_are_zero(part: float, whole: float, expected: float) -> None:
    assert quotient(part, whole) == expected


def test_a_quotient_with_nan_is_nan() -> None:
    assert math.isnan(quotient(math.nan, 0.0))
    assert math.isnan(quotient(1.0, math.nan))


def test_changes_are_added_by_name() -> None:
    flow = EpochFlow(3, (layer("a", 1.0), layer("b", 1.0))).with_changes({"b": 0.5, "c": 1.0})
    assert (flow.epoch, [each.change for each in flow.layers]) == (3, [None, 0.5])


def test_a_gradient_that_is_far_smaller_in_the_first_layer_vanishes() -> None:
    middle = layer("b", 1.0)
    assert _read(layer("features.conv1", 1e-5), middle, layer("fc", 0.034)) == [
        "The gradient of conv1 is 3,400 times smaller than that of fc: it vanishes on the way back."
    ]
    assert "2e+12 times smaller" in _read(layer("a", 1e-13), layer("fc", 0.2))[0]


def test_a_gradient_that_is_far_larger_in_the_first_layer_explodes() -> None:
    assert _read(layer("a", 5.0), layer("fc", 0.01)) == [
        "The gradient of a is 500 times larger than that of fc: it explodes on the way back."
    ]


@pytest.mark.parametrize("early", [0.99 * EXPLODES, 1.0, 1.01 / VANISHES])
def test_within_these_factors_a_gradient_neither_vanishes_nor_explodes(early: float) -> None:
    (sentence,) = _read(layer("a", early), layer("fc", 1.0))
    assert sentence.endswith("the gradient neither vanishes nor explodes on the way back.")


def test_the_factor_between_two_gradients_is_at_least_one() -> None:
    for first, last in ((0.5, 1.3), (1.3, 0.5)):
        assert "a and fc differ by a factor of 2.6" in _read(layer("a", first), layer("fc", last))[0]


def test_one_layer_and_a_gradient_of_zero_are_not_compared() -> None:
    assert _read(layer("a", 1.0)) == []
    assert _read(layer("a", 0.0), layer("b", 0.0), layer("c", 1.0), layer("d", 1.0)) == [
        "The gradient is exactly 0 in a and b: nothing is learned there."
    ]


def test_many_dead_units_are_named_with_their_layer() -> None:
    few, many = layer("a", 1.0, dead=0.49), layer("b", 1.0, dead=0.75)
    assert _read(few, layer("fc", 1.0))[1:] == []
    assert _read(few, many, layer("fc", 1.0))[1:] == [
        "75 % of the units of b are dead: their output is 0 for every image of the batch."
    ]


def test_frozen_layers_are_named_and_do_not_count_as_unchanged() -> None:
    frozen = layer("conv1", None, change=0.0)
    assert _read(frozen, layer("a", 1.0, change=0.25), layer("fc", 1.0, change=0.015))[1:] == [
        "Not trained (frozen): conv1.",
        "Since the previous saved epoch, the weights changed by 1.5 % (fc) to 25 % (a).",
    ]


@pytest.mark.parametrize(("count", "words"), [(1, "n0"), (2, "n0 and n1"), (4, "n0, n1, n2 and n3")])
def test_few_layers_are_named_in_full(count: int, words: str) -> None:
    broken = [layer(f"n{at}", math.nan) for at in range(count)]
    assert _read(*broken) == [f"Weights or gradients of {words} are not finite because the training diverged."]


def test_of_many_layers_three_are_named() -> None:
    broken = [layer(f"n{at}", 1.0, weights=math.inf) for at in range(9)]
    assert _read(*broken) == [
        "Weights or gradients of n0, n1, n2 and 6 more layers are not finite because the training diverged."
    ]
