"""Thinning keeps every spike, never moves a bucket, and returns the same points in parts as at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.charts.thinning import MAX_BUCKETS, MAX_POINTS, Cursor, bucket_width, thin, thin_log
from lab.errors import InputError
from lab.runs.records import Series
from tests.web.web_data import series


def test_a_short_series_is_returned_unchanged() -> None:
    whole, replace = thin(series("loss", np.array([3.0, 1.0, 2.0])), complete=False)
    assert replace is False
    assert whole.value.tolist() == [3.0, 1.0, 2.0]
    assert (whole.width, whole.total, whole.until) == (1, 3, 3)


@pytest.mark.parametrize(("count", "width"), [(2000, 1), (2001, 4), (3998, 4), (4001, 8), (100_000, 128)])
def test_the_bucket_width_is_the_smallest_power_of_two_that_fits(count: int, width: int) -> None:
    assert bucket_width(series("loss", np.zeros(count))) == width


def test_at_most_2000_points_remain_and_a_single_spike_among_100000_is_one_of_them() -> None:
    values = np.zeros(100_000)
    values[77_777], values[12_345] = 9.0, -4.0
    thinned, _ = thin(series("loss", values), complete=True)
    assert len(thinned.step) <= MAX_POINTS
    assert thinned.step[thinned.value == 9.0].tolist() == [77_778]
    assert thinned.step[thinned.value == -4.0].tolist() == [12_346]


def test_a_bucket_contributes_its_minimum_maximum_and_mean() -> None:
    values = np.arange(4000, dtype=np.float64)
    values[0:3] = [5.0, 7.0, 0.0]  # steps 1, 2, 3 in the first bucket, [0, 8)
    thinned, _ = thin(series("loss", values), complete=False)
    assert thinned.width == 8
    first = thinned.step < 8
    assert thinned.value[first].tolist() == [5.0, 7.0, 0.0]  # and the first point of the series
    assert thinned.mean[0] == pytest.approx(np.mean([5, 7, 0, 3, 4, 5, 6]))


def test_only_complete_buckets_are_sent_while_the_run_trains_and_the_rest_at_its_end() -> None:
    curve = series("loss", np.arange(2998.0))  # steps 1 to 2998; width 4, so the last full bucket ends at 2995
    running, _ = thin(curve, complete=False)
    assert (running.width, running.until, int(running.step[-1])) == (4, 2995, 2995)
    rest, replace = thin(curve, Cursor(running.width, running.until), complete=True)
    assert replace is False
    assert rest.step.tolist() == [2996, 2998]


def test_a_reader_with_another_width_or_half_a_bucket_gets_everything_again() -> None:
    curve = series("loss", np.zeros(5000))
    for stale in (Cursor(1, 2000), Cursor(8, 2998), Cursor(8, 99_999)):
        part, replace = thin(curve, stale, complete=False)
        assert replace is True
        assert part.step[0] < 8


def test_values_that_are_not_finite_are_kept_with_the_extremes_but_not_in_the_mean() -> None:
    values = np.ones(4001)
    values[[8, 9, 10]] = [np.nan, np.inf, 5.0]  # steps 9, 10, 11: the bucket [8, 16)
    thinned, _ = thin(series("loss", values), complete=False)
    inside = (thinned.step >= 8) & (thinned.step < 16)
    assert thinned.step[inside].tolist() == [8, 9, 11]
    assert np.isnan(thinned.value[inside][1])
    assert thinned.mean[1] == pytest.approx((5 * 1 + 5) / 6)


def test_a_bucket_without_finite_values_has_no_mean() -> None:
    values = np.ones(4001)
    values[7:15] = np.nan
    thinned, _ = thin(series("loss", values), complete=False)
    assert np.isnan(thinned.mean[1])


def test_an_empty_series_is_thinned_to_an_empty_part() -> None:
    part, replace = thin(series("loss", np.empty(0)), complete=True)
    assert (len(part.step), part.total, part.until, replace) == (0, 0, -1, False)


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 1500), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    odd=st.booleans(),
)
def test_parts_add_up_to_the_series_thinned_at_once(lengths: list[int], seed: int, odd: bool) -> None:
    values = np.random.default_rng(seed).normal(size=sum(lengths))
    if odd:
        values[values > 1.5] = np.nan
    steps: list[int] = []
    cursor, seen = Cursor(1, -1), 0
    for length in lengths:
        seen += length
        part, replace = thin(series("loss", values[:seen]), cursor, complete=False)
        steps = [] if replace else steps
        steps += part.step.tolist()
        cursor = Cursor(part.width, part.until)
    whole, _ = thin(series("loss", values), complete=False)
    assert steps == whole.step.tolist()


def test_a_cursor_survives_the_round_trip_through_its_text() -> None:
    for cursor in (Cursor(1, -1), Cursor(64, 6399)):
        assert Cursor.parse(cursor.text()) == cursor


@pytest.mark.parametrize("text", ["", "x", "3", "3-", "99-1", "1-1; DROP", "1-99999999999999999999"])
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="was not issued by this lab"):
        Cursor.parse(text)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_never_thinned_away(odd: float) -> None:
    values = np.ones(50_000)
    values[[7, 30_001]] = odd
    thinned, _ = thin(series("loss", values), complete=True)
    assert thinned.step[~np.isfinite(thinned.value)].tolist() == [8, 30_002]
    assert np.isfinite(thinned.mean).all()  # the smoothed line continues over the finite values around it


def test_the_last_point_of_a_long_run_is_kept_if_it_is_an_extreme() -> None:
    values = np.zeros(5_001)
    values[-1] = 3.0
    thinned, _ = thin(series("loss", values), complete=True)
    assert (thinned.step[-1], thinned.value[-1]) == (5_001, 3.0)


def test_the_first_point_is_always_kept_and_the_last_one_once_the_run_has_ended() -> None:
    values = np.zeros(5000)
    values[1], values[-2] = 9.0, -9.0
    values[0], values[-1] = 0.5, -0.5  # neither the lowest nor the highest of its bucket
    running, _ = thin(series("loss", values), complete=False)
    ended, _ = thin(series("loss", values), complete=True)
    assert (int(running.step[0]), int(ended.step[0])) == (1, 1)
    assert (int(ended.step[-1]), float(ended.value[-1])) == (5000, -0.5)


def test_the_mean_of_a_bucket_is_placed_at_the_mean_of_its_steps_and_times() -> None:
    curve = series("loss", np.arange(4000.0))  # steps 1 to 4000 in buckets of eight
    thinned, _ = thin(curve, complete=True)
    assert thinned.mean_step[:2].tolist() == [4.0, 11.5]  # steps 1 to 7, and 8 to 15
    assert thinned.mean_time_s[:2] == pytest.approx([curve.time_s[:7].mean(), curve.time_s[7:15].mean()])


def test_buckets_of_a_logarithmic_axis_are_equally_wide_wherever_the_steps_start() -> None:
    """Of equal values, each bucket keeps the first: one point per bucket, and the last point of the series."""
    step = np.arange(10_000, 1_000_001, 10)
    thinned = thin_log(Series("loss", step, np.ones(len(step)), step * 0.5))
    assert len(thinned.step) == MAX_BUCKETS + 1
    assert (thinned.step[0], thinned.step[-1]) == (10_000, 1_000_000)
    assert (thinned.time_s == 0.5 * thinned.step).all()
    assert np.diff(np.log(thinned.step[:-1])).max() < 2 * np.log(100) / MAX_BUCKETS
    few = Series("loss", step[:MAX_POINTS], np.ones(MAX_POINTS), step[:MAX_POINTS] * 0.5)
    assert thin_log(few) is few
    many = Series("loss", step[: MAX_POINTS + 1], np.ones(MAX_POINTS + 1), step[: MAX_POINTS + 1] * 0.5)
    assert len(thin_log(many).step) < MAX_POINTS
