"""The axes of parallel coordinates by numbers: places, ticks, and when an axis is logarithmic."""

import math

import pytest

from lab.charts.parallel import LOG_FROM, axis_of


@pytest.mark.parametrize(
    ("values", "log", "places"),
    [
        ((1.0, 10.0, 100.0), True, (0.0, 0.5, 1.0)),
        ((1.0, LOG_FROM), True, (0.0, 1.0)),
        ((1.0, LOG_FROM - 0.5), False, (0.0, 1.0)),
        ((0.0, 0.25, 1.0), False, (0.0, 0.25, 1.0)),  # no logarithm of 0
        ((-1.0, 0.0, 99.0), False, (0.0, 0.01, 1.0)),
        ((5.0, 5.0), False, (0.5, 0.5)),
    ],
)
def test_an_axis_is_logarithmic_from_a_twentyfold_range_of_numbers_above_zero(
    values: tuple[float, ...], log: bool, places: tuple[float, ...]
) -> None:
    axis = axis_of("Seconds", values, "seconds")
    assert axis.log is log
    assert axis.positions == pytest.approx(places)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_run_without_a_number_has_no_place_and_moves_no_other(missing: float | None) -> None:
    axis = axis_of("Seconds", (2.0, missing, 4.0), "seconds")
    assert (axis.positions[0], axis.positions[2]) == (0.0, 1.0)
    assert math.isnan(axis.positions[1])
    assert [place for place, _ in axis.ticks] == [0.0, 1.0]


def test_an_axis_of_nothing_has_no_ticks() -> None:
    axis = axis_of("Seconds", (None, math.nan), "seconds")
    assert (axis.ticks, axis.log, [math.isnan(place) for place in axis.positions]) == ((), False, [True, True])


def test_names_stand_in_their_order_at_equal_distances() -> None:
    axis = axis_of("Optimizer", ["sgd", "adam", "sgd", "muon"], "optimizer")
    assert axis.positions == (1.0, 0.0, 1.0, 0.5)
    assert axis.ticks == ((0.0, "adam"), (0.5, "muon"), (1.0, "sgd"))
