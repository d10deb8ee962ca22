"""Tooltips in every chart of runs: each point's own name, value and number."""

from dataclasses import replace

import pytest

from lab.charts.groups import group_figure, group_info
from lab.charts.parallel import parallel_figure, parallel_info
from lab.charts.pareto import pareto_figure, pareto_info
from lab.charts.verdict import verdict_figure, verdict_info
from lab.comparison.runs import compare_runs
from lab.runs.records import RunRecord
from tests.charts.charts_data import run

RUNS = [
    run(1, seed=1, lr=0.001, seconds=10.0, summary={"test_accuracy": 0.91, "final_epoch": 5, "best_epoch": 4}),
    run(2, seed=2, lr=0.01, seconds=40.0, summary={"test_accuracy": 0.97, "final_epoch": 6, "best_epoch": 6}),
    run(3, seed=3, lr=0.01, seconds=50.0, summary={"test_accuracy": 0.95, "final_epoch": 7, "best_epoch": 2}),
]


def test_a_bar_shows_its_groups_mean_and_number_of_runs() -> None:
    figure = group_figure(group_info(RUNS, "lr"), "test_accuracy", by="lr")
    bars = figure.data[0]
    assert dict(zip(bars.x, bars.text, strict=True)) == {"0.001": "91.00 % (n = 1)", "0.01": "96.00 % (n = 2)"}
    assert figure.layout.title.text == "Test accuracy by learning rate"


def test_a_line_of_parallel_axes_shows_its_runs_own_values() -> None:
    lines = parallel_figure(RUNS, parallel_info(RUNS)).data
    assert [list(line.text) for line in lines] == [
        ["Seed: 1", "Learning rate: 0.001", "Seconds: 10", "Test accuracy: 91.00 %"],
        ["Seed: 2", "Learning rate: 0.01", "Seconds: 40", "Test accuracy: 97.00 %"],
        ["Seed: 3", "Learning rate: 0.01", "Seconds: 50", "Test accuracy: 95.00 %"],
    ]


def test_a_point_of_cost_and_accuracy_shows_values_epoch_and_whether_it_is_on_the_front() -> None:
    *points, _ = pareto_figure(pareto_info(RUNS, "seconds"), "seconds").data
    assert [(point.text[0].partition(",")[0], point.x[0]) for point in points] == [
        ("91.00 %", 10.0),
        ("97.00 %", 40.0),
        ("95.00 %", 50.0),
    ]
    assert [point.hovertemplate.endswith("(on the front)") for point in points] == [True, True, False]
    assert [point.text[0] for point in points] == [
        f"{accuracy}, epoch {one.epoch_text}"
        for accuracy, one in zip(("91.00 %", "97.00 %", "95.00 %"), RUNS, strict=True)
    ]


def _own(runs: list[RunRecord]) -> list[RunRecord]:
    return [replace(one, fingerprint=one.id) for one in runs]


def test_a_dot_of_a_comparison_shows_its_seed_and_a_line_its_sides_mean() -> None:
    info = verdict_info(compare_runs(*(_own(side) for side in (RUNS[:1], RUNS[1:]))), a="slow", b="quick")
    slow, slow_mean, quick, quick_mean = verdict_figure(info, dark=False).data[:4]
    assert (slow.name, list(slow.customdata), list(slow.y)) == ("slow", ["seed 1"], [0.91])
    assert (quick.name, list(quick.customdata), list(quick.y)) == ("quick", ["seed 2", "seed 3"], [0.97, 0.95])
    assert slow_mean.hovertemplate == "mean 91.00 %<extra></extra>"
    assert quick_mean.hovertemplate.startswith("mean 96.00 % (n = 2)")
    assert list(quick_mean.y) == pytest.approx([0.96, 0.96])
