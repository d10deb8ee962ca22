"""Groups, parallel coordinates, the Pareto front and the reports' tables: known answers."""

import json
import math
from dataclasses import replace

import pytest

from lab.charts.groups import cut_note, group_figure, group_info
from lab.charts.parallel import TICK_GAP, parallel_figure, parallel_info, shade_info, stacked
from lab.charts.pareto import pareto_figure, pareto_info
from lab.charts.reports import report_cells, report_rows
from lab.charts.style import run_style
from lab.config import RunConfig
from lab.config.repeats import setting_key
from lab.errors import InputError
from lab.presets import REPORTS, get_preset, list_presets
from lab.runs.headline import HeadlineResult
from lab.runs.records import RunRecord, RunState
from lab.spread import Spread, spread_of
from tests.charts.charts_data import run


def test_a_spread_is_mean_and_deviation_of_the_finite_values() -> None:
    assert spread_of([1.0, 2.0, 3.0, None, math.nan, math.inf]) == Spread(3, 2.0, 1.0)
    assert spread_of([5]) == Spread(1, 5.0, None)
    assert spread_of([None, math.nan]) is None


def test_the_deviation_of_two_runs_is_neither_written_nor_drawn() -> None:
    two, three = spread_of([1.0, 3.0]), spread_of([1.0, 2.0, 3.0])
    assert two is not None
    assert three is not None
    assert (two.shown_sd, three.shown_sd) == (None, 1.0)
    runs = [
        run(n, seed=n, lr=0.1 * (1 + (n > 2)), summary={"test_accuracy": 0.9 + 0.01 * n, "final_epoch": 5})
        for n in range(1, 6)
    ]
    bars = group_figure(group_info(runs, "lr"), "test_accuracy", by="lr").data[0]
    assert list(bars.error_y.array) == pytest.approx([0.0, 0.01])


def test_the_mean_of_the_largest_floats_is_finite() -> None:
    assert spread_of([1e308, 1e308]) == Spread(2, 1e308, 0.0)
    assert spread_of([1.7e308, -1.7e308]) == Spread(2, 0.0, math.inf)


def test_runs_are_grouped_by_the_value_of_a_setting_in_its_order() -> None:
    runs = [
        run(n, batch_size=size, seed=n, summary={"test_accuracy": accuracy})
        for n, (size, accuracy) in enumerate([(200, 0.9), (50, 0.96), (50, 0.98), (100, 0.95)])
    ]
    groups = group_info(runs, "batch_size")
    assert [group.value for group in groups] == ["50", "100", "200"]
    assert groups[0].results["test_accuracy"] == pytest.approx(Spread(2, 0.97, 0.02 / math.sqrt(2)))
    assert groups[1].results["test_accuracy"] == Spread(1, 0.95, None)
    assert groups[0].results["val_loss"] is None
    figure = group_figure(groups, "test_accuracy", by="batch_size")
    assert list(figure.data[0].x) == ["50", "100", "200"]
    assert figure.data[0].y[0] == pytest.approx(0.97)
    assert list(figure.data[1].y) == [0.96, 0.98, 0.95, 0.9]


def test_switches_and_names_can_be_grouped_too_and_no_runs_give_an_empty_figure() -> None:
    assert [g.value for g in group_info([run(1, shuffle=True), run(2, shuffle=False)], "shuffle")] == ["no", "yes"]
    assert [g.value for g in group_info([run(1)], "init_from")] == ["–"]
    assert [g.value for g in group_info([run(1), run(2, patience=3)], "patience")] == ["3", "off"]
    limits = [run(n, train_limit=limit) for n, limit in enumerate((0, 500, 10_000))]
    assert [g.value for g in group_info(limits, "train_limit")] == ["500", "10000", "all"]
    assert group_info([], "lr") == ()
    assert len(group_figure((), "seconds", by="lr").data[0].x) == 0
    with pytest.raises(InputError, match=r"cannot be grouped by 'batchsize'. Did you mean 'batch_size'\?"):
        group_info([], "batchsize")


def test_one_diverged_group_does_not_flatten_the_bars_of_the_others() -> None:
    runs = [
        run(n, lr=lr, summary={"test_loss": loss})
        for n, (lr, loss) in enumerate([(0.1, 0.2), (0.2, 0.4), (9.0, 2.5e12)])
    ]
    groups = group_info(runs, "lr")
    figure = group_figure(groups, "test_loss", by="lr")
    low, high = figure.layout.yaxis.range
    assert low == 0
    assert 0.4 < high < 2
    assert list(figure.data[0].y) == [0.2, 0.4, 2.5e12]  # the hover has the true value
    (mark,) = [trace for trace in figure.data if trace.name == "beyond the axis"]
    assert (list(mark.x), list(mark.text)) == (["9"], ["2.5T"])
    assert cut_note(groups, "test_loss") == "Beyond the axis: 9 (2.5T)."
    sound = group_info(runs[:2], "lr")
    assert group_figure(sound, "test_loss", by="lr").layout.yaxis.range is None
    assert cut_note(sound, "test_loss") == ""


def test_runs_have_the_colours_of_their_slots_in_the_scatter_and_on_parallel_axes() -> None:
    # Run numbers that once shared a colour.
    runs = [run(n, lr=n / 100, summary={"test_accuracy": 0.9}) for n in (6, 12, 18)]
    slots = {runs[0].id: 4, runs[1].id: 0, runs[2].id: 13}
    scatter = pareto_figure(pareto_info(runs, "seconds"), "seconds", slots=slots)
    lines = parallel_figure(runs, parallel_info(runs), slots=slots)
    wanted = {
        name: run_style(slot, dark=False).colour
        for name, slot in zip(("lr 0.06", "lr 0.12", "lr 0.18"), slots.values())
    }
    assert {trace.name: trace.marker.color for trace in scatter.data if trace.name != "front"} == wanted
    assert {trace.name: trace.line.color for trace in lines.data} == wanted
    assert len(set(wanted.values())) == 3


def test_parallel_axes_are_the_settings_that_differ_and_the_results() -> None:
    runs = [
        run(1, lr=1e-4, arch="lenet5", seconds=10, summary={"test_accuracy": 0.9}),
        run(2, lr=1e-2, arch="mlp", seconds=20, summary={"test_accuracy": 0.95}),
        run(3, lr=1e-3, arch="lenet5", seconds=15),
    ]
    axes = {axis.title: axis for axis in parallel_info(runs)}
    assert list(axes) == ["Network", "Learning rate", "Seconds", "Test accuracy"]
    assert axes["Network"].positions == (0.0, 1.0, 0.0)
    assert axes["Learning rate"].log
    assert axes["Learning rate"].positions == pytest.approx((0.0, 1.0, 0.5))
    assert axes["Seconds"].positions == (0.0, 1.0, 0.5)
    assert axes["Test accuracy"].positions[:2] == (0.0, 1.0)
    assert math.isnan(axes["Test accuracy"].positions[2])
    assert axes["Test accuracy"].texts == ("90.00 %", "95.00 %", "–")
    figure = parallel_figure(runs, list(axes.values()))
    assert len(figure.data) == 3
    assert {trace.type for trace in figure.data} == {"scatter"}  # others compile shaders, which the policy forbids
    json.loads(figure.to_json())


@pytest.mark.parametrize("dark", [False, True])
def test_parallel_lines_are_coloured_by_a_result_with_the_best_on_top(dark: bool) -> None:
    runs = [run(n, lr=n / 100, summary={"test_accuracy": a} if a else {}) for n, a in ((1, 0.95), (2, None), (3, 0.9))]
    shade = shade_info(runs, "test_accuracy", dark=dark)
    assert shade.title == "Test accuracy"
    assert shade.colours[0] == shade.scale[-1]
    assert shade.colours[2] == shade.scale[0]
    assert shade.colours[1] not in shade.scale
    assert shade.ends == ((0.9, "90.00 %"), (0.95, "95.00 %"))
    assert shade.order == (1, 2, 0)
    figure = parallel_figure(runs, parallel_info(runs), shade=shade, dark=dark)
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [trace.line.color for trace in lines] == [shade.colours[i] for i in shade.order]
    (bar,) = [trace for trace in figure.data if trace.marker.showscale]
    assert list(bar.marker.colorbar.ticktext) == ["90.00 %", "95.00 %"]


def test_stacked_axes_for_narrow_screens_have_the_same_lines_and_values() -> None:
    runs = [run(n, lr=n / 100, summary={"test_accuracy": a}) for n, a in ((1, 0.95), (2, 0.92), (3, 0.9))]
    axes, shade = parallel_info(runs), shade_info(runs, "test_accuracy")
    upright = parallel_figure(runs, axes, shade=shade)
    lying = stacked(upright, axes)
    lines = [trace for trace in lying.data if trace.mode == "lines+markers"]
    assert [trace.name for trace in lines] == ["lr 0.03", "lr 0.02", "lr 0.01"]
    assert [trace.line.color for trace in lines] == [shade.colours[i] for i in shade.order]
    for trace, index in zip(lines, shade.order, strict=True):
        assert trace.x == tuple(axis.positions[index] for axis in axes)
        assert trace.y == tuple(-at for at in range(len(axes)))
    words = [note.text for note in lying.layout.annotations]
    assert [title for title in words if title.startswith("<b>")] == [f"<b>{axis.title}</b>" for axis in axes]
    assert words[:3] == ["90.00 %", "Test accuracy", "95.00 %"]
    # Ticks between the ends do not fit next to the others.
    assert [words.count(text) for _, text in axes[0].ticks] == [1, 0, 1]
    assert upright.data[0].y == lines[0].x  # the other figure is unchanged


@pytest.mark.parametrize(("dark", "page"), [(False, "#ffffff"), (True, "#10151c")])
def test_texts_of_parallel_axes_have_the_pages_background_where_lines_cross_them(dark: bool, page: str) -> None:
    runs = [run(n, lr=n / 100, summary={"test_accuracy": 0.9}) for n in (1, 2)]
    axes = parallel_info(runs)
    upright = parallel_figure(runs, axes, dark=dark)
    for figure, words in ((upright, ["0.01", "0.02"]), (stacked(upright, axes, dark=dark), ["<b>Learning rate</b>"])):
        papers = {note.text: note.bgcolor for note in figure.layout.annotations}
        assert [papers[text] for text in words] == [page] * len(words)


def test_the_lowest_loss_is_the_best_and_a_single_value_has_one_tick() -> None:
    runs = [run(n, lr=n / 100, summary={"test_loss": loss}) for n, loss in ((1, 0.1), (2, 0.4))]
    assert shade_info(runs, "test_loss").order == (1, 0)
    alone = shade_info(runs[:1], "test_loss")
    (bar,) = [t for t in parallel_figure(runs[:1], parallel_info(runs[:1]), shade=alone).data if t.marker.showscale]
    assert len(bar.marker.colorbar.tickvals) == 1


def test_equal_results_are_in_the_middle_and_one_run_has_no_differing_setting() -> None:
    axes = parallel_info([run(1, summary={"test_accuracy": 0.9})])
    assert [(axis.title, axis.positions) for axis in axes] == [("Seconds", (0.5,)), ("Test accuracy", (0.5,))]
    assert parallel_info([]) == ()


def test_the_front_has_the_runs_that_no_other_beats_in_both() -> None:
    runs = [
        run(n, seconds=seconds, summary={"test_accuracy": accuracy})
        for n, (seconds, accuracy) in enumerate([(10, 0.9), (20, 0.85), (30, 0.95), (30, 0.94), (40, 0.95), (5, 0.1)])
    ]
    points = pareto_info(runs, "seconds")
    assert [(p.cost, p.accuracy) for p in points if p.best] == [(5, 0.1), (10, 0.9), (30, 0.95)]
    assert len(points) == 6
    figure = pareto_figure(points, "seconds")
    assert list(figure.data[-1].x) == [5, 10, 30]
    assert figure.layout.xaxis.type == "log"


def test_the_ticks_of_costs_are_whole_numbers_however_close_the_runs_are() -> None:
    def ticks(*params: int) -> list[str]:
        runs = [run(n, summary={"test_accuracy": 0.9, "params": count}) for n, count in enumerate(params, 1)]
        return list(pareto_figure(pareto_info(runs, "params"), "params").layout.xaxis.ticktext)

    assert ticks(866) == ["700", "800", "1,000", "1,200"]
    assert ticks(61_706, 400_000) == ["50,000", "100,000", "200,000", "500,000"]
    assert ticks(61_706, 44_000_000) == ["100,000", "1,000,000", "10,000,000"]


def test_runs_without_a_cost_or_an_accuracy_are_left_out_of_the_front() -> None:
    runs = [run(1, summary={"test_accuracy": math.nan}), run(2, seconds=0.0, summary={"test_accuracy": 0.9}), run(3)]
    assert pareto_info(runs, "seconds") == ()
    (point,) = pareto_info([run(4, summary={"test_accuracy": 0.8, "params": 10})], "params")
    assert (point.cost, point.accuracy) == (10, 0.8)
    assert pareto_info([run(5, summary={"val_accuracy": 0.99, "params": 10})], "params") == ()
    assert len(pareto_figure((), "params").data) == 1


class Finder:
    """Finds runs by setting, as the store does."""

    def __init__(self, *runs: RunRecord) -> None:
        self.runs = runs

    def find_settings(self, configs: list[RunConfig]) -> dict[str, tuple[RunRecord, ...]]:
        keys = {setting_key(config) for config in configs}
        return {key: tuple(run for run in self.runs if setting_key(run.config) == key) for key in keys}


def test_a_report_shows_its_printed_results_next_to_the_measured_ones() -> None:
    config = get_preset("d-lenet-bn").config().as_dict()
    seeds = [
        run(n, **config | {"seed": n}, seconds=n, summary={"test_accuracy": 0.97 + n / 100, "train_loss": 0.1})
        for n in (0, 2)
    ]
    stopped = run(3, **config | {"seed": 3}, state=RunState.STOPPED, summary={"test_accuracy": 0.1})
    waiting = run(4, **get_preset("d-alexnet").config().as_dict(), state=RunState.QUEUED)
    rows = {row.preset.id: row for row in report_rows("D", check=_same, runs=Finder(*seeds, stopped, waiting))}
    lenet = rows["d-lenet-bn"]
    assert lenet.test_accuracy == pytest.approx(Spread(2, 0.98, 0.02 / math.sqrt(2)))
    assert (lenet.seconds, lenet.last_loss) == (Spread(2, 1.0, math.sqrt(2)), Spread(2, 0.1, 0.0))
    assert lenet.preset.reported.test_accuracy == 0.9748
    assert not lenet.missing
    assert not rows["d-alexnet"].missing
    assert rows["d-vgg11"].missing
    table = report_cells(list(rows.values()))
    assert table.rows[0][:4] == ("LeNet, 5 epochs", "lenet-bn", 0.9748, pytest.approx(0.98))
    assert table.rows[0][8:] == (2, None)
    mistakes = [(row.preset.mistake, cells[-1]) for row, cells in zip(rows.values(), table.rows, strict=True)]
    assert all(shown == (mistake or None) for mistake, shown in mistakes)


def test_reports_use_the_last_epoch_and_other_charts_the_weights_that_answer() -> None:
    config = get_preset("d-lenet-bn").config().as_dict()
    ended = run(1, **config, summary={"test_accuracy": 0.95, "final_epoch": 5, "best_epoch": 3})
    ended = replace(ended, saved=HeadlineResult(30, 3, "best", test_accuracy=0.96, saved=True))
    (row, *_) = report_rows("D", check=_same, runs=Finder(ended))
    assert row.test_accuracy == Spread(1, 0.95, None)
    assert row.last_epoch == "5"
    assert pareto_info([ended], "seconds")[0].accuracy == 0.96
    assert group_info([ended], "arch")[0].results["test_accuracy"] == Spread(1, 0.96, None)


def test_a_report_that_quotes_its_highest_accuracy_names_its_epoch() -> None:
    quoted = {row.preset.id: row.quoted_epoch for row in report_rows("B", check=_same, runs=Finder())}
    assert (quoted["b-wide-cnn"], quoted["b-wide-cnn-lr-0.01"], quoted["b-small-lr-0.01"]) == (15, 9, None)


def test_a_run_that_still_trains_is_in_no_mean_and_on_no_front() -> None:
    ended, live = run(1, summary={"test_accuracy": 0.9}), run(2, state=RunState.RUNNING, summary={"test_accuracy": 0.1})
    assert [point.run for point in pareto_info([ended, live], "seconds")] == [ended]
    assert group_info([ended, live], "arch")[0].results["test_accuracy"] == Spread(1, 0.9, None)


@pytest.mark.parametrize("report", REPORTS)
def test_every_report_has_a_table_before_anything_was_run(report: str) -> None:
    rows = report_rows(report, check=_same, runs=Finder())
    assert [row.preset for row in rows] == list(list_presets(report))
    assert all(row.missing and row.test_accuracy is None for row in rows)


def _same(config: RunConfig) -> RunConfig:
    return config


@pytest.mark.parametrize(
    ("state", "measured", "active"),
    [
        (RunState.FINISHED, True, False),
        (RunState.QUEUED, False, True),
        (RunState.RUNNING, False, True),
        (RunState.PAUSED, False, True),
        (RunState.STOPPING, False, True),
        (RunState.STOPPED, False, False),
        (RunState.FAILED, False, False),
        (RunState.INTERRUPTED, False, False),
    ],
)
def test_an_experiment_is_missing_unless_a_run_of_it_has_finished_or_is_active(
    state: RunState, measured: bool, active: bool
) -> None:
    one = run(1, **get_preset("d-lenet-bn").config().as_dict(), state=state, summary={"test_accuracy": 0.9})
    (row, *_) = report_rows("D", check=_same, runs=Finder(one))
    assert (row.finished == (one,), row.waiting == (one,)) == (measured, active)
    assert row.missing is not (measured or active)
    assert row.test_accuracy == (Spread(1, 0.9, None) if measured else None)


def test_labels_of_an_axis_keep_their_distance_and_both_ends_always_have_one() -> None:
    def ticks(*seconds: float) -> list[str]:
        axis = parallel_info([run(n, seconds=each) for n, each in enumerate(seconds)])[0]
        assert axis.title == "Seconds"
        return [text for _, text in axis.ticks]

    ends = ticks(0.0, 100.0)
    assert len(ends) == 2
    assert ticks(0.0, 5.0, 100.0) == ends  # too near the lowest
    assert ticks(0.0, 95.0, 100.0) == ends  # too near the highest
    assert ticks(0.0, 101 * TICK_GAP, 100 - 101 * TICK_GAP, 100.0)[1:-1] == ticks(101 * TICK_GAP, 100 - 101 * TICK_GAP)
    assert len(ticks(0.0, 40.0, 44.0, 100.0)) == 3  # too near one another
    assert len(ticks(50.0)) == 1


@pytest.mark.parametrize(
    ("accuracies", "axis"),
    [
        ((0.5, 0.6), (0.44, 0.66)),
        ((0.9, 0.9), (0.898, 0.902)),
        ((0.995, 0.999), (0.9926, 1.0)),
        ((0.49, 0.99), None),
        ((), None),
    ],
)
def test_bars_of_accuracies_begin_at_zero_unless_all_are_at_least_one_half(
    accuracies: tuple[float, ...], axis: tuple[float, float] | None
) -> None:
    runs = [run(n, summary={"test_accuracy": accuracy}, batch_size=n + 1) for n, accuracy in enumerate(accuracies)]
    yaxis = group_figure(group_info(runs, "batch_size"), "test_accuracy", by="batch_size").layout.yaxis
    assert yaxis.range == (None if axis is None else pytest.approx(axis))
    assert yaxis.title.text == (None if axis is None else "the axis does not start at 0")
