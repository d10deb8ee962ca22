"""The centred mean: known answers, true ends, and no digits lost after a huge value."""

import numpy as np
import pytest

from lab.charts.smoothing import SPANS, centred_mean, nearest_span


def _all(value: np.ndarray, span: int) -> np.ndarray:
    return centred_mean(value, span, np.arange(value.size))


def test_a_mean_over_five_values_is_centred_and_shrinks_at_both_ends() -> None:
    value = np.array([0.0, 1.0, 4.0, 9.0, 16.0, 25.0])
    assert _all(value, 4).tolist() == [0.0, 5 / 3, 6.0, 11.0, 50 / 3, 25.0]
    assert _all(value, 1).tolist() == value.tolist()


@pytest.mark.parametrize("span", SPANS)
def test_a_constant_stays_and_both_ends_of_a_line_are_what_was_measured(span: int) -> None:
    assert np.allclose(_all(np.full(3000, 3.0), span), 3.0)
    line = np.linspace(5.0, 1.0, 3000)
    assert _all(line, span)[0] == 5.0
    assert _all(line, span)[-1] == pytest.approx(np.mean(line[-1 - span // 8 :]))  # a quarter of half the window


def test_values_that_are_no_numbers_stay_and_count_for_nothing() -> None:
    smoothed = _all(np.array([1.0, np.nan, 2.0, np.inf, 4.0]), 2)
    assert smoothed[[0, 2, 4]].tolist() == [1.0, 2.0, 4.0]
    assert np.isnan(smoothed[1])
    assert np.isposinf(smoothed[3])


def test_a_huge_value_does_not_drown_the_small_ones_after_it() -> None:
    value = np.full(400, 0.1)
    value[100] = 2.5e18
    assert _all(value, 20)[200:] == pytest.approx(np.full(200, 0.1), rel=1e-12)


def test_the_weight_of_an_older_link_becomes_the_span_that_smooths_as_much() -> None:
    assert [nearest_span(weight) for weight in (0.0, 0.6, 0.9, 0.99, 0.999)] == [1, 5, 20, 200, 1000]
