"""Learning rates: a recorded schedule is a curve, a constant a number, and points once per epoch are not joined."""

from typing import Any

import numpy as np

from lab.charts.lines import RunCurves
from lab.charts.overlay import OverlayInfo, OverlayOptions, overlay_info
from lab.charts.overlay_figure import overlay_figure
from lab.runs.records import Series
from tests.charts.charts_data import curves, run


def _rated(number: int, steps: list[int], values: list[float], **config: Any) -> RunCurves:
    one = curves(run(number, **config), batch_loss=[2.0] * steps[-1])
    step = np.array(steps)
    return RunCurves(one.run, {**one.points, "lr": Series("lr", step, np.array(values), step * 0.5)})


def _rates(*runs: RunCurves) -> OverlayInfo:
    return overlay_info(runs, OverlayOptions("lr"))


def test_a_recorded_schedule_is_a_curve() -> None:
    info = _rates(_rated(1, [1, 3, 10], [0.1, 0.5, 0.01], schedule="one-cycle"))
    (line,) = info.lines
    assert (line.kind, line.x.tolist(), line.y.tolist()) == ("plain", [1, 3, 10], [0.1, 0.5, 0.01])
    assert info.notes == ()


def test_a_constant_rate_is_a_number_and_not_a_curve() -> None:
    info = _rates(_rated(1, [10, 20], [0.05, 0.05], lr=0.05), _rated(2, [10, 20], [0.1, 0.1], lr=0.1))
    assert info.lines == ()
    assert info.notes == (
        "lr 0.05 has a constant learning rate of 0.05.",
        "lr 0.1 has a constant learning rate of 0.1.",
    )


def test_next_to_a_schedule_a_constant_rate_is_a_horizontal_line_over_its_steps() -> None:
    info = _rates(_rated(1, [10, 20], [0.05, 0.05], lr=0.05), _rated(2, [1, 10], [0.1, 0.2], schedule="cosine", lr=0.2))
    level, curve = info.lines
    assert (level.kind, level.x.tolist(), level.y.tolist()) == ("constant", [1, 20], [0.05, 0.05])
    assert curve.kind == "plain"


def test_a_constant_rate_of_a_fork_begins_where_the_fork_does() -> None:
    fork = {"fork_of": "a" * 12, "fork_epoch": 2, "lr": 0.01}
    (line,) = _rates(_rated(1, [10, 20, 21, 30], [0.1, 0.1, 0.01, 0.01], **fork)).lines
    assert (line.kind, line.x.tolist(), line.y.tolist()) == ("plain", [10, 20, 21, 30], [0.1, 0.1, 0.01, 0.01])
    assert _rates(_rated(1, [10, 20, 21, 30], [0.01] * 4, **fork)).lines == ()  # the rate of the run it continues


def test_points_recorded_once_per_epoch_by_an_older_release_are_dots_with_a_note() -> None:
    info = _rates(_rated(1, [10, 20], [0.1, 0.01], schedule="one-cycle", name="old"))
    (line,) = info.lines
    assert line.kind == "dots"
    assert info.notes == (
        "old recorded its learning rate once per epoch, so the one-cycle schedule between these points is not shown.",
    )
    assert overlay_figure(info).data[0].mode == "markers"


def test_a_horizontal_line_spans_the_time_of_its_run_on_every_axis() -> None:
    constant = _rated(1, [10, 20], [0.05, 0.05], lr=0.05)
    changing = _rated(2, [1, 10], [0.1, 0.2], schedule="cosine", lr=0.2)
    ends = {
        x: overlay_info((constant, changing), OverlayOptions("lr", x)).lines[0].x.tolist()
        for x in ("step", "epoch", "relative", "wall")
    }
    assert ends == {
        "step": [1, 20],
        "epoch": [0.1, 2.0],  # of ten steps each
        "relative": [0.5, 10.0],  # half a second a step
        "wall": [2_000_500.0, 2_010_000.0],
    }
