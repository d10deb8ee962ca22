"""The polling intervals of many processes that share a store: known answers."""

import pytest

from lab.runs.pace import LOOKS_A_SECOND, interval_s, spread_s
from lab.worker.training_pace import TrainingPace


@pytest.mark.parametrize(
    ("askers", "expected_s"),
    [(0, 0.3), (1, 0.3), (9, 0.3), (30, 1.0), (1_000, 1_000 / 30)],
)
def test_few_processes_poll_at_the_base_interval_and_many_share_thirty_polls_a_second(
    askers: int, expected_s: float
) -> None:
    found = interval_s(0.3, askers=askers, a_second=LOOKS_A_SECOND)
    assert found == pytest.approx(expected_s)
    assert askers / found <= LOOKS_A_SECOND + 1e-9


def test_an_interval_can_have_an_upper_bound() -> None:
    assert interval_s(2.0, askers=1_000, a_second=200.0, most_s=5.0) == 5.0
    assert interval_s(2.0, askers=900, a_second=200.0, most_s=5.0) == 4.5


def test_intervals_of_many_processes_are_jittered_by_half_and_those_of_few_are_exact() -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    assert spread_s(0.3, 0.3, draw=draw) == 0.3
    assert drawn == []
    assert spread_s(0.3, 10.0, draw=draw) == 5.0
    assert drawn == [(5.0, 15.0)]
    assert spread_s(0.3, 0.4, draw=draw) == 0.3  # never shorter than for few processes


@pytest.mark.parametrize(("training", "request_s", "flush_s"), [(1, 0.2, 0.5), (50, 0.2, 0.5), (125, 0.5, 0.5)])
def test_up_to_a_hundred_workers_write_points_as_often_as_one(training: int, request_s: float, flush_s: float) -> None:
    pace = TrainingPace(training)
    assert (pace.request_s(0.2), pace.flush_s(0.5)) == pytest.approx((request_s, flush_s))


def test_points_and_requests_are_at_most_two_seconds_old_however_many_workers_train() -> None:
    pace = TrainingPace(1_000)
    assert (pace.request_s(0.2), pace.flush_s(0.5)) == (2.0, 2.0)
