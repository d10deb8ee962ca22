"""Curves: smoothing with known answers, several runs side by side, and nothing at all."""

import numpy as np
import pytest

from lab.charts.curves import curve_figure, curve_info, smooth
from lab.errors import InputError
from lab.runs.records import Series


def _series(name: str, values: list[float], every: int = 1) -> Series:
    step = np.arange(every, every * len(values) + 1, every, dtype=np.int64)
    return Series(name, step, np.array(values), step / 10)


def test_smoothing_over_one_step_changes_nothing_and_a_constant_stays_itself() -> None:
    assert smooth(np.array([3.0, 1.0, 2.0]), steps=1).tolist() == [3.0, 1.0, 2.0]
    assert smooth(np.full(5, 7.0), steps=10) == pytest.approx(7.0)


def test_smoothing_is_the_debiased_exponential_mean() -> None:
    # keep 1/2: weights 1; 1/3, 2/3; 1/7, 2/7, 4/7
    assert smooth(np.array([0.0, 3.0, 7.0]), steps=2) == pytest.approx([0.0, 2.0, (0 + 2 * 3 + 4 * 7) / 7])


def test_a_bucket_of_n_steps_weighs_as_n_steps() -> None:
    steps = np.repeat([1.0, 5.0, 2.0], 4)
    assert smooth(np.array([1.0, 5.0, 2.0]), steps=3, width=4) == pytest.approx(smooth(steps, steps=3)[3::4])


def test_nan_is_a_gap_and_does_not_spoil_what_follows() -> None:
    smoothed = smooth(np.array([1.0, np.nan, 1.0]), steps=5)
    assert np.isnan(smoothed[1])
    assert smoothed[2] == pytest.approx(1.0)


def test_each_split_of_each_run_is_a_curve_and_odd_values_are_counted() -> None:
    one = {"batch/loss": _series("batch/loss", [2.0, np.inf]), "val/loss": _series("val/loss", [1.5], every=2)}
    info = curve_info({"first": one, "second": {"test/loss": _series("test/loss", [0.5])}}, metric="loss")
    assert [(c.run, c.split) for c in info.curves] == [("first", "batch"), ("first", "val"), ("second", "test")]
    assert (info.odd, info.total, info.shown) == (1, 4, 4)


def test_the_axis_is_steps_epochs_or_seconds() -> None:
    runs = {"r": {"val/loss": _series("val/loss", [1.0, 0.5], every=100)}}
    assert curve_info(runs, metric="loss").curves[0].x.tolist() == [100, 200]
    assert curve_info(runs, metric="loss", across="time").curves[0].x.tolist() == [10, 20]
    epochs = curve_info(runs, metric="loss", across="epoch", steps_per_epoch={"r": 50})
    assert epochs.curves[0].x.tolist() == [2, 4]
    with pytest.raises(InputError, match="how many steps an epoch has"):
        curve_info(runs, metric="loss", across="epoch")


def test_an_unknown_metric_is_answered_with_the_near_miss() -> None:
    with pytest.raises(InputError, match="Did you mean 'accuracy'"):
        curve_info({}, metric="acuracy")


def test_a_run_has_one_colour_and_a_split_its_own_dash_and_marker() -> None:
    points = {name: _series(name, [1.0, 0.5]) for name in ("batch/loss", "val/loss", "test/loss")}
    traces = curve_figure(curve_info({"a": points, "b": points}, metric="loss"), log_y=True).data
    assert len({trace.line.color for trace in traces}) == 2
    assert len({(trace.line.dash, trace.marker.symbol) for trace in traces}) == 3
    assert traces[4].name == "b, validation"


def test_no_run_at_all_is_a_chart_that_says_so() -> None:
    figure = curve_figure(curve_info({}, metric="accuracy"))
    assert figure.layout.annotations[0].text == "No accuracy was recorded."
