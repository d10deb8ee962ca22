"""How often each of many processes asks the store: known answers."""

import pytest

from lab.runs.pace import LOOKS_A_SECOND, interval_s, spread_s
from lab.worker.training_pace import TrainingPace


@pytest.mark.parametrize(
    ("askers", "expected_s"),
    [(0, 0.3), (1, 0.3), (9, 0.3), (30, 1.0), (1_000, 1_000 / 30)],
)
def test_a_few_look_as_often_as_is_useful_and_many_share_thirty_looks_a_second(askers: int, expected_s: float) -> None:
    found = interval_s(0.3, askers=askers, a_second=LOOKS_A_SECOND)
    assert found == pytest.approx(expected_s)
    assert askers / found <= LOOKS_A_SECOND + 1e-9


def test_an_interval_has_an_upper_bound_where_somebody_waits_for_a_sign() -> None:
    assert interval_s(2.0, askers=1_000, a_second=200.0, most_s=5.0) == 5.0
    assert interval_s(2.0, askers=900, a_second=200.0, most_s=5.0) == 4.5


def test_many_are_spread_over_half_an_interval_before_and_after_and_a_few_wait_exactly() -> None:
    asked: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    assert spread_s(0.3, 0.3, draw=draw) == 0.3
    assert asked == []
    assert spread_s(0.3, 10.0, draw=draw) == 5.0
    assert asked == [(5.0, 15.0)]
    assert spread_s(0.3, 0.4, draw=draw) == 0.3  # never more often than a few


@pytest.mark.parametrize(("training", "request_s", "flush_s"), [(1, 0.2, 0.5), (50, 0.2, 0.5), (125, 0.5, 0.5)])
def test_up_to_a_hundred_workers_write_points_as_often_as_one(training: int, request_s: float, flush_s: float) -> None:
    pace = TrainingPace(training)
    assert (pace.request_s(0.2), pace.flush_s(0.5)) == pytest.approx((request_s, flush_s))


def test_points_and_requests_are_at_most_two_seconds_old_however_many_train() -> None:
    pace = TrainingPace(1_000)
    assert (pace.request_s(0.2), pace.flush_s(0.5)) == (2.0, 2.0)
