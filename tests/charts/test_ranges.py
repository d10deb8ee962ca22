"""The ends of an axis: sound curves are never cut, and values far beyond are marked and noted."""

import numpy as np
import plotly.graph_objects as go
import pytest

from lab.charts.lines import RunCurves
from lab.charts.overlay import OverlayOptions, overlay_info
from lab.charts.overlay_figure import overlay_figure
from lab.charts.ranges import (
    MAX_MARKS,
    Excursion,
    Limits,
    axis_range,
    excursions,
    share_limits,
    sound_limits,
)
from lab.formatting import format_short
from lab.runs.records import Series
from tests.charts.charts_data import curves, run

SOUND = np.geomspace(2.3, 0.01, 200)
DIVERGED = np.concatenate([np.linspace(2.3, 2.0, 119), np.full(81, 2.5e12)])


def test_sound_curves_are_never_cut() -> None:
    for values in (SOUND, np.geomspace(300, 0.01, 100), np.linspace(0.05, 2.3, 50), np.linspace(0, -0.97, 50)):
        assert sound_limits([values], [values]) is None
    assert sound_limits([SOUND, np.geomspace(300, 5, 50)]) is None
    assert sound_limits([]) is None
    assert sound_limits([np.array([np.nan, np.inf])]) is None


@pytest.mark.parametrize("rest", [[1.7e308] * 9, [1.7e308, -1.7e308] * 5, [1e300] * 9, [-1e308, 1e305] * 4])
def test_an_axis_has_finite_ends_however_far_a_run_diverged(rest: list[float]) -> None:
    limits = sound_limits([np.array([2.3, *rest])])
    assert limits is not None
    assert np.isfinite(axis_range(limits, 0.1, log=False)).all()
    assert np.isfinite(axis_range(limits, 0.1, log=True)).all()


def test_the_axis_shows_all_of_the_sound_runs_and_the_diverged_one_leaves_it() -> None:
    limits = sound_limits([SOUND, SOUND * 1.5, DIVERGED])
    assert limits is not None
    assert limits.low == 0.0
    assert limits.high == pytest.approx(2.3 * 1.5)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_axis_of_a_single_diverged_run_shows_the_part_where_it_was_sound(sign: int) -> None:
    limits = sound_limits([], [sign * DIVERGED])
    assert limits is not None
    assert sorted(map(abs, limits)) == pytest.approx([0.0, 2.3])


def test_a_spike_of_one_step_does_not_flatten_a_sound_run() -> None:
    raw = SOUND.copy()
    raw[50] = 900.0
    assert sound_limits([SOUND], [raw]) == Limits(0.0, 2.3)


@pytest.mark.parametrize(
    ("curves", "clouds", "high"),
    [
        # Twenty times the start is sound, and a start below 1 counts as 1.
        ([[0.5, 20.0]], [], None),
        ([[0.5, 0.7, 20.1]], [], 0.7),
        ([[2.0, 40.0]], [], None),
        ([[2.0, 2.1, 40.1]], [], 2.1),
        # The lower of the two starts in the middle is the level; a curve may begin at 400 times it and rise twentyfold.
        ([[1.0], [400.0, 8_000.0]], [], None),
        ([[1.0], [400.0, 8_001.0]], [], 1.0),
        ([[1.0, 1.2], [401.0, 1.1]], [], 1.2),
        ([[1.0, 30.0], [1.0], [2.0]], [], 2.0),
        # A run that leaves is shown up to three times the level alone, one and a half times next to a sound run.
        ([[2.0, 6.0, 6.1, 1e9]], [], 6.0),
        ([[2.0, 3.0, 3.1, 1e9], [2.0, 1.0]], [], 3.0),
        ([[2.0, 5.0, 1e9], [2.0, 4.0]], [], 4.0),
        # Raw values behind the curves do not count as a sound run.
        ([[2.0, 6.0, 1e9]], [[2.0, 1.0]], 6.0),
        ([[2.0, 6.0, 1e9], []], [], 6.0),
        # If most of it lies beyond, the axis shows one and a half times the median of all, where the run settled.
        ([[2.0, 1e20, 170.0, 160.0, 150.0]], [], 170.0),
        ([[2.0, 170.0]], [[2.0, 1e20, 220.0, 200.0, 180.0]], 220.0),
        ([[2.0, 6.0, 1e20, 150.0]], [], 6.0),
        ([[2.0, 1e20, 170.0, 160.0, 150.0], [2.0, 1.0]], [], 2.0),
    ],
)
def test_the_limit_of_sound_values_and_the_range_that_is_shown_of_diverged_curves(
    curves: list[list[float]], clouds: list[list[float]], high: float | None
) -> None:
    found = sound_limits([np.array(one) for one in curves], [np.array(one) for one in clouds])
    assert (found and found.high) == high


@pytest.mark.parametrize(
    ("values", "cut"),
    [([0.0, 1.0], False), ([-0.01], True), ([1.01], True), ([np.nan, np.inf, -np.inf, 0.5], False), ([0.5], False)],
)
def test_accuracies_are_cut_only_if_one_is_outside_0_to_1(values: list[float], cut: bool) -> None:
    assert share_limits([np.array([0.2]), np.array(values)]) == (Limits(0.0, 1.0) if cut else None)


def test_values_at_the_limits_are_on_the_axis_and_up_to_the_maximum_all_marks_are_made() -> None:
    limits = Limits(1.0, 3.0)
    assert excursions(np.array([1.0, 3.0, 2.0]), limits) == ()
    assert excursions(np.array([0.0, 2.0, 0.5, 0.9]), limits, log=True) == (
        Excursion(0, 0.0, above=False),
        Excursion(2, 0.5, above=False),
    )
    assert excursions(np.array([2.0, 0.0]), None, log=True) == (Excursion(1, 0.0, above=False),)
    peaks = np.tile([2.0, 9.0], MAX_MARKS)
    assert [one.at for one in excursions(peaks, limits)] == list(range(1, 2 * MAX_MARKS, 2))
    both = np.array([9.0, 0.5, 9.5, 0.1, 0.2])
    assert [(one.at, one.value, one.above) for one in excursions(both, limits)] == [
        (0, 9.0, True),
        (1, 0.5, False),
        (2, 9.5, True),
        (3, 0.1, False),
    ]


def test_excursions_are_stretches_with_their_most_extreme_value() -> None:
    value = np.array([1.0, 50.0, 70.0, 2.0, np.nan, 60.0, -5.0, 0.0])
    limits = Limits(0.0, 3.0)
    assert excursions(value, limits) == (
        Excursion(1, 70.0, above=True),
        Excursion(5, 60.0, above=True),
        Excursion(6, -5.0, above=False),
    )
    assert excursions(value, None) == ()
    assert excursions(value, None, log=True) == (Excursion(6, -5.0, above=False),)  # together with the 0 after it
    assert len(excursions(np.tile([1.0, 9.0], 500), limits)) == MAX_MARKS


def test_the_largest_of_many_excursions_are_marked_in_their_order() -> None:
    peaks = np.arange(10.0, 10.0 + MAX_MARKS + 5)
    value = np.stack([peaks, np.ones_like(peaks)], axis=1).ravel()  # each peak is a stretch of its own
    marked = excursions(value, Limits(0.0, 3.0))
    assert [one.value for one in marked] == peaks[5:].tolist()
    assert [one.at for one in marked] == list(range(10, 2 * len(peaks), 2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999.0, "999"),
        (1000.0, "1k"),
        (-1000.0, "-1k"),
        (1e6, "1M"),
        (2.5e12, "2.5T"),
        (999.9, "1k"),
        (-999_999.0, "-1M"),
        (9.999e14, "1e+15"),
        (1e15, "1e+15"),
        (0.0431, "0.0431"),
    ],
)
def test_numbers_from_a_thousand_on_have_a_suffix_or_an_exponent(value: float, text: str) -> None:
    assert format_short(value) == text


def test_accuracies_have_limits_only_if_one_is_outside_0_to_1() -> None:
    assert share_limits([np.array([0.1, 1.0, np.nan])]) is None
    assert share_limits([np.array([0.1, 2.0**60])]) == Limits(0.0, 1.0)


def test_numbers_are_rounded_to_three_digits() -> None:
    texts = [format_short(value) for value in (2.5e12, -1.2e6, 4321.0, 0.0431, 3.1e18, 69.0)]
    assert texts == ["2.5T", "-1.2M", "4.32k", "0.0431", "3.1e+18", "69"]


def test_the_ends_of_the_axis_have_a_margin_on_both_scales() -> None:
    assert axis_range(Limits(0.0, 2.0), 0.1, log=False) == pytest.approx((-0.1, 2.1))
    low, high = axis_range(Limits(0.0, 10.0), 0.1, log=True)
    assert (low, high) == pytest.approx((-1.1, 1.1))
    # Equal values need some height too.
    assert axis_range(Limits(2.0, 2.0), 0.1, log=False) == pytest.approx((1.95, 2.05))
    assert axis_range(Limits(10.0, 10.0), 0.1, log=True) == pytest.approx((0.95, 1.05))


def _compared(**options: bool) -> tuple[list[str], go.Figure]:
    sound = [curves(run(n, lr=n / 1000), batch_loss=SOUND, val_loss=[2.3, 1.0]) for n in (1, 2)]
    wild = curves(run(3, lr=10.0), batch_loss=DIVERGED, val_loss=[2.3, 2.5e12])
    info = overlay_info([*sound, wild], OverlayOptions(smoothing=1, **options))
    return list(info.notes), overlay_figure(info)


def test_a_run_that_leaves_the_chart_is_noted_with_step_and_value_and_marked_at_the_edge() -> None:
    notes, figure = _compared()
    # Its validation leaves at step 20, before its training at step 120.
    assert notes == ["lr 10 leaves the chart at step 20 and reaches 2.5T."]
    low, high = figure.layout.yaxis.range
    assert low < 0.01
    assert 2.3 < high < 2.6
    marks = [trace for trace in figure.data if trace.meta == "beyond"]
    assert [(*mark.x, *mark.text) for mark in marks] == [
        (120, "2.5T, beyond the axis (training)"),
        (20, "2.5T, beyond the axis (validation)"),
    ]
    assert {mark.yaxis for mark in marks} == {"y2"}


def test_the_full_range_has_no_limits_and_no_marks() -> None:
    notes, figure = _compared(full=True)
    assert notes == []
    assert figure.layout.yaxis.range is None
    assert not [trace for trace in figure.data if trace.meta == "beyond"]


def test_on_a_logarithmic_axis_zeros_and_negatives_are_gaps_marked_below_and_noted() -> None:
    one = curves(run(name="nll"), batch_loss=[2.0, 1.0, 0.0, -3.0, -0.5, 1.0])
    info = overlay_info([one], OverlayOptions(smoothing=1, log_y=True))
    assert info.notes == ("nll has 3 values of 0 or less from step 3 on, which are not on a logarithmic axis.",)
    figure = overlay_figure(info)
    line = next(trace for trace in figure.data if trace.showlegend)
    assert np.isnan(line.y[2:5]).all()
    assert line.y[5] == 1.0
    (mark,) = [trace for trace in figure.data if trace.meta == "beyond"]
    assert (list(mark.x), list(mark.marker.symbol), list(mark.text)) == (
        [3],
        ["triangle-down"],
        ["-3, beyond the axis (training)"],
    )


def test_step_0_is_not_drawn_on_a_logarithmic_x_axis_and_its_value_is_noted() -> None:
    start = Series("val/accuracy", np.array([0, 10]), np.array([0.102, 0.7]), np.array([0.1, 5.0]))
    one = curves(run(name="a"), batch_accuracy=[0.69, 0.8])
    one = RunCurves(one.run, {**one.points, "val/accuracy": start})
    info = overlay_info([one], OverlayOptions("accuracy", smoothing=1, log_x=True))
    assert info.notes == ("Accuracy at step 0 (a: 10.2 %) is not on a logarithmic axis.",)
    train, val = info.lines
    assert (train.x.tolist(), train.y.tolist()) == ([1.0, 2.0], [0.69, 0.8])  # as measured at step 1
    assert (val.x.tolist(), val.y.tolist()) == ([10.0], [0.7])
    linear = overlay_info([one], OverlayOptions("accuracy", smoothing=1))
    assert linear.lines[1].x.tolist() == [0.0, 10.0]
    assert linear.notes == ()


def test_a_long_run_keeps_its_first_steps_on_a_logarithmic_axis() -> None:
    one = curves(run(), batch_loss=np.arange(1.0, 200_001.0))
    info = overlay_info([one], OverlayOptions(smoothing=1, log_x=True, full=True))
    (line,) = info.lines
    for x, y in ((line.x, line.y), (line.raw_x, line.raw_y)):
        assert x[:50].tolist() == list(range(1, 51))
        assert x[-1] == 200_000
        assert np.array_equal(x, y)
        assert x.size <= 2_100
