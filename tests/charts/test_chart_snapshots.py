"""Every figure as a text: each trace's numbers, style and hover texts, the axes, the notes and the alt text."""

import base64
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from lab.architectures.outline import outline_of
from lab.architectures.registry import list_architectures
from lab.charts.calibration import calibration_figure
from lab.charts.gradients import flow_map, flow_map_figure, flow_map_words
from lab.charts.groups import cut_note, group_figure, group_info
from lab.charts.live import live_list, live_payload
from lab.charts.magnitudes import magnitudes_figure
from lab.charts.outlines import outline_slabs, outline_svg
from lab.charts.overlay import OverlayOptions, RunCurves, overlay_info
from lab.charts.overlay_figure import overlay_alt_text, overlay_figure
from lab.charts.parallel import least_width, parallel_figure, parallel_info, shade_info, stacked
from lab.charts.pareto import pareto_figure, pareto_info
from lab.charts.reports import report_cells, report_rows
from lab.charts.spark import sparkline
from lab.charts.style import layout, run_style, swatch
from lab.charts.sweeps.curves import curve_info, curves_figure, curves_words
from lab.charts.sweeps.importance import importance_figure
from lab.charts.sweeps.parallel import parallel_axes, trials_figure
from lab.charts.sweeps.progress import progress_figure, progress_info, progress_words
from lab.charts.sweeps.scores import scores_at
from lab.charts.sweeps.slices import slice_figure
from lab.charts.sweeps.surface import surface_figure, surface_info
from lab.charts.verdict import verdict_alt_text, verdict_figure, verdict_info
from lab.comparison.runs import compare_runs
from lab.config.repeats import setting_key
from lab.runs.records import RunRecord, RunState, Series
from lab.sweeps.records import Importance, Measured, Source, TrialRecord, TrialState
from lab.sweeps.spec import read_spec
from tests.charts.charts_data import curves, run, series
from tests.charts.test_gradient_figures import example_flows
from tests.snapshots import check, flat


def figure_text(figure: go.Figure, *, dark: bool = False) -> str:
    """Return a figure as lines, without those that `lab.charts.style.layout` gives every figure."""
    common = go.Figure(layout=layout(height=figure.layout.height, dark=dark))
    shared = set(flat(_decoded(common)).split("\n"))
    return "\n".join(line for line in flat(_decoded(figure)).split("\n") if line not in shared)


def _decoded(figure: go.Figure) -> dict[str, Any]:
    document = json.loads(figure.to_json())
    del document["layout"]["template"]
    return _without_base64(document)


def _without_base64(value: Any) -> Any:
    """Return a document with Plotly's base64 arrays as lists; of a grid, every twelfth row."""
    if isinstance(value, dict) and "bdata" in value:
        array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
        if "shape" not in value:
            return array.tolist()
        return array.reshape([int(side) for side in value["shape"].split(",")])[::12].tolist()
    if isinstance(value, dict):
        return {name: _without_base64(part) for name, part in value.items()}
    return [_without_base64(part) for part in value] if isinstance(value, list) else value


def svg_text(svg: str) -> str:
    return svg.replace("><", ">\n<")


def made(number: int, accuracy: float | None, **fields: Any) -> RunRecord:
    """Return a run with results that all differ."""
    results = {
        "test_accuracy": accuracy,
        "test_loss": 0.1 * number,
        "val_accuracy": None if accuracy is None else accuracy - 0.01,
        "train_loss": 0.05 * number,
        "params": 1000 * number,
        "final_epoch": number + 2,
        "best_epoch": number + 1,
        "images_per_second": 100.0 + number,
    }
    known = {name: value for name, value in results.items() if value is not None}
    return run(number, seconds=10.0 * number**2, summary=known, **fields)


RUNS = (
    made(1, 0.91, seed=1, lr=0.001, name="<first>"),
    made(2, 0.955, seed=2, lr=0.01, optimizer="sgd"),
    made(3, 0.97, seed=3, lr=0.01, train_limit=500),
    made(4, 0.4, seed=4, lr=0.2, arch="lenet-bn"),
    made(5, None, seed=5, lr=0.2, state=RunState.RUNNING),
    run(6, seed=6, state=RunState.FAILED),
)
TWELVE = tuple(made(n, 0.9 + 0.005 * n, seed=n, lr=0.001 * (n % 4 + 1)) for n in range(1, 14))
LONG = 2.3 * np.exp(-np.arange(4000) / 900.0) + 0.05 * np.cos(np.arange(4000) / 7.0)
WAVES = [2.3 - 0.1 * step + 0.05 * (-1) ** step for step in range(12)]


def overlays() -> dict[str, tuple[list[RunCurves], OverlayOptions]]:
    """Return curves and their options by name: each kind of line, axis, mark and note."""
    one = curves(
        run(1, name="one & only"),
        batch_loss=WAVES,
        val_loss=[1.5, 1.0],
        test_loss=[1.6, 1.1],
        val_accuracy=[0.4, 0.7],
        test_accuracy=[0.3, 0.6],
    )
    seeds = [
        curves(run(n, seed=n), batch_loss=[2.0 + 0.1 * n - 0.01 * at for at in range(20)], val_loss=[1.0 * n, 0.5])
        for n in (1, 2, 3)
    ]
    wild = curves(run(7, lr=5.0), batch_loss=[2.3, 9.0, 4e6, 2e9, math.nan, math.inf, 3.0, -math.inf], val_loss=[3e7])
    zero = curves(run(8, lr=0.3), batch_loss=[2.0, 0.0, -1.0, 0.5], val_loss=[0.4, 0.0])
    start = RunCurves(run(9, lr=0.4), {"val/loss": series("val/loss", [2.4, 1.2, 0.9], first=0, every=10)})
    fork = curves(
        run(10, fork_of="ab" * 6, fork_epoch=1, lr=0.02), batch_loss=WAVES, val_loss=[1.5, 1.0], test_loss=[1.7, 1.2]
    )
    long = RunCurves(run(11, lr=0.7), {"batch/loss": series("batch/loss", LONG)})
    constant = curves(run(12, lr=0.05), val_loss=[1.0, 0.9])
    cosine = RunCurves(
        run(13, schedule="cosine", lr=0.1), {"train/lr": series("train/lr", [0.1, 0.05, 0.01], first=1, every=10)}
    )
    older = RunCurves(
        run(14, schedule="cosine", lr=0.2), {"train/lr": series("train/lr", [0.2, 0.1], first=10, every=10)}
    )
    young = RunCurves(
        replace(run(15, lr=0.6), progress=type(run().progress)()), {"batch/loss": series("batch/loss", [1.0, 0.9])}
    )
    empty = [curves(run(16, lr=0.8)), curves(run(17, lr=0.9))]
    return {
        "loss": ([one], OverlayOptions(test=True, smoothing=5)),
        "accuracy": ([one], OverlayOptions(metric="accuracy", test=True, x="epoch", log_y=True)),
        "seeds": ([*seeds, one], OverlayOptions(x="relative")),
        "two_seeds": (seeds[:2], OverlayOptions(raw=False)),
        "seeds_apart": (seeds, OverlayOptions(fold=False, raw=False, smoothing=1)),
        "wild": ([one, wild], OverlayOptions()),
        "wild_alone": ([wild], OverlayOptions(x="wall")),
        "wild_log": ([one, wild, zero], OverlayOptions(log_y=True)),
        "start": ([start, one], OverlayOptions(log_x=True)),
        "starts": (
            [
                RunCurves(run(50 + n, lr=0.1 * n), {"val/loss": series("val/loss", [2.0 + n, 1.0], first=0, every=10)})
                for n in range(1, 6)
            ],
            OverlayOptions(log_x=True),
        ),
        "fork": ([fork, one], OverlayOptions(test=True, smoothing=5)),
        "long": ([long], OverlayOptions(smoothing=50)),
        "long_log": ([long], OverlayOptions(log_x=True)),
        "rates": ([constant, cosine, older], OverlayOptions(metric="lr")),
        "constant_rate": ([constant], OverlayOptions(metric="lr")),
        "young": ([young, *empty], OverlayOptions(x="epoch")),
        "empty": (empty, OverlayOptions(metric="grad-norm")),
    }


@pytest.mark.parametrize("name", list(overlays()))
def test_curves_of_runs(name: str) -> None:
    chosen, options = overlays()[name]
    info = overlay_info(chosen, options, slots={one.run.id: 12 + 7 * at for at, one in enumerate(chosen)})
    figure = overlay_figure(info, dark=len(chosen) == 2, switch=True)
    facts = {"notes": list(info.notes), "limits": info.limits, "total": info.total, "shown": info.shown}
    alt = overlay_alt_text(info) if info.lines else ""
    check(f"charts/overlay_{name}.txt", "\n".join([flat(facts), alt, "", figure_text(figure, dark=len(chosen) == 2)]))


def _groups(by: str, result: str, **options: Any) -> str:
    groups = group_info(RUNS, by)
    table = [(one.value, [each.number for each in one.runs], one.results[result]) for one in groups]
    figure = group_figure(groups, result, by=by, **options)
    return "\n".join([flat({"groups": table, "cut": cut_note(groups, result)}), figure_text(figure, **options)])


def _diverged(by: str) -> str:
    runs = [
        *TWELVE[:3],
        run(20, lr=9.0, summary={"test_loss": 4e7, "test_accuracy": 0.1}),
        run(21, lr=9.5, summary={"test_loss": -4e9, "test_accuracy": 0.1}),
    ]
    groups = group_info(runs, by)
    return "\n".join([cut_note(groups, "test_loss"), figure_text(group_figure(groups, "test_loss", by=by))])


def _parallel(*, shaded: str = "", dark: bool = False, narrow: bool = False, runs: tuple[RunRecord, ...] = RUNS) -> str:
    axes = parallel_info(runs)
    shade = shade_info(runs, shaded, dark=dark) if shaded else None
    figure = parallel_figure(runs, axes, shade=shade, dark=dark)
    shown = figure_text(stacked(figure, axes, dark=dark) if narrow else figure, dark=dark)
    return "\n".join([flat({"width": least_width(axes), "shade": shade}), shown])


def _pareto(cost: str, runs: tuple[RunRecord, ...] = RUNS, **options: Any) -> str:
    return figure_text(pareto_figure(pareto_info(runs, cost), cost, **options), **options)


def _verdict(n: int, *, dark: bool = False) -> str:
    sides = [
        [replace(made(m, base + 0.003 * m % 0.01, seed=m, lr=lr), fingerprint=f"{lr} {m}") for m in range(1, n + 1)]
        for base, lr in ((0.9, 0.001), (0.93, 0.01))
    ]
    info = verdict_info(compare_runs(*sides), a="a name that is longer than a line", b="<b>")
    return "\n".join([flat(info), verdict_alt_text(info), figure_text(verdict_figure(info, dark=dark), dark=dark)])


def _calibration() -> str:
    confidence = np.array([np.nan, 0.25, 0.5, 0.71, 0.99])
    accuracy, count = np.array([np.nan, 0.0, 0.4, 0.75, 1.0]), np.array([0, 1, 5, 4, 90])
    return figure_text(calibration_figure(confidence, accuracy, count))


def _gradients() -> str:
    flow = example_flows()[1]
    info = flow_map(example_flows(), "change", chosen=flow.epoch)
    ranges = magnitudes_figure(flow, dark=True)
    assert ranges is not None
    maps = [figure_text(flow_map_figure(info, narrow=narrow)) for narrow in (False, True)]
    return "\n".join([*maps, flow_map_words(info), figure_text(ranges, dark=True)])


def _outlines() -> str:
    slabs = {
        arch.id: list(outline_slabs(found)) for arch in list_architectures()[::7] if (found := outline_of(arch.id))
    }
    texts = [
        f"{id}: " + "; ".join(f"{s.family} {s.x:.2f} {s.y:.2f} {s.w:.2f}×{s.h:.2f} {s.deep:.2f}" for s in of)
        for id, of in slabs.items()
    ]
    lenet = outline_of("lenet5")
    assert lenet is not None
    return "\n".join([*texts, svg_text(outline_svg(lenet))])


def _small() -> str:
    sparks = [sparkline([1.0, math.nan, 3.0, 2.0]), sparkline([5.0], colour="#123456"), sparkline(list(range(200)))]
    swatches = [swatch(run_style(slot, dark=slot % 2 == 1)) for slot in (0, 13, 26, 39, 52, 60)]
    return "\n".join(map(svg_text, [*sparks, *swatches]))


class _Found:
    """Finds the same runs for the first setting that is requested, as the store would by key."""

    def __init__(self, *runs: RunRecord) -> None:
        self.runs = runs

    def find_settings(self, configs: Any) -> dict[str, tuple[RunRecord, ...]]:
        keys = [setting_key(config) for config in configs]
        return dict.fromkeys(keys[:1], self.runs)


def _reports() -> str:
    found = _Found(RUNS[0], RUNS[1], RUNS[4], run(7, state=RunState.PAUSED))
    lines = []
    for report in ("A", "B", "C", "D", "E", "lab"):
        rows = report_rows(report, check=lambda config: config, runs=found)
        lines += [flat(list(report_cells(rows).rows), report)]
        lines += [
            f"{row.preset.id}: {row.last_epoch or '–'} {row.quoted_epoch} {row.missing} {len(row.waiting)}"
            for row in rows
        ]
    return "\n".join([flat(list(report_cells(()).columns)), *lines])


def _live() -> str:
    points = {
        one.name: one
        for one in (
            series("batch/loss", WAVES),
            series("val/loss", [2.4, 1.0, 5e6], first=0, every=10),
            series("test/loss", [0.0, 1.1], first=10, every=10),
            series("val/accuracy", [0.1, 1.5], first=10, every=10),
            series("train/lr", [0.2, 0.1], first=10, every=10),
        )
    }
    first = live_payload(points, since="", lease=3, complete=False)
    longer = points | {"batch/loss": series("batch/loss", [*WAVES, math.nan, 0.0])}
    then = live_payload(longer, since=first["since"], lease=3, complete=True)
    again = live_payload(longer, since=first["since"], lease=4, complete=False)
    long = live_payload({"batch/loss": Series("batch/loss", *_long())}, since="", lease=1, complete=False)
    parts = {"charts": live_list(), "first": first, "then": then, "again": again["replace"], "long": long}
    return flat({**parts, "nothing": live_payload({}, since="", lease=1, complete=False)})


def _long() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    step = np.arange(1, len(LONG) + 1)
    return step, LONG, step * 0.25


SPEC = read_spec(
    {
        "base": {"dataset": "digits", "epochs": 8, "optimizer": "sgd"},
        "space": {
            "lr": {"low": 1e-4, "high": 1e-1, "log": True},
            "momentum": {"low": 0.0, "high": 0.9},
            "batch_size": {"values": [16, 32, 128]},
            "augment": {"values": ["none", "light"]},
        },
        "trials": 4,
        "halving": {"factor": 2, "first_epochs": 2},
    }
)


def trial(number: int, *losses: float, **fields: Any) -> TrialRecord:
    values = tuple(
        Measured(epoch, loss, 1 - loss / 3, spent_s=100.0 * epoch + number)
        for epoch, loss in zip((2, 4, 8), losses, strict=False)
    )
    params = {
        "lr": 1e-4 * 3**number,
        "momentum": (0.17 * number) % 0.9,
        "batch_size": (16, 32, 128)[number % 3],
        "augment": ("none", "light")[number % 2],
    }
    given = {"params": params, "state": TrialState.PAUSED, "run": f"run{number}", **fields}
    return TrialRecord(number=number, values=values, rung=max(0, len(values) - 1), **given)


TRIALS = (
    trial(1, 0.9, 0.6, 0.4, state=TrialState.FINISHED),
    trial(2, 0.8, 0.7, state=TrialState.RUNNING),
    trial(3, 1.4),
    trial(4, 1.1, 0.65),
    trial(5, math.nan, state=TrialState.FAILED),
    trial(6, 0.5, state=TrialState.COPY),
    trial(7, 0.95, source=Source.ADOPTED),
    trial(8, 1.2, params={"lr": 0.5, "weight_decay": 0.01}),
)
BY_ACCURACY = read_spec({**SPEC.as_dict(), "objective": "val_accuracy"}) if "objective" in SPEC.as_dict() else SPEC


def _sweep_curves(*, dark: bool) -> str:
    between = {"run1": [(1.0, 1.2), (3.0, 0.7), (5.0, math.inf)]}
    found = curve_info(SPEC, TRIALS, between)
    return "\n".join([curves_words(found, SPEC), figure_text(curves_figure(found, SPEC, dark=dark), dark=dark)])


def _slices() -> str:
    scores = scores_at(SPEC, TRIALS, 0)
    return "\n".join(f"{each.name}\n{figure_text(slice_figure(scores, each, SPEC))}" for each in SPEC.space)


def _surface() -> str:
    scores, first = scores_at(SPEC, TRIALS, 0), {each.name: each for each in SPEC.space}
    found = surface_info(scores, (first["lr"], first["momentum"]))
    few = surface_info(scores[:3], (first["lr"], first["augment"]))
    return "\n".join(
        [figure_text(surface_figure(found, SPEC)), "", figure_text(surface_figure(few, SPEC, dark=True), dark=True)]
    )


def _trials() -> str:
    scores = scores_at(SPEC, TRIALS[3:], 0)
    axes = parallel_axes(scores, SPEC)
    return "\n".join([flat(list(axes)), figure_text(trials_figure(scores, axes))])


def _progress() -> str:
    steps = progress_info(SPEC, TRIALS)
    return "\n".join([flat(list(steps)), progress_words(steps, SPEC), figure_text(progress_figure(steps, SPEC))])


FIGURES: dict[str, Callable[[], str]] = {
    "common_light": lambda: flat(layout(height=300, dark=False)),
    "common_dark": lambda: flat(layout(height=300, dark=True, xaxis={"title": {"text": "x"}}, margin={"l": 1})),
    "groups_by_lr": lambda: _groups("lr", "test_accuracy"),
    "groups_by_optimizer": lambda: _groups("optimizer", "test_loss", dark=True),
    "groups_seconds": lambda: _groups("train_limit", "seconds"),
    "groups_diverged": lambda: _diverged("lr"),
    "parallel_axes": lambda: flat(list(parallel_info(RUNS))),
    "parallel": lambda: _parallel(runs=RUNS[:3]),
    "parallel_by_accuracy": lambda: _parallel(shaded="test_accuracy", runs=RUNS[1:]),
    "parallel_by_loss": lambda: flat(shade_info(RUNS, "test_loss", dark=True)),
    "parallel_one": lambda: _parallel(shaded="test_accuracy", runs=(RUNS[0], RUNS[4])),
    "parallel_narrow": lambda: _parallel(shaded="test_accuracy", narrow=True, runs=RUNS[1:4]),
    "pareto_seconds": lambda: _pareto("seconds"),
    "pareto_params": lambda: _pareto("params", TWELVE, dark=True)[-1800:],
    "verdict_five": lambda: _verdict(5),
    "verdict_one": lambda: _verdict(1, dark=True),
    "calibration": _calibration,
    "gradients": _gradients,
    "outlines": _outlines,
    "small": _small,
    "reports": _reports,
    "live": _live,
    "sweep_curves": lambda: _sweep_curves(dark=True),
    "sweep_slices": _slices,
    "sweep_surface": _surface,
    "sweep_trials": _trials,
    "sweep_progress": _progress,
    "sweep_importance": lambda: figure_text(
        importance_figure([Importance("lr", 0.7, 9), Importance("momentum", 0.25, 9)], dark=True), dark=True
    ),
}


@pytest.mark.parametrize("name", list(FIGURES))
def test_figures(name: str) -> None:
    check(f"charts/{name}.txt", FIGURES[name]())


def _layouts() -> str:
    """Return the height, font and menu of each figure with default options."""
    one = overlay_info([overlays()["wild"][0][1]], OverlayOptions())
    scores, axes = scores_at(SPEC, TRIALS, 0), parallel_info(RUNS)
    steps, curves_ = progress_info(SPEC, TRIALS), curve_info(SPEC, TRIALS)
    first, second, *_ = SPEC.space
    figures = {
        "overlay": overlay_figure(one),
        "groups": group_figure(group_info(RUNS, "lr"), "seconds", by="lr"),
        "parallel": parallel_figure(RUNS, axes),
        "stacked": stacked(parallel_figure(RUNS, axes), axes),
        "pareto": pareto_figure(pareto_info(RUNS, "params"), "params"),
        "curves": curves_figure(curves_, SPEC),
        "progress": progress_figure(steps, SPEC),
        "importance": importance_figure([Importance("lr", 1.0, 9)]),
        "slice": slice_figure(scores, first, SPEC),
        "surface": surface_figure(surface_info(scores, (first, second)), SPEC),
        "trials": trials_figure(scores, parallel_axes(scores, SPEC)),
    }
    facts = {
        name: (each.layout.height, each.layout.font.color, "updatemenus" in each.layout.to_plotly_json())
        for name, each in figures.items()
    }
    return flat({**facts, "shade": shade_info(RUNS, "seconds").scale, "options": OverlayOptions()})


def _odd_results() -> str:
    """Return the shades of runs whose results are not finite, and the rates of runs that recorded none."""
    odd = (
        *RUNS[:2],
        *(
            run(30 + at, lr=0.1 * (at + 1), summary={"test_loss": value})
            for at, value in enumerate((math.inf, math.nan))
        ),
    )
    points = {"train/lr": series("train/lr", [])}
    rates = [RunCurves(run(41, schedule="cosine"), points), RunCurves(run(42, schedule="cosine", lr=0.5), {})]
    info = overlay_info(rates, OverlayOptions(metric="lr"))
    return flat({"shade": shade_info(odd, "test_loss"), "notes": list(info.notes), "lines": list(info.lines)})


@pytest.mark.parametrize("find", [_layouts, _odd_results], ids=["defaults", "odd_results"])
def test_figures_with_default_options_and_with_non_finite_results(find: Callable[[], str]) -> None:
    check(f"charts/{find.__name__.removeprefix('_')}.txt", find())
