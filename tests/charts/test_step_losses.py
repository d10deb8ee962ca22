"""The chart of losses over training steps: its points, and an axis that most steps leave as it is."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from lab.charts.step_losses import step_losses_figure


def _figure(batch: list[float], others: list[float]) -> go.Figure:
    return step_losses_figure(batch, others, names=("the 8 images of the batch", "200 test images"), dark=False)


def _axis(batch: list[float], others: list[float], *, of: str = "yaxis") -> dict[str, Any]:
    found: dict[str, Any] = _figure(batch, others).layout[of].to_plotly_json()
    return found


def test_both_losses_are_lines_over_the_steps_with_a_gap_where_a_value_is_not_finite() -> None:
    first, second = _figure([2.0, 1.5, math.nan], [2.0, 2.5, math.inf]).data
    assert first.x.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(first.y, [2.0, 1.5, np.nan])
    np.testing.assert_array_equal(second.y, [2.0, 2.5, np.nan])
    assert (first.name, second.name) == ("the 8 images of the batch", "200 test images")
    assert (first.line.dash, second.line.dash) == ("solid", "dash")  # not by colour alone
    assert (first.marker.symbol, second.marker.symbol) == ("circle", "square")
    assert second.text[1] == "200 test images: 2.5000"


def test_a_step_on_another_batch_is_a_line_from_its_loss_before_the_step_to_that_after_it() -> None:
    def figure(before: list[float], after: list[float]) -> Any:
        names = ("batches", "others")
        return step_losses_figure(after, [2.0] * len(after), before=before, names=names, dark=False).data[0]

    drawn = figure([2.0, 2.0, 2.4], [2.0, 1.5, 2.2])
    np.testing.assert_array_equal(drawn.x, [0, 1, np.nan, 1, 2, np.nan])
    np.testing.assert_array_equal(drawn.y, [2.0, 1.5, np.nan, 2.4, 2.2, np.nan])
    assert drawn.text[3:5] == ("batch 2: 2.4000 before step 2", "batch 2: 2.2000 after step 2")
    assert figure([2.0], [2.0]).y.tolist() == [2.0]
    wide = step_losses_figure([2.0, 1.9], [2.0, 2.0], before=[2.0, 3.9], names=("", ""), dark=False)
    assert wide.layout.yaxis.range[1] == 4.0  # the axis has room for the losses before the steps


@pytest.mark.parametrize(
    ("batch", "others", "axis"),
    [
        ([2.0], [2.0], [1.8, 2.1]),
        ([2.0, 1.9, 1.85], [2.0, 2.0, 2.05], [1.8, 2.1]),  # the same axis as before the steps
        ([2.0, 1.7], [2.0, 2.2], [1.5, 2.5]),
        ([2.0, 0.01], [2.0, 9.0], [0.0, 10.0]),
        ([2.0, math.nan], [2.0, 39.0], [1.8, 40.0]),
    ],
)
def test_a_linear_axis_ends_at_multiples_of_the_first_loss(
    batch: list[float], others: list[float], axis: list[float]
) -> None:
    found = _axis(batch, others)
    assert found["range"] == pytest.approx(axis)
    assert "type" not in found


@pytest.mark.parametrize(
    ("batch", "others", "kind"), [([2.0, 41.0], [2.0, 2.0], "log"), ([-1.0, -90.0], [-1.0, -2.0], None)]
)
def test_a_loss_that_multiplies_has_a_logarithmic_axis_and_a_negative_one_a_free_one(
    batch: list[float], others: list[float], kind: str | None
) -> None:
    found = _axis(batch, others)
    assert found.get("type") == kind
    assert "range" not in found


@pytest.mark.parametrize(("steps", "last"), [(0, 10), (9, 10), (10, 10), (11, 20), (200, 200)])
def test_the_axis_of_steps_grows_by_tens(steps: int, last: int) -> None:
    found = _axis([1.0] * (steps + 1), [1.0] * (steps + 1), of="xaxis")
    assert found["range"] == pytest.approx([-0.02 * last, 1.02 * last])
