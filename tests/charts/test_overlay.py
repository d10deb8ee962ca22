"""Overlays: the numbers are the runs' own, thinned and smoothed only where it is said."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from lab.charts.overlay import AXES, METRICS, OverlayOptions, overlay_info, smooth
from lab.charts.overlay_figure import overlay_figure, overlay_words, usual_range
from lab.charts.thinning import MAX_BUCKETS, MAX_POINTS
from tests.charts.charts_data import curves, run


def test_a_debiased_exponential_mean_keeps_a_constant_and_starts_at_the_first_value() -> None:
    assert np.allclose(smooth(np.full(50, 3.0), 0.9), 3.0)
    value = np.array([1.0, 2.0, 4.0])
    # weights 1, 0.5, 0.25 from the newest back: (2 + 1·0.5) / 1.5 and (4 + 2·0.5 + 1·0.25) / 1.75
    assert np.allclose(smooth(value, 0.5), [1.0, 2.5 / 1.5, 5.25 / 1.75])
    assert smooth(value, 0.0) is value


def test_smoothing_passes_over_values_that_are_no_numbers_and_keeps_them() -> None:
    smoothed = smooth(np.array([1.0, np.nan, 2.0, np.inf, 4.0]), 0.5)
    assert np.allclose(smoothed[[0, 2, 4]], [1.0, 2.5 / 1.5, 5.25 / 1.75])
    assert np.isnan(smoothed[1])
    assert np.isposinf(smoothed[3])


def test_a_run_has_a_smoothed_line_with_raw_points_behind_and_its_validation() -> None:
    one = curves(run(), batch_loss=np.linspace(2, 1, 20), val_loss=[1.5, 1.0], test_loss=[1.6, 1.1])
    info = overlay_info([one], OverlayOptions(smoothing=0.0))
    assert [(line.kind, line.total) for line in info.lines] == [("train", 20), ("val", 2)]
    assert np.array_equal(info.lines[0].y, info.lines[0].raw_y)
    assert info.lines[1].x.tolist() == [10, 20]
    with_test = overlay_info([one], OverlayOptions(test=True))
    assert [line.kind for line in with_test.lines] == ["train", "val", "test"]


@pytest.mark.parametrize(
    ("x", "expected"), [("step", [10, 20]), ("epoch", [1, 2]), ("relative", [5, 10]), ("wall", [2_005_000, 2_010_000])]
)
def test_the_same_points_stand_at_step_epoch_training_time_or_time_of_day(x: str, expected: list[float]) -> None:
    info = overlay_info([curves(run(), val_loss=[1.5, 1.0])], OverlayOptions(x=x))
    assert info.lines[0].x.tolist() == expected


def test_a_spike_in_a_million_points_is_seen_and_the_picture_says_how_many_it_stands_for() -> None:
    values = np.ones(1_000_000)
    values[654_321] = 99.0
    info = overlay_info([curves(run(), batch_loss=values)], OverlayOptions(smoothing=0.9))
    (line,) = info.lines
    assert 99.0 in line.raw_y
    assert line.raw_x.size <= MAX_POINTS
    assert line.x.size <= MAX_BUCKETS
    assert line.x[-1] == 1_000_000
    assert info.total == 1_000_000


def test_runs_that_differ_only_in_their_seed_fold_into_mean_and_deviation() -> None:
    seeds = [curves(run(n, seed=n), val_loss=[v, v + 1]) for n, v in ((1, 1.0), (2, 2.0), (3, 3.0))]
    other = curves(run(9, lr=0.5), val_loss=[7.0, 8.0])
    info = overlay_info([seeds[0], other, *seeds[1:]], OverlayOptions())
    folded, alone = info.lines
    assert folded.label == "lenet5 on digits (3 seeds)"
    assert folded.y.tolist() == [2.0, 3.0]
    assert folded.low.tolist() == [1.0, 2.0]  # the deviation of 1, 2, 3 is 1
    assert folded.high.tolist() == [3.0, 4.0]
    assert len(folded.runs) == 3
    assert alone.low.size == 0
    assert len(overlay_info([seeds[0], other, *seeds[1:]], OverlayOptions(fold=False)).lines) == 4


def test_folding_uses_the_steps_that_all_seeds_have() -> None:
    long = curves(run(1, seed=1), val_loss=[1.0, 2.0, 3.0])
    short = curves(run(2, seed=2), val_loss=[3.0, 4.0])
    (line,) = overlay_info([long, short], OverlayOptions()).lines
    assert line.x.tolist() == [10, 20]
    assert line.y.tolist() == [2.0, 3.0]


def test_a_band_on_positive_values_never_goes_below_zero() -> None:
    group = [curves(run(n, seed=n), val_loss=[v]) for n, v in ((1, 0.01), (2, 10.0))]
    (line,) = overlay_info(group, OverlayOptions()).lines
    assert line.low.tolist() == [0.01]


def test_values_that_are_no_numbers_are_named_where_they_happened() -> None:
    one = curves(run(), batch_loss=[1.0, np.nan, np.inf, -np.inf, 2.0])
    (line,) = overlay_info([one], OverlayOptions()).lines
    assert [(odd.x, odd.name) for odd in line.odd] == [(2, "NaN"), (3, "+inf"), (4, "-inf")]
    marks = [trace for trace in overlay_figure(overlay_info([one], OverlayOptions())).data if trace.mode == "markers"]
    assert list(marks[0].text) == ["NaN", "+inf", "-inf"]
    assert np.isfinite(np.asarray(marks[0].y, float)).all()


def test_a_stretch_of_nan_is_marked_once_where_it_begins() -> None:
    one = curves(run(), batch_loss=[1.0, np.nan, np.nan, np.nan, np.inf, np.inf, 1.0, np.nan])
    (line,) = overlay_info([one], OverlayOptions()).lines
    assert [(odd.x, odd.name) for odd in line.odd] == [(2, "NaN"), (5, "+inf"), (8, "NaN")]


def test_a_runaway_does_not_flatten_the_other_runs_when_outliers_are_ignored() -> None:
    alike = [curves(run(n, lr=0.1 * n), val_loss=[2.0, 1.0]) for n in (1, 2, 3)]
    runaway = curves(run(4, lr=0.9), val_loss=[-1e6, -1e12])
    info = overlay_info([*alike, runaway], OverlayOptions())
    low, high = usual_range(info, log=False) or (0.0, 0.0)
    assert 0.9 < low < 1.02
    assert 1.98 < high < 2.1
    assert overlay_figure(info, clip=True).layout.yaxis.range == (low, high)
    assert overlay_figure(info).layout.yaxis.range is None
    logs = usual_range(overlay_info(alike, OverlayOptions()), log=True)
    assert logs is not None
    assert 10 ** logs[1] == pytest.approx(2.0, rel=0.1)
    assert usual_range(overlay_info([], OverlayOptions()), log=False) is None


def test_a_run_without_points_is_missing_and_said() -> None:
    info = overlay_info([curves(run(name="empty"))], OverlayOptions())
    assert info.lines == ()
    assert info.notes == ("empty · 1000 has no points of loss.",)
    assert len(overlay_figure(info).data) == 0
    assert overlay_info([], OverlayOptions()) == ("loss", "step", (), ())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("x", AXES)
def test_every_metric_is_drawn_on_every_axis_as_strict_json(metric: str, x: str) -> None:
    names = {name for one in METRICS.values() for name in (one.dense, *one.sparse) if name}
    points = {name.replace("/", "_", 1): np.linspace(1, 0.5, 5) for name in names if "/" in name}
    one = curves(run(), **points)
    two = curves(run(2, lr=0.1), **points)
    info = overlay_info([one, two], OverlayOptions(metric=metric, x=x, test=True))
    for dark in (False, True):
        figure = overlay_figure(info, dark=dark, log_x=True, log_y=True)
        json.loads(figure.to_json(), parse_constant=_refuse)


def _refuse(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")


def test_a_run_looks_the_same_in_every_selection_and_apart_from_its_neighbours() -> None:
    def look(figure: go.Figure, name: str) -> tuple[str, str]:
        (trace,) = [t for t in figure.data if t.name == name and t.showlegend]
        return trace.line.color, trace.line.dash

    many = [curves(run(n, lr=0.001 * n), val_loss=[1.0, 2.0]) for n in range(1, 31)]
    all_of_them = overlay_figure(overlay_info(many, OverlayOptions()))
    few = overlay_figure(overlay_info(many[4:6], OverlayOptions()))
    names = [line.label for line in overlay_info(many, OverlayOptions()).lines]
    assert look(few, names[4]) == look(all_of_them, names[4])
    assert len({look(all_of_them, name) for name in names}) == 30


def test_all_lines_of_a_run_hide_together_and_only_one_is_in_the_legend() -> None:
    one = curves(run(), batch_loss=[2.0, 1.0], val_loss=[1.5])
    figure = overlay_figure(overlay_info([one], OverlayOptions()))
    assert len({trace.legendgroup for trace in figure.data}) == 1
    assert [trace.showlegend for trace in figure.data].count(True) == 1
    assert figure.layout.hovermode == "x unified"


def test_a_name_full_of_markup_is_shown_as_text() -> None:
    one = curves(run(name="<a href='javascript:alert(1)'>x</a>"), val_loss=[1.0])
    figure = overlay_figure(overlay_info([one], OverlayOptions()))
    assert all("<" not in (trace.name or "") for trace in figure.data)


def test_the_picture_is_told_in_words() -> None:
    info = overlay_info([curves(run(name="mine"), val_loss=[1.5, 0.25])], OverlayOptions())
    assert overlay_words(info) == "Loss of 1 run by step: mine · 1000 ends at 0.25"
