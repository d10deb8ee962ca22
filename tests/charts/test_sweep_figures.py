"""The figures of a sweep agree with its trials: ranks, rungs, the time spent, and the surface between trials."""

import math
from typing import Any

import numpy as np
import pytest

from lab.charts.ranges import log_ticks
from lab.charts.sweeps.curves import curve_info, curves_figure, curves_words
from lab.charts.sweeps.importance import importance_figure
from lab.charts.sweeps.parallel import parallel_axes, trials_figure
from lab.charts.sweeps.polylines import Vertex, polylines
from lab.charts.sweeps.progress import progress_figure, progress_info, progress_words
from lab.charts.sweeps.scores import SHADES, scores_at, shade, shade_numbers, value_axis
from lab.charts.sweeps.slices import hover_text, scale_of, slice_figure
from lab.charts.sweeps.surface import surface_figure, surface_info
from lab.config import FIELDS
from lab.sweeps.records import Importance, Measured, Source, TrialRecord, TrialState
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


def test_trials_are_compared_at_rungs_where_they_were_measured() -> None:
    trials = (trial(1, 0.9, 0.2), trial(2, 0.5), trial(3), trial(4, 0.1, state=TrialState.COPY))
    assert [(s.trial.number, s.epoch, s.value) for s in scores_at(spec_of(), trials, 0)] == [(1, 2, 0.9), (2, 2, 0.5)]
    assert [(s.trial.number, s.epoch, s.value) for s in scores_at(spec_of(), trials, 1)] == [(1, 4, 0.2)]


def test_shades_are_ranks_so_that_one_bad_trial_does_not_change_the_others() -> None:
    losses = [0.1 * at for at in range(1, 8)] + [1e12]
    numbers = shade_numbers(scores_at(spec_of(), [trial(n, loss) for n, loss in enumerate(losses, start=1)], 0))
    assert numbers == (7, 6, 5, 4, 3, 2, 1, 0)
    assert len({shade(number, dark=False) for number in range(-1, SHADES)}) == SHADES + 1


def test_a_diverged_trial_has_its_own_colour_and_no_position_on_an_axis() -> None:
    scores = scores_at(spec_of(), [trial(1, math.nan), trial(2, 0.5), trial(3, 0.4)], 0)
    assert shade_numbers(scores) == (-1, 3, 7)
    figure = slice_figure(scores, next(iter(spec_of().space)), spec_of())
    assert list(figure.data[0].y) == [0.5, 0.4]
    marker = figure.data[0].marker
    assert (list(marker.color), marker.cmin, marker.cmax) == ([3, 7], 0, SHADES - 1)
    assert [colour for _, colour in marker.colorscale] == [shade(0, dark=False), shade(7, dark=False)]


def test_a_curve_joins_its_rungs_and_the_epochs_between_them() -> None:
    (curve,) = curve_info(spec_of(), [trial(1, 0.9, 0.2), trial(2)], {"run1": [(1.0, 1.5), (2.0, 7.0), (3.0, 0.4)]})
    assert curve.points == ((1.0, 1.5), (2.0, 0.9), (3.0, 0.4), (4.0, 0.2))


def test_a_curve_leaves_out_non_finite_values_and_a_trial_with_no_others_has_no_curve() -> None:
    trials = (trial(1, 0.9, math.nan, 0.2), trial(2, math.nan), trial(3), trial(4, 0.9, math.inf))
    found = curve_info(spec_of(), trials, {"run1": [(1, math.nan), (3, 0.6)], "run3": [(1.0, 0.8)]})
    assert [(one.trial.number, one.points) for one in found] == [
        (1, ((2.0, 0.9), (3, 0.6), (8.0, 0.2))),
        (3, ((1.0, 0.8),)),
        (4, ((2.0, 0.9),)),
    ]
    assert [(one.score.epoch, one.score.value) for one in found] == [(8, 0.2), (1, 0.8), (2, 0.9)]


def test_the_curves_have_a_vertical_line_for_each_rung_except_the_last() -> None:
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


def test_a_logarithmic_setting_has_a_logarithmic_axis() -> None:
    scores = scores_at(spec_of(), [trial(1, 0.5), trial(2, 0.4, params={"lr": 1e-4, "momentum": 0.9})], 0)
    lr = next(p for p in spec_of().space if p.name == "lr")
    momentum = next(p for p in spec_of().space if p.name == "momentum")
    assert scale_of(lr, scores).place(0.01) == pytest.approx(-2)
    assert scale_of(momentum, scores).place(0.9) == 0.9


def test_choices_are_side_by_side_including_those_of_an_earlier_space() -> None:
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
def test_there_is_no_surface_over_a_line_or_two_points(momenta: tuple[float, ...]) -> None:
    trials = [trial(n, 0.5, params={"lr": 0.01 * n, "momentum": m}) for n, m in enumerate(momenta, start=1)]
    parameters = {p.name: p for p in spec_of().space}
    surface = surface_info(scores_at(spec_of(), trials, 0), (parameters["lr"], parameters["momentum"]))
    assert surface.grid is None
    assert len(surface_figure(surface, spec_of()).data) == 1


def test_trials_without_one_of_the_two_settings_are_not_on_the_surface() -> None:
    given = [{"lr": 0.1, "momentum": 0.5}, {"lr": 0.01}, {"momentum": 0.1}, {"lr": 0.001, "momentum": 0.9}]
    trials = [trial(n, 0.5 if n < 4 else math.inf, params=params) for n, params in enumerate(given, start=1)]
    parameters = {p.name: p for p in spec_of().space}
    surface = surface_info(scores_at(spec_of(), trials, 0), (parameters["lr"], parameters["momentum"]))
    assert [score.trial.number for score in surface.scores] == [1]
    assert (surface.x, surface.y) == ((pytest.approx(-1.0),), (0.5,))


def test_trials_that_lie_on_a_diagonal_have_no_surface() -> None:
    trials = [trial(n, 0.5, params={"lr": 10.0**-n, "momentum": 0.1 * n}) for n in range(1, 6)]
    parameters = {p.name: p for p in spec_of().space}
    assert surface_info(scores_at(spec_of(), trials, 0), (parameters["lr"], parameters["momentum"])).grid is None


def test_parallel_lines_skip_settings_that_a_trial_does_not_have() -> None:
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
    assert (list(worst.x[:2]), list(worst.y[:2])) == ([0, 2], [0.0, 1.0])  # skips momentum, which Adam does not have


def test_each_listed_value_has_a_tick() -> None:
    spec = spec_of(batch_size={"values": [16, 32, 64]})
    scores = scores_at(spec, [trial(n, 0.5, params={"batch_size": 16 * n}) for n in (1, 2, 4)], 0)
    axis = slice_figure(scores, next(iter(spec.space)), spec).layout.xaxis
    assert list(axis.ticktext) == ["16", "32", "64"]
    assert np.diff(axis.tickvals) == pytest.approx([math.log10(2)] * 2)
    spec = spec_of(patience={"values": [0, 3]})
    scores = scores_at(spec, [trial(n, 0.5, params={"patience": 3 * n}) for n in (0, 1)], 0)
    assert list(slice_figure(scores, next(iter(spec.space)), spec).layout.xaxis.ticktext) == ["off", "3"]


def test_a_logarithmic_axis_has_round_ticks_and_more_of_them_if_it_is_short() -> None:
    assert log_ticks(-2.0, 0.0) == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
    shown = [tick for tick in log_ticks(-2.5, -2.1) if -2.5 <= math.log10(tick) <= -2.1]
    assert shown == pytest.approx([0.004, 0.005, 0.006, 0.007])
    assert log_ticks(0.0, 0.9) == pytest.approx([f * 10.0**p for p in range(2) for f in (1, 1.5, 2, 3, 5, 7)])
    assert log_ticks(-3.0, 0.0) == pytest.approx([f * 10.0**p for p in range(-3, 1) for f in (1, 2, 5)])
    assert log_ticks(-4.0, 0.0) == pytest.approx([0.0001, 0.001, 0.01, 0.1, 1.0])


def test_a_logarithmic_axis_has_only_ticks_that_a_float_can_represent() -> None:
    """Stored costs and losses may be the smallest and the largest float."""
    assert log_ticks(-323.3, -322.9) == []
    assert log_ticks(-307.2, -306.9)[0] == pytest.approx(1e-307)
    assert log_ticks(308.0, 308.3) == pytest.approx([1e308, 1.2e308, 1.5e308])
    everything = log_ticks(math.log10(5e-324) - 1, math.log10(1.7e308) + 1)
    assert (everything[0], everything[-1]) == (1e-307, 1e308)
    assert value_axis([0.1, 10.0])["type"] == "log"
    assert value_axis([0.1, 10.0])["ticktext"][:4] == ["0.1", "0.2", "0.5", "1"]
    assert (value_axis([1.0, 1.25])["type"], value_axis([1.0, 1.35])["type"]) == ("linear", "log")
    assert value_axis([0.0, 1.0]) == value_axis([1.0, 1.1]) == {"type": "linear", "rangemode": "nonnegative"}
    assert value_axis([0.1, 0.1]) == value_axis([]) == {"type": "linear", "rangemode": "tozero"}


def test_colours_go_from_pale_to_strong() -> None:
    assert (shade(0, dark=False), shade(7, dark=False)) == ("#cdd6e0", "#005aa0")
    assert (shade(0, dark=True), shade(7, dark=True)) == ("#3a4654", "#70c8ff")
    assert shade(-1, dark=False) != shade(-1, dark=True)


def test_lines_of_one_trace_are_not_joined() -> None:
    lines = [[Vertex(1, 2, "a"), Vertex(3, 4, "b")], [Vertex(5, 6, "c")]]
    trace = polylines(lines, colour="#123456", width=2.0, name="n")
    assert (list(trace.x), list(trace.y)) == ([1, 3, None, 5, None], [2, 4, None, 6, None])
    assert list(trace.text) == ["a", "b", "", "c", ""]
    assert (trace.line.color, trace.line.width, trace.connectgaps) == ("#123456", 2.0, None)


def test_an_axis_of_numbers_has_a_small_margin_and_one_of_names_half_a_position() -> None:
    lr, momentum = spec_of().space
    trials = [trial(1, 0.5, params={"lr": 1e-4, "momentum": 0.4}), trial(2, 0.4, params={"lr": 1e-2, "momentum": 0.9})]
    scores = scores_at(spec_of(), trials, 0)
    axis = slice_figure(scores, momentum, spec_of()).layout.xaxis
    assert list(axis.range) == pytest.approx([0.38, 0.92])
    assert list(slice_figure(scores, lr, spec_of()).layout.xaxis.range) == pytest.approx([-4.08, -1.92])
    assert list(slice_figure(scores[:1], momentum, spec_of()).layout.xaxis.range) == pytest.approx([-0.1, 0.9])
    spec = spec_of(optimizer={"values": ["adam", "sgd"]})
    named = scores_at(spec, [trial(1, 0.5, params={"optimizer": "sgd"})], 0)
    axis = slice_figure(named, next(iter(spec.space)), spec).layout.xaxis
    assert (list(axis.range), list(axis.ticktext), list(axis.tickvals)) == ([-0.5, 1.5], ["Adam", "SGD"], [0, 1])


def test_lists_have_a_logarithmic_axis_from_a_factor_of_4_on_and_ranges_from_20_on() -> None:
    def log_of(smaller: float, larger: float, **space: Any) -> bool:
        spec = spec_of(weight_decay=space)
        given = [trial(n, 0.5, params={"weight_decay": value}) for n, value in ((1, smaller), (2, larger))]
        return scale_of(next(iter(spec.space)), scores_at(spec, given, 0)).log

    assert [log_of(1.0, high, values=[1.0, high]) for high in (3.9, 4.0)] == [False, True]
    assert [log_of(0.01, high, low=0.0, high=1.0) for high in (0.19, 0.2)] == [False, True]
    assert not log_of(0.0, 0.5, low=0.0, high=1.0)
    assert log_of(0.1, 0.11, low=0.01, high=1.0, log=True)


def test_figures_have_alt_texts() -> None:
    curves = curve_info(spec_of(), [trial(1, 0.9, 0.2), trial(2, 0.1)])
    assert curves_words(curves, spec_of()) == (
        "Validation loss of 2 trials by epoch, measured after the epochs 2, 4, 8; the lowest so far is 0.1 of trial 2 "
        "after epoch 2"
    )
    steps = progress_info(spec_of(), [trial(1, 0.9), trial(2, 0.5), trial(3, math.inf), trial(4, 0.7)])
    assert [step.value for step in steps] == [0.9, 0.5, 0.7]
    assert progress_words(steps, spec_of()) == (
        "Lowest validation loss measured so far over computing time: from 0.9 to 0.5 after 42 s"
    )
    figure = progress_figure(steps, spec_of())
    assert (list(figure.data[0].y), list(figure.data[1].y)) == ([0.9, 0.5, 0.7], [0.9, 0.5, 0.5])
    assert list(figure.data[0].x) == list(figure.data[1].x) == [12.0, 22.0, 42.0]
    assert figure.data[0].text[1] == "trial 2, epoch 2: 0.5 after 22 s"
    (score, *_) = scores_at(spec_of(), [trial(1, 0.4321)], 0)
    assert hover_text(score, "lr", "momentum") == "trial 1: lr 0.01, momentum 0.5 → 0.4321"


def test_axes_and_hover_texts_show_choices_by_their_titles() -> None:
    spec = spec_of(optimizer={"values": ["sgd", "adam"]}, nesterov={"values": [False, True]})
    scores = scores_at(spec, [trial(1, 0.25, params={"optimizer": "adam", "nesterov": True})], 0)
    (optimizer,) = [parameter for parameter in spec.space if parameter.name == "optimizer"]
    axis = slice_figure(scores, optimizer, spec).layout.xaxis
    assert (list(axis.tickvals), list(axis.ticktext)) == ([0, 1], ["SGD", "Adam"])
    assert hover_text(scores[0], "optimizer", "nesterov") == "trial 1: optimizer Adam, nesterov yes → 0.25"


def test_the_curves_have_no_legend_because_their_shades_only_show_ranks() -> None:
    figure = curves_figure(curve_info(spec_of(), [trial(1, 0.9, 0.2), trial(2, 0.1)]), spec_of())
    assert figure.layout.showlegend is False


def test_the_curves_axis_ends_just_after_the_last_epoch_with_a_tick_for_each_of_few() -> None:
    curves = curve_info(spec_of(), [trial(1, 0.9, 0.2)])
    axis = curves_figure(curves, spec_of()).layout.xaxis
    assert (list(axis.range), axis.dtick) == ([0, pytest.approx(8.24)], 1)
    longer = curve_info(spec_of(), [trial(1, 0.9)], {"run1": [(21.0, 0.5)]})
    axis = curves_figure(longer, spec_of()).layout.xaxis
    assert (list(axis.range), axis.dtick) == ([0, pytest.approx(1.03 * 21)], None)


def test_the_most_important_setting_is_on_top() -> None:
    figure = importance_figure([Importance("lr", 0.75, 9), Importance("momentum", 0.25, 9)])
    (bars,) = figure.data
    assert (list(bars.x), list(bars.y), list(bars.text)) == (
        [0.25, 0.75],
        ["Momentum", "Learning rate"],
        ["25 %", "75 %"],
    )
    assert figure.layout.height == 90 + 38 * 2


def test_settings_of_earlier_spaces_have_axes_by_name_after_those_of_the_space() -> None:
    earlier = dict.fromkeys(["weight_decay", "seed", "grad_clip", "batch_size", "label_smoothing"], 1)
    trials = (trial(1, 0.5, params={"momentum": 0.5, **earlier}), trial(2, 0.4))
    titles = [axis.title for axis in parallel_axes(scores_at(spec_of(), trials, 0), spec_of())]
    assert titles == [*(FIELDS[name].label for name in ("lr", "momentum", *sorted(earlier))), "Validation loss"]
