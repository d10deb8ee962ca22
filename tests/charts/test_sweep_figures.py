"""The figures of a sweep say what the trials say: ranks, rungs, what was spent, and what lies between the trials."""

import math
from typing import Any

import numpy as np
import pytest

from lab.charts.sweeps.curves import curve_info, curves_figure
from lab.charts.sweeps.parallel import parallel_axes, trials_figure
from lab.charts.sweeps.progress import progress_info
from lab.charts.sweeps.scores import SHADES, scores_at, shade, shade_numbers
from lab.charts.sweeps.slices import scale_of, slice_figure
from lab.charts.sweeps.surface import surface_figure, surface_info
from lab.sweeps.records import Measured, Source, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec, read_spec


def spec_of(**space: Any) -> SweepSpec:
    space = space or {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "momentum": {"low": 0.0, "high": 0.9}}
    return read_spec(
        {
            "base": {"dataset": "digits", "epochs": 8, "optimizer": "sgd"},
            "space": space,
            "trials": 4,
            "halving": {"factor": 2, "first_epochs": 2},
        }
    )


def trial(number: int, *losses: float, epochs: tuple[int, ...] = (2, 4, 8), **fields: Any) -> TrialRecord:
    values = tuple(
        Measured(epoch, loss, 0.5, spent_s=10.0 * number + epoch) for epoch, loss in zip(epochs, losses, strict=False)
    )
    given = {"params": {"lr": 0.01, "momentum": 0.5}, "state": TrialState.PAUSED, "run": f"run{number}", **fields}
    return TrialRecord(number=number, values=values, rung=max(0, len(values) - 1), **given)


def test_trials_are_compared_where_both_were_measured() -> None:
    trials = (trial(1, 0.9, 0.2), trial(2, 0.5), trial(3), trial(4, 0.1, state=TrialState.COPY))
    assert [(s.trial.number, s.epoch, s.value) for s in scores_at(spec_of(), trials, 0)] == [(1, 2, 0.9), (2, 2, 0.5)]
    assert [(s.trial.number, s.epoch, s.value) for s in scores_at(spec_of(), trials, 1)] == [(1, 4, 0.2)]


def test_shades_are_ranks_so_that_one_bad_trial_pales_no_other() -> None:
    losses = [0.1 * at for at in range(1, 8)] + [1e12]
    numbers = shade_numbers(scores_at(spec_of(), [trial(n, loss) for n, loss in enumerate(losses, start=1)], 0))
    assert numbers == (7, 6, 5, 4, 3, 2, 1, 0)
    assert len({shade(number, dark=False) for number in range(-1, SHADES)}) == SHADES + 1


def test_a_trial_that_diverged_has_a_colour_of_its_own_and_no_place_on_an_axis() -> None:
    scores = scores_at(spec_of(), [trial(1, math.nan), trial(2, 0.5), trial(3, 0.4)], 0)
    assert shade_numbers(scores) == (-1, 3, 7)
    figure = slice_figure(scores, next(iter(spec_of().space)), spec_of())
    assert list(figure.data[0].y) == [0.5, 0.4]


def test_a_curve_joins_its_rungs_and_the_epochs_between_them() -> None:
    (curve,) = curve_info(spec_of(), [trial(1, 0.9, 0.2), trial(2)], {"run1": [(1.0, 1.5), (2.0, 7.0), (3.0, 0.4)]})
    assert curve.points == ((1.0, 1.5), (2.0, 0.9), (3.0, 0.4), (4.0, 0.2))


def test_the_curves_have_a_line_for_each_rung_but_the_end() -> None:
    live = trial(2, 0.5, state=TrialState.RUNNING)
    figure = curves_figure(curve_info(spec_of(), [trial(1, 0.9, 0.2), live]), spec_of())
    assert [shape.x0 for shape in figure.layout.shapes] == [2, 4]
    assert [trace.name for trace in figure.data] == ["trials", "in training"]


def test_the_best_so_far_follows_the_order_in_which_trials_were_measured() -> None:
    late = trial(1, 0.9)
    late = TrialRecord(
        number=1, run="run1", values=(*late.values, Measured(4, 0.1, 0.9, spent_s=99.0)), state=TrialState.PAUSED
    )
    adopted = trial(3, 0.01, source=Source.ADOPTED)
    steps = progress_info(spec_of(), [late, trial(2, 0.5), adopted])
    assert [(step.seconds, step.trial, step.best) for step in steps] == [(12.0, 1, 0.9), (22.0, 2, 0.5), (99.0, 1, 0.1)]


def test_a_logarithmic_setting_stands_on_a_logarithmic_axis() -> None:
    scores = scores_at(spec_of(), [trial(1, 0.5), trial(2, 0.4, params={"lr": 1e-4, "momentum": 0.9})], 0)
    lr = next(p for p in spec_of().space if p.name == "lr")
    momentum = next(p for p in spec_of().space if p.name == "momentum")
    assert scale_of(lr, scores).place(0.01) == pytest.approx(-2)
    assert scale_of(momentum, scores).place(0.9) == 0.9


def test_choices_stand_beside_each_other_also_those_of_an_earlier_space() -> None:
    spec = spec_of(optimizer={"values": ["adam", "sgd"]})
    scores = scores_at(spec, [trial(1, 0.5, params={"optimizer": "rmsprop"})], 0)
    scale = scale_of(next(iter(spec.space)), scores)
    assert [scale.place(name) for name in ("adam", "sgd", "rmsprop")] == [0, 1, 2]


def test_the_surface_is_exact_at_the_trials_and_linear_in_the_logarithm_between_them() -> None:
    corners = [(1e-4, 0.0, 1.0), (1e-4, 0.8, 1.0), (1e-2, 0.0, 0.01), (1e-2, 0.8, 0.01)]
    trials = [trial(n, loss, params={"lr": lr, "momentum": m}) for n, (lr, m, loss) in enumerate(corners, start=1)]
    parameters = {p.name: p for p in spec_of().space}
    surface = surface_info(scores_at(spec_of(), trials, 0), (parameters["lr"], parameters["momentum"]))
    assert surface.grid is not None
    assert surface.grid[0, 0] == pytest.approx(1.0)
    assert surface.grid[-1, -1] == pytest.approx(0.01)
    middle = np.interp(-3, surface.grid_x, np.log10(surface.grid[20]))  # half way in log lr
    assert middle == pytest.approx(-1.0, abs=0.02)
    assert len(surface_figure(surface, spec_of()).data) == 2


@pytest.mark.parametrize("momenta", [(0.5, 0.5, 0.5, 0.5), (0.1, 0.2)])
def test_there_is_no_surface_over_a_line_or_three_points(momenta: tuple[float, ...]) -> None:
    trials = [trial(n, 0.5, params={"lr": 0.01 * n, "momentum": m}) for n, m in enumerate(momenta, start=1)]
    parameters = {p.name: p for p in spec_of().space}
    surface = surface_info(scores_at(spec_of(), trials, 0), (parameters["lr"], parameters["momentum"]))
    assert surface.grid is None
    assert len(surface_figure(surface, spec_of()).data) == 1


def test_trials_that_lie_on_a_diagonal_have_no_surface() -> None:
    trials = [trial(n, 0.5, params={"lr": 10.0**-n, "momentum": 0.1 * n}) for n in range(1, 6)]
    parameters = {p.name: p for p in spec_of().space}
    assert surface_info(scores_at(spec_of(), trials, 0), (parameters["lr"], parameters["momentum"])).grid is None


def test_parallel_lines_leave_out_what_a_trial_does_not_have() -> None:
    spec = spec_of(
        optimizer={"values": ["adam", "sgd"]}, momentum={"low": 0.1, "high": 0.9, "when": {"optimizer": ["sgd"]}}
    )
    trials = [
        trial(1, 0.5, params={"optimizer": "adam"}),
        trial(2, 0.4, params={"optimizer": "sgd", "momentum": 0.9}),
        trial(3, 0.3, params={"optimizer": "sgd", "momentum": 0.1}),
    ]
    scores = scores_at(spec, trials, 0)
    axes = parallel_axes(scores, spec)
    assert [axis.title for axis in axes] == ["Optimizer", "Momentum", "Validation loss"]
    assert axes[1].texts[0] == "–"
    worst, *_, best = trials_figure(scores, axes).data
    assert (list(best.x[:3]), list(best.y[:3])) == ([0, 1, 2], [1.0, 0.0, 0.0])
    assert (list(worst.x[:2]), list(worst.y[:2])) == ([0, 2], [0.0, 1.0])  # past momentum, which Adam does not have


def test_values_have_their_own_ticks() -> None:
    spec = spec_of(batch_size={"values": [16, 32, 64]})
    scores = scores_at(spec, [trial(n, 0.5, params={"batch_size": 16 * n}) for n in (1, 2, 4)], 0)
    axis = slice_figure(scores, next(iter(spec.space)), spec).layout.xaxis
    assert list(axis.ticktext) == ["16", "32", "64"]
    assert np.diff(axis.tickvals) == pytest.approx([math.log10(2)] * 2)
