"""The figure of a verdict: dots, means, and the difference with its interval on an axis that shows 0."""

from dataclasses import replace

import pytest

from lab.charts.verdict import verdict_alt_text, verdict_figure, verdict_info
from lab.comparison.runs import Comparison, compare_runs
from tests.charts.charts_data import run

LOW, HIGH = (0.912, 0.915, 0.918, 0.909, 0.914), (0.931, 0.929, 0.934, 0.926, 0.930)


def _comparison(n: int) -> Comparison:
    def side(values: tuple[float, ...], lr: float) -> list:  # type: ignore[type-arg]
        made = [run(at, seed=at, lr=lr, summary={"test_accuracy": v, "final_epoch": 5}) for at, v in enumerate(values)]
        return [replace(one, fingerprint=f"{lr} {one.config.seed}") for one in made]

    return compare_runs(side(LOW[:n], 0.001), side(HIGH[:n], 0.01))


def test_every_run_is_a_dot_and_the_difference_is_in_points() -> None:
    info = verdict_info(_comparison(5), a="slow", b="quick")
    assert (info.a.y, info.b.y) == (LOW, HIGH)
    assert info.a.x == pytest.approx((-0.16, -0.08, 0.0, 0.08, 0.16))
    assert info.a.hover[4] == "seed 4"
    assert (info.difference, info.low, info.high) == pytest.approx((1.64, 1.15, 2.10), abs=0.005)
    figure = verdict_figure(info, dark=False)
    difference = figure.data[-1]
    assert (difference.y[0], difference.error_y.array[0], difference.error_y.arrayminus[0]) == pytest.approx(
        (1.64, 0.46, 0.49), abs=0.005
    )
    low, high = figure.layout.yaxis2.range
    assert low < 0 < 2.1 < high
    assert list(figure.layout.xaxis.ticktext) == ["slow", "quick"]
    assert verdict_alt_text(info) == (
        "Test accuracy of every run. slow: 91.36 ± 0.34 % (n = 5); quick: 93.00 ± 0.29 % (n = 5). B minus A: +1.64 "
        "points, 95 % interval +1.15 to +2.10"
    )


def test_long_names_are_wrapped_and_runs_close_together_leave_room_for_ticks() -> None:
    info = verdict_info(_comparison(5), a="lenet-bn, mnist, lr 0.003, augmentation light, seed", b="two words")
    close = info._replace(a=info.a._replace(y=(0.9190, 0.9191)), b=info.b._replace(y=(0.9189,)))
    figure = verdict_figure(close, dark=False)
    assert figure.layout.xaxis.ticktext[0] == "lenet-bn,<br>mnist, lr<br>0.003,<br>augmentation …"
    assert figure.layout.yaxis.range == pytest.approx((0.9179, 0.9201))
    low, high = verdict_figure(info, dark=False).layout.yaxis.range
    assert low < min(LOW) < max(HIGH) < high


def test_too_few_runs_have_a_difference_without_an_interval() -> None:
    info = verdict_info(_comparison(1), a="<b>", b="quick")
    assert (info.low, info.high, info.a.x) == (None, None, (0.0,))
    figure = verdict_figure(info, dark=True)
    assert figure.data[-1].error_y.array is None
    assert figure.layout.xaxis.ticktext[0] == "&lt;b&gt;"
    assert verdict_alt_text(info).endswith("B minus A: +1.90 points")
