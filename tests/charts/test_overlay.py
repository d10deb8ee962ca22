"""Overlays: the numbers are the runs' own, apart from the stated smoothing and thinning."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import plotly.graph_objects as go
import pytest

from lab.charts.overlay import AXES, OverlayOptions, RunCurves, line_slots, overlay_info
from lab.charts.overlay_figure import dates, line_key, overlay_alt_text, overlay_figure
from lab.charts.style import GREY
from lab.charts.thinning import MAX_BUCKETS, MAX_POINTS
from lab.metric_charts import list_charts
from lab.runs.records import Series
from tests.charts.charts_data import curves, run


def test_a_run_has_a_smoothed_line_with_raw_points_behind_it_and_a_validation_line() -> None:
    one = curves(run(), batch_loss=np.linspace(2, 1, 20), val_loss=[1.5, 1.0], test_loss=[1.6, 1.1])
    info = overlay_info([one], OverlayOptions(smoothing=1))
    assert [(line.kind, line.total) for line in info.lines] == [("train", 20), ("val", 2)]
    assert np.array_equal(info.lines[0].y, info.lines[0].raw_y)
    assert info.lines[1].x.tolist() == [10, 20]
    with_test = overlay_info([one], OverlayOptions(test=True))
    assert [line.kind for line in with_test.lines] == ["train", "val", "test"]


def test_a_chart_with_several_kinds_of_lines_has_a_key_to_their_images() -> None:
    one = curves(run(), batch_loss=np.linspace(2, 1, 20), val_loss=[1.5, 1.0], test_loss=[1.6, 1.1])
    alone = curves(run(), val_loss=[1.5, 1.0])
    key = line_key(overlay_info([one], OverlayOptions()))
    assert key == "Thick: training, smoothed, with the raw values behind it. Diamonds: validation."
    assert line_key(overlay_info([one], OverlayOptions(test=True))) == f"{key} Squares: test."
    assert (
        line_key(overlay_info([one], OverlayOptions(raw=False))) == "Thick: training, smoothed. Diamonds: validation."
    )
    assert line_key(overlay_info([one], OverlayOptions()), smoothed=False) == "Thick: training. Diamonds: validation."
    assert line_key(overlay_info([alone], OverlayOptions())) == ""
    assert line_key(overlay_info([], OverlayOptions())) == ""


@pytest.mark.parametrize(
    ("x", "expected"), [("step", [10, 20]), ("epoch", [1, 2]), ("relative", [5, 10]), ("wall", [2_005_000, 2_010_000])]
)
def test_the_same_points_are_placed_by_step_epoch_training_time_or_time_of_day(x: str, expected: list[float]) -> None:
    info = overlay_info([curves(run(), val_loss=[1.5, 1.0])], OverlayOptions(x=x))
    assert info.lines[0].x.tolist() == expected


@pytest.mark.parametrize(
    ("zone", "times", "title"),
    [
        ("", ["1970-01-01T00:33:25.000", "1970-01-01T00:33:30.000"], "Time of day in UTC (start of the run"),
        ("Asia/Kolkata", ["1970-01-01T06:03:25.000", "1970-01-01T06:03:30.000"], "Time of day (start of the run"),
        ("America/St_Johns", ["1969-12-31T21:03:25.000", "1969-12-31T21:03:30.000"], "Time of day (start of the run"),
    ],
)
def test_times_of_day_are_in_the_given_zone(zone: str, times: list[str], title: str) -> None:
    options = OverlayOptions(x="wall", zone=ZoneInfo(zone) if zone else UTC)
    figure = overlay_figure(overlay_info([curves(run(), val_loss=[1.5, 1.0])], options))
    assert np.datetime_as_string(np.asarray(figure.data[0].x, "datetime64[ms]")).tolist() == times
    assert figure.layout.xaxis.title.text.startswith(title)


def test_times_of_day_follow_a_change_to_summer_time() -> None:
    """On 29 March 2026 at 01:00 UTC, clocks in Berlin went from 2:00 to 3:00."""
    info = overlay_info([], OverlayOptions(x="wall", zone=ZoneInfo("Europe/Berlin")))
    change_ms = datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp() * 1000.0
    shown = dates(np.array([change_ms - 60_000.0, change_ms]), info)
    assert np.datetime_as_string(shown, unit="m").tolist() == ["2026-03-29T01:59", "2026-03-29T03:00"]


def test_a_spike_in_a_million_points_is_visible_and_the_total_is_reported() -> None:
    values = np.ones(1_000_000)
    values[654_321] = 99.0
    info = overlay_info([curves(run(), batch_loss=values)], OverlayOptions(smoothing=10))
    (line,) = info.lines
    assert 99.0 in line.raw_y
    assert line.raw_x.size <= MAX_POINTS
    assert line.x.size <= MAX_BUCKETS
    assert line.raw_x[-1] == 1_000_000
    assert info.total == 1_000_000


def test_runs_that_differ_only_in_their_seed_fold_into_mean_and_deviation() -> None:
    seeds = [curves(run(n, seed=n), val_loss=[v, v + 1]) for n, v in ((1, 1.0), (2, 2.0), (3, 3.0))]
    other = curves(run(9, lr=0.5), val_loss=[7.0, 8.0])
    info = overlay_info([seeds[0], other, *seeds[1:]], OverlayOptions())
    folded, alone = info.lines
    assert (folded.label, alone.label) == ("lr 0.001 (3 seeds)", "lr 0.5, seed 0")
    assert folded.y.tolist() == [2.0, 3.0]
    assert folded.low.tolist() == [1.0, 2.0]  # the deviation of 1, 2, 3 is 1
    assert folded.high.tolist() == [3.0, 4.0]
    assert len(folded.runs) == 3
    assert alone.low.size == 0
    assert len(overlay_info([seeds[0], other, *seeds[1:]], OverlayOptions(fold=False)).lines) == 4


def test_a_forks_curve_begins_where_it_was_forked_and_the_part_before_is_grey() -> None:
    values = np.linspace(2, 1, 30)
    fork = curves(run(2, fork_of="ab12", fork_epoch=2), batch_loss=values, val_loss=[1.5, 1.0, 0.5])
    info = overlay_info([curves(run(1), val_loss=[1.5, 1.0, 0.9]), fork], OverlayOptions(smoothing=1, raw=False))
    parts = [(line.kind, line.before_fork, line.x.tolist()) for line in info.lines[1:]]
    assert parts[2:] == [("val", True, [10, 20]), ("val", False, [20, 30])]
    assert [(kind, before, x[0], x[-1]) for kind, before, x in parts[:2]] == [
        ("train", True, 1, 20),
        ("train", False, 20, 30),
    ]
    grey, *others = overlay_figure(info).data[1:]
    assert [trace.line.color for trace in overlay_figure(info).data[:2]] == [GREY, GREY]
    assert GREY not in [trace.line.color for trace in others]
    assert grey.legendgroup == fork.run.id
    assert overlay_alt_text(info).count("ends at") == 2
    assert overlay_alt_text(info).endswith("(training) and 0.5 (validation)")


def test_folding_uses_the_steps_that_all_seeds_have() -> None:
    long = curves(run(1, seed=1), val_loss=[1.0, 2.0, 3.0])
    short = curves(run(2, seed=2), val_loss=[3.0, 4.0])
    (line,) = overlay_info([long, short], OverlayOptions()).lines
    assert line.x.tolist() == [10, 20]
    assert line.y.tolist() == [2.0, 3.0]


def test_a_band_on_positive_values_never_goes_below_zero() -> None:
    group = [curves(run(n, seed=n), val_loss=[v]) for n, v in ((1, 0.01), (2, 10.0), (3, 0.02))]
    (line,) = overlay_info(group, OverlayOptions()).lines
    assert line.low.tolist() == [0.01]


def test_the_spread_of_two_runs_is_not_drawn() -> None:
    group = [curves(run(n, seed=n), val_loss=[v]) for n, v in ((1, 1.0), (2, 3.0))]
    (line,) = overlay_info(group, OverlayOptions()).lines
    assert (line.y.tolist(), line.low.size, line.high.size) == ([2.0], 0, 0)


def test_non_finite_values_are_marked_by_name_where_they_occurred() -> None:
    one = curves(run(), batch_loss=[1.0, np.nan, np.inf, -np.inf, 2.0])
    (line,) = overlay_info([one], OverlayOptions()).lines
    assert [(mark.x, mark.name) for mark in line.non_finite] == [(2, "NaN"), (3, "+inf"), (4, "-inf")]
    marks = [trace for trace in overlay_figure(overlay_info([one], OverlayOptions())).data if trace.mode == "markers"]
    assert list(marks[0].text) == ["NaN", "+inf", "-inf"]
    assert (marks[0].yaxis, set(marks[0].y)) == ("y2", {0.94})  # no number, so no height on the axis


def test_a_stretch_of_nan_is_marked_once_where_it_begins() -> None:
    one = curves(run(), batch_loss=[1.0, np.nan, np.nan, np.nan, np.inf, np.inf, 1.0, np.nan])
    (line,) = overlay_info([one], OverlayOptions()).lines
    assert [(mark.x, mark.name) for mark in line.non_finite] == [(2, "NaN"), (5, "+inf"), (8, "NaN")]


def test_a_run_without_points_is_left_out_with_a_note() -> None:
    info = overlay_info([curves(run(name="empty"))], OverlayOptions())
    assert info.lines == ()
    assert info.notes == ("empty has no loss values.",)
    assert len(overlay_figure(info).data) == 0
    two = overlay_info([curves(run(n, name=f"empty {n}", lr=n)) for n in (1, 2)], OverlayOptions())
    assert two.notes == ("empty 1, empty 2 have no loss values.",)
    assert overlay_info([], OverlayOptions()) == ("loss", "step", (), (), None, False, False, UTC)


@pytest.mark.parametrize("metric", list_charts())
@pytest.mark.parametrize("x", AXES)
def test_every_metric_is_drawn_on_every_axis_as_strict_json(metric: str, x: str) -> None:
    names = {name for one in list_charts().values() for name in (metric.id for metric in one.metrics)}
    points = {name.replace("/", "_", 1): np.linspace(1, 0.5, 5) for name in names if "/" in name}
    one = curves(run(), **points)
    two = curves(run(2, lr=0.1), **points)
    info = overlay_info([one, two], OverlayOptions(metric=metric, x=x, test=True, log_x=True, log_y=True))
    for dark in (False, True):
        figure = overlay_figure(info, dark=dark)
        json.loads(figure.to_json(), parse_constant=_refuse)


def _refuse(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")


def _style(figure: go.Figure, name: str) -> tuple[str, str]:
    (trace,) = [t for t in figure.data if t.name == name and t.showlegend]
    return trace.line.color, trace.line.dash


def test_a_run_keeps_its_style_while_others_change_and_sixty_runs_look_different() -> None:
    many = [curves(run(n, lr=0.001 * n), val_loss=[1.0, 2.0]) for n in range(1, 61)]
    slots = {one.run.id: at for at, one in enumerate(many)}
    all_of_them = overlay_figure(overlay_info(many, OverlayOptions(), slots=slots))
    few = overlay_figure(overlay_info(many[4:6], OverlayOptions(), slots=slots))
    names = [line.label for line in overlay_info(many, OverlayOptions()).lines]
    assert names[4] == "lr 0.005"
    assert _style(few, names[4]) == _style(all_of_them, names[4])
    assert len({_style(all_of_them, name) for name in names}) == 60
    assert len({_style(all_of_them, name)[0] for name in names[:12]}) == 12  # twelve colours before the first dash


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


def test_the_chart_has_an_alt_text() -> None:
    mine = curves(run(name="mine"), batch_loss=[2.0, 0.5], val_loss=[1.5, 0.25], val_accuracy=[0.5, 0.99996])
    loss = overlay_info([mine], OverlayOptions(smoothing=1))
    assert overlay_alt_text(loss) == "Loss of 1 run by step: mine ends at 0.5 (training) and 0.25 (validation)"
    accuracy = overlay_info([mine], OverlayOptions(metric="accuracy"))
    assert overlay_alt_text(accuracy) == "Accuracy of 1 run by step: mine ends at >99.99 % (validation)"


def test_the_mean_has_a_gap_where_one_seed_is_not_finite() -> None:
    seeds = [curves(run(n, seed=n), val_loss=[1.0, bad, 3.0]) for n, bad in ((1, np.inf), (2, -np.inf), (3, 1e308))]
    (line,) = overlay_info(seeds, OverlayOptions()).lines
    assert np.isfinite(line.y).tolist() == [True, False, True]
    assert {mark.name for mark in line.non_finite} == {"+inf", "-inf"}


def test_folded_seeds_share_a_colour_and_unfolded_ones_have_their_own() -> None:
    runs = [run(1, lr=0.5), run(2, seed=1), run(3, seed=2)]
    slots = {runs[0].id: 0, runs[1].id: 4, runs[2].id: 2}
    assert line_slots(runs, slots, fold=True) == {runs[0].id: 0, runs[1].id: 2, runs[2].id: 2}
    assert line_slots(runs, slots, fold=False) == slots
    folded = overlay_info([curves(one, val_loss=[1.0]) for one in runs], OverlayOptions(), slots=slots)
    assert [line.slot for line in folded.lines] == [0, 2]


def test_a_short_gap_in_a_long_run_is_a_gap_of_the_raw_line_and_marked() -> None:
    values = np.ones(100_000)
    values[50_003:50_006] = np.nan
    (line,) = overlay_info([curves(run(), batch_loss=values)], OverlayOptions(smoothing=1)).lines
    assert [(mark.x, mark.name) for mark in line.non_finite] == [(50_004.0, "NaN")]
    assert np.isnan(line.raw_y[line.raw_x == 50_004]).tolist() == [True]
    assert line.raw_x[-1] == 100_000


@pytest.mark.parametrize(("x", "log_x"), [("step", True), ("epoch", True), ("relative", True), ("wall", False)])
def test_time_of_day_and_accuracies_never_have_a_logarithmic_axis(x: str, log_x: bool) -> None:
    one = curves(run(), batch_loss=[2.0, 1.0], val_loss=[1.5, 1.0], val_accuracy=[0.5, 0.6])
    loss = overlay_info([one], OverlayOptions("loss", x, log_x=True, log_y=True))
    accuracy = overlay_info([one], OverlayOptions("accuracy", x, log_x=True, log_y=True))
    assert ((loss.log_x, loss.log_y), (accuracy.log_x, accuracy.log_y)) == ((log_x, True), (log_x, False))


def test_a_long_line_begins_and_ends_with_its_run_on_both_scales() -> None:
    values = np.linspace(2.0, 1.0, 100_000)
    for log_x in (False, True):
        (line,) = overlay_info([curves(run(), batch_loss=values)], OverlayOptions(smoothing=1, log_x=log_x)).lines
        assert (line.raw_x[0], line.raw_x[-1], line.raw_y[0], line.raw_y[-1]) == (1, 100_000, 2.0, 1.0)
        assert line.total == 100_000


def test_raw_points_are_drawn_only_if_requested() -> None:
    one = curves(run(), batch_loss=np.linspace(2, 1, 20))
    for raw, smoothing in ((True, 1), (True, 10), (False, 1), (False, 10)):
        (line,) = overlay_info([one], OverlayOptions(smoothing=smoothing, raw=raw)).lines
        assert line.raw_x.size == line.raw_y.size == (20 if raw else 0), (raw, smoothing)


def test_a_line_without_raw_points_also_determines_the_limits_of_the_axis() -> None:
    sound, wild = curves(run(1, lr=0.1), val_loss=[2.3, 1.0]), curves(run(2, lr=1.0), val_loss=[2.3, 2.5e12])
    info = overlay_info([sound, wild], OverlayOptions())
    assert info.limits == (0.0, 2.3)
    right = curves(run(1), val_accuracy=[0.5, 1.5])
    assert overlay_info([right], OverlayOptions("accuracy")).limits == (0.0, 1.0)


def test_a_tooltip_has_the_value_in_its_format_and_the_images_it_was_measured_on() -> None:
    one = curves(run(), batch_loss=[2.0, 1.0], val_loss=[1.5, 1.0], test_loss=[1.6, 1.1], val_accuracy=[0.5, 0.6])

    def templates(metric: str) -> list[str]:
        drawn = overlay_figure(overlay_info([one], OverlayOptions(metric, smoothing=1, raw=False, test=True)))
        return [trace.hovertemplate for trace in drawn.data if trace.hovertemplate]

    assert templates("loss") == ["%{y:.4g} training", "%{y:.4g} validation", "%{y:.4g} test"]
    assert templates("accuracy") == ["%{y:.2%} validation"]
    rate = overlay_figure(overlay_info([curves(run(schedule="cosine"), lr=[0.1, 0.05])], OverlayOptions("lr")))
    assert "training" not in (rate.data[0].hovertemplate or "")


@pytest.mark.parametrize("count", [MAX_BUCKETS, MAX_BUCKETS + 1, 5_000])
def test_on_a_logarithmic_axis_a_line_ends_where_its_run_does(count: int) -> None:
    for first in (1, 7, 1_000):
        series = Series("batch/loss", np.arange(first, first + count), np.ones(count), np.arange(count) * 0.5)
        info = overlay_info([RunCurves(run(), {"batch/loss": series})], OverlayOptions(log_x=True, smoothing=1))
        (line,) = info.lines
        assert (line.x[0], line.x[-1]) == (first, first + count - 1)
