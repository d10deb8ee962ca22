"""The axes of parallel coordinates in numbers: positions, ticks, and when an axis is logarithmic."""

import math

import pytest

from lab.charts.parallel import LOG_FROM, axis_of, parallel_figure, stacked
from tests.charts.charts_data import run


@pytest.mark.parametrize(
    ("values", "log", "positions"),
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
    values: tuple[float, ...], log: bool, positions: tuple[float, ...]
) -> None:
    axis = axis_of("Seconds", values, "seconds")
    assert axis.log is log
    assert axis.positions == pytest.approx(positions)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_run_without_a_value_has_no_position_and_does_not_move_the_others(missing: float | None) -> None:
    axis = axis_of("Seconds", (2.0, missing, 4.0), "seconds")
    assert (axis.positions[0], axis.positions[2]) == (0.0, 1.0)
    assert math.isnan(axis.positions[1])
    assert [place for place, _ in axis.ticks] == [0.0, 1.0]


def test_an_axis_without_values_has_no_ticks() -> None:
    axis = axis_of("Seconds", (None, math.nan), "seconds")
    assert (axis.ticks, axis.log, [math.isnan(place) for place in axis.positions]) == ((), False, [True, True])


def test_names_are_placed_in_their_order_at_equal_distances() -> None:
    axis = axis_of("Optimizer", ["sgd", "adam", "sgd", "muon"], "optimizer")
    assert axis.positions == (1.0, 0.0, 1.0, 0.5)
    assert axis.ticks == ((0.0, "Adam"), (0.5, "Muon"), (1.0, "SGD"))


def test_all_and_off_are_placed_in_order_with_the_numbers_at_equal_distances() -> None:
    axis = axis_of("Training images", (0, 200, 1000, 0), "train_limit")
    assert axis.positions == (1.0, 0.0, 0.5, 1.0)
    assert axis.ticks == ((0.0, "200"), (0.5, "1000"), (1.0, "all"))
    assert axis_of("Training images", (200, 50_000), "train_limit").ticks == ((0.0, "200"), (1.0, "50000"))
    assert axis_of("Folds", (0, 5), "folds").ticks == ((0.0, "off"), (1.0, "5"))
    assert axis_of("Patience", (0, 5), "patience").ticks == ((0.0, "5"), (1.0, "off"))
    assert [text for _, text in axis_of("Clipping", (0.0, 0.5), "grad_clip").ticks][-1] == "off"


def test_each_runs_line_has_its_own_positions_and_shows_its_own_values() -> None:
    axes = [
        axis_of("Training time", (1.0, 3.0, None), "seconds"),
        axis_of("Optimizer", ["sgd", "adam", "sgd"], "optimizer"),
    ]
    figure = parallel_figure([run(number, seed=number) for number in (1, 2, 3)], axes)
    first, second, third = figure.data
    assert [list(line.x) for line in figure.data] == [[0, 1]] * 3
    assert (list(first.y), list(second.y)) == ([0.0, 1.0], [1.0, 0.0])
    assert math.isnan(third.y[0])
    assert third.y[1] == 1.0
    assert not third.connectgaps
    assert [text.partition(": ")[0] for text in first.text] == ["Training time", "Optimizer"]
    assert [text.partition(": ")[2] for text in second.text] == [axes[0].texts[1], "Adam"]
    assert (list(figure.layout.xaxis.tickvals), list(figure.layout.xaxis.range)) == ([0, 1], [-0.35, 1.55])
    assert list(figure.layout.xaxis.ticktext) == ["Training<br>time", "Optimizer"]
    ticks = [(one.x, one.y, one.text) for one in figure.layout.annotations]
    assert ticks == [(at, place, text) for at, axis in enumerate(axes) for place, text in axis.ticks]


@pytest.mark.parametrize(("most", "is_stacked"), [(14, False), (24, True)])
def test_a_long_name_at_an_axis_is_truncated_before_the_next_axis(most: int, is_stacked: bool) -> None:
    for length, shown in ((most, "n" * most), (most + 1, "n" * (most - 1) + "…")):
        axis = axis_of("Name", ["n" * length], "name")
        upright = parallel_figure([run()], [axis])
        figure = stacked(upright, [axis]) if is_stacked else upright
        assert [note.text for note in figure.layout.annotations][-1:] == [shown]
