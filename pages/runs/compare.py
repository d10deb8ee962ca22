"""Below the table: the chosen runs, and several views that compare them."""

from collections.abc import Sequence

import streamlit as st

from lab.charts.groups import Group, cut_note, group_figure, group_info
from lab.charts.lines import RunCurves
from lab.charts.overlay import AXES, OverlayOptions, line_slots, overlay_info, shows_test
from lab.charts.overlay_figure import line_key, overlay_alt_text, overlay_figure
from lab.charts.parallel import parallel_figure, parallel_info, shade_info
from lab.charts.pareto import COSTS, pareto_figure, pareto_info
from lab.charts.smoothing import SPANS
from lab.charts.style import run_style
from lab.config import FIELDS
from lab.config.repeats import REPEATED
from lab.errors import UnreadableRunError
from lab.examples.catalogue import is_example
from lab.formatting import plural
from lab.lazy import load
from lab.metric_charts import list_charts
from lab.metrics import TEST_ACCURACY, VAL_ACCURACY
from lab.runs.records import RunRecord
from lab.sharing.comparison import (
    EPOCH,
    SPREAD_RESULTS,
    Cell,
    comparison_table,
    differing_settings,
    list_results,
    run_labels,
)
from lab.sharing.tables import shown
from lab.spread import format_result
from pages.cache.lab import get_lab
from pages.cache.runs import run_points
from pages.components.plot import plot
from pages.markdown import plain, with_code
from pages.state.address import find_run
from pages.state.keys import element
from pages.state.runs import bind
from pages.state.runs_view import LOOKS, MAX_RUNS, RunsView
from pages.widgets.lineage import show_tree
from pages.widgets.parallel_plot import parallel_plot
from pages.widgets.runs import browser_zone
from pages.widgets.table import NumberAsText, number_cell, setting_cell, sortable
from pages.widgets.theme import dark


def chosen_runs(view: RunsView) -> tuple[RunRecord, ...]:
    """Return the chosen runs that exist, in the order in which they were chosen."""
    if not view.runs:
        return ()
    lab = get_lab()
    found = {run.id: run for run in lab.store.runs.list(ids=view.runs, limit=None)}
    if any(map(is_example, view.runs)):
        found |= {run.id: run for run in lab.examples.store.runs.list(ids=view.runs, limit=None)}
    return tuple(found[run] for run in view.runs if run in found)


def lost_runs(view: RunsView, found: Sequence[RunRecord]) -> tuple[str, ...]:
    """Return a message for each of the first chosen runs that do not exist, and one for the rest."""
    there = {run.id for run in found}
    lost = [run for run in view.runs if run not in there]
    sentences = [find_run(run)[1] for run in lost[:_NAMED]]
    rest = len(lost) - _NAMED
    return (
        (*sentences, f"{rest} more of the chosen runs are not in this lab or were deleted.")
        if rest > 0
        else (*sentences,)
    )


def compare(view: RunsView, runs: Sequence[RunRecord]) -> None:
    """Draw the comparison that the view names."""
    st.segmented_control("View", list(LOOKS), format_func=LOOKS.__getitem__, required=True, **bind("look", view.look))
    {
        "curves": _curves,
        "differences": _differences,
        "groups": _groups,
        "verdict": _verdict,
        "parallel": _parallel,
        "pareto": _pareto,
        "tree": _tree,
    }[view.look](view, runs)


_FIRST = ("name", TEST_ACCURACY.title, VAL_ACCURACY.title)  # of the columns of Differences
_LAST = ("state", "run")
_NAME_PX = 190  # long labels are cut, so that a phone shows a result next to them; a click shows the whole
_NAMED = 3  # chosen runs that do not exist and are listed one by one


def _curves(view: RunsView, runs: Sequence[RunRecord]) -> None:
    charts, controls = st.container(), st.container()
    test = shows_test(runs) if view.test is None else view.test
    with controls:  # below, so that the charts come first
        _curve_controls(view, test=test)
    with charts:
        _curve_charts(view, runs, test=test)


def _curve_charts(view: RunsView, runs: Sequence[RunRecord], *, test: bool) -> None:
    curves = _sound_curves(runs)
    notes = [_test_words(runs)] if test and view.test is None else []
    total = points = 0
    with st.grid(min_column_width=460, key=element("runs-curves-grid")):
        for metric in view.curves:
            options = OverlayOptions(
                metric,
                view.x,
                view.smooth,
                fold=view.fold,
                test=test,
                raw=view.raw,
                log_x=view.logx,
                log_y=view.logy,
                full=view.full,
                zone=browser_zone(),
            )
            info = overlay_info(curves, options, slots=view.slots)
            said = (line_key(info, smoothed=view.smooth > 1), *info.notes)
            notes += [note for note in said if note and note not in notes]
            if not info.lines:
                continue  # the notes say why, and a constant learning rate is one of them
            figure = overlay_figure(info, dark=dark())
            plot(
                f"runs.curve.{metric}",
                figure,
                words=overlay_alt_text(info),
                name=f"runs-{metric}",
                revision=f"{view.x} {view.logx} {view.logy} {view.full}",
                linked="runs.curves",
            )
            total, points = total + info.total, points + info.shown
    _small_print(runs, total, points, notes)


def _sound_curves(runs: Sequence[RunRecord]) -> list[RunCurves]:
    """Return the runs' curves; damaged ones are reported and left out."""
    curves = []
    for run in runs:
        try:
            curves.append(RunCurves(run, run_points(run)))
        except UnreadableRunError as error:
            st.warning(with_code(str(error)), icon=":material/heart_broken:")
    return curves


def _small_print(runs: Sequence[RunRecord], total: int, points: int, notes: Sequence[str]) -> None:
    words = (
        [f"Shows {points:,} of {total:,} points; each interval keeps its minimum and maximum."]
        if total > points
        else []
    )
    live = sum(run.state.live for run in runs)
    if live:
        words.append(f"{live} of these runs {'has' if live == 1 else 'have'} not ended yet.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(" ".join([*words, *notes])), width="content")
        if live:
            st.button("Refresh curves", icon=":material/refresh:", key=element("runs-refresh"), type="tertiary")


def _test_words(runs: Sequence[RunRecord]) -> str:
    which = "This run has" if len(runs) == 1 else "None of these runs has"
    return f"{which} {'no' if len(runs) == 1 else 'a'} validation set, so the test set is shown."


def _curve_controls(view: RunsView, *, test: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.multiselect(
            "Curves",
            list(list_charts()),
            format_func=lambda m: list_charts()[m].title,
            width=420,
            **bind("curves", view.curves),
        )
        st.selectbox("X axis", list(AXES), format_func=lambda x: AXES[x].split(" (")[0], width=170, **bind("x", view.x))
        st.select_slider(
            "Smoothing",
            SPANS,
            format_func=lambda span: "off" if span == 1 else f"{span} steps",
            width=190,
            help="The line is the mean over this many neighbouring steps, as on the Train page, with the raw points "
            "behind it.",
            **bind("smooth", view.smooth),
        )
    with st.container(horizontal=True, gap="medium"):
        for name, label, words in (
            ("raw", "Raw points", "Show the raw points behind the smoothed line."),
            (
                "fold",
                "Repeats as bands",
                "Runs that differ only in their seed or fold are drawn as their mean, with a band of one standard "
                "deviation if there are three or more.",
            ),
            ("test", "Test set", "Also show the curve of the test set. On at first if no run has a validation set."),
            (
                "full",
                "Full range",
                "Fit the y axis to all values. Off: losses far above those of healthy runs are marked at its edge.",
            ),
            ("logx", "Log x", ""),
            ("logy", "Log y", "Accuracies keep their linear axis."),
        ):
            value = test if name == "test" else getattr(view, name)
            st.toggle(label, help=words or None, **bind(name, value))


def _differences(view: RunsView, runs: Sequence[RunRecord]) -> None:
    table = comparison_table(runs)
    shared = {name for name in ("network", "data set") if len(set(table.column(name))) == 1}
    rows = [
        {
            FIELDS[name].label if name in FIELDS else name.capitalize(): _cell(run, name, table.column(name)[at])
            for name in sorted(table.columns, key=_rank)
            if name not in shared
        }
        for at, run in enumerate(runs)
    ]
    st.dataframe(
        sortable(rows),
        hide_index=True,
        width="stretch",
        column_config={"Name": st.column_config.TextColumn(width=_NAME_PX, pinned=True)},
        placeholder="–",
        alt="Settings that differ",
    )
    same = len([spec for spec in FIELDS.values() if spec.result]) - len(differing_settings(runs))
    st.caption(f"{plural(same, 'setting')} {'is' if same == 1 else 'are'} the same in {_all(len(runs))} and not shown.")


def _rank(column: str) -> int:
    """Return the place of a column: the first ones are visible on every screen."""
    return _FIRST.index(column) if column in _FIRST else len(_FIRST) + (column in _LAST)


def _cell(run: RunRecord, column: str, cell: Cell) -> NumberAsText | str | None:
    if column in FIELDS:
        return setting_cell(column, getattr(run.config, column), shown(cell, column=column))
    return number_cell(run.headline.epoch if column == EPOCH else cell, shown(cell, column=column))


def _all(runs: int) -> str:
    return "this run" if runs == 1 else f"all {runs:,} runs"


def _groups(view: RunsView, runs: Sequence[RunRecord]) -> None:
    differing = [name for name in differing_settings(runs) if FIELDS[name].result]
    names = differing or ["arch"]
    by = view.by if view.by in FIELDS else next((name for name in names if name not in REPEATED), names[0])
    with st.container(horizontal=True, gap="medium"):
        known = [*names, *(name for name in FIELDS if name not in names)]
        st.selectbox("Group by", known, format_func=lambda n: FIELDS[n].label, width=240, **bind("by", by))
        titles = list_results()
        st.selectbox(
            "Result",
            list(titles),
            format_func=lambda r: titles[r].capitalize(),
            width=240,
            **bind("result", view.result),
        )
    groups = group_info(runs, by)
    figure = group_figure(groups, view.result, by=by, dark=dark())
    alt = f"Bars of {titles[view.result]} by {FIELDS[by].label}"
    plot("runs.groups", figure, words=alt, name=f"runs-by-{by}", revision=f"{by} {view.result}")
    st.dataframe(sortable(_group_rows(groups, by)), hide_index=True, width="stretch", placeholder="–", alt=alt)
    means = (
        "Mean ± one standard deviation (n − 1; for three or more runs) over a group's runs that have ended. Accuracies "
        "and losses are those of each run's selected weights: lowest validation loss, else the last epoch."
    )
    st.caption(plain(f"{means} {cut_note(groups, view.result)}".strip()))


def _group_rows(groups: Sequence[Group], by: str) -> list[dict[str, object]]:
    rows = []
    for group in groups:
        value = getattr(group.runs[0].config, by)
        row: dict[str, object] = {FIELDS[by].label: setting_cell(by, value, group.value), "n": len(group.runs)}
        for key in SPREAD_RESULTS:
            spread = group.results[key]
            text = format_result(key, spread, of=len(group.runs))
            row[list_results()[key].capitalize()] = spread and NumberAsText(spread.mean, text)
        rows.append(row)
    return rows


def _verdict(view: RunsView, runs: Sequence[RunRecord]) -> None:
    load("pages.runs.verdict:verdict_look")(view, runs, dark=dark())


def _parallel(view: RunsView, runs: Sequence[RunRecord]) -> None:
    axes = parallel_info(runs)
    if len(axes) < 2:
        st.info("These runs do not differ in any setting that can be drawn. Choose others.", icon=":material/info:")
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        titles = list_results()
        st.selectbox(
            "Colour by",
            list(titles),
            format_func=lambda r: titles[r].capitalize(),
            width=240,
            disabled=view.own,
            **bind("result", view.result),
        )
        st.toggle("Runs' own colours", help="Use the colours of the curves and the table.", **bind("own", view.own))
    shade = None if view.own else shade_info(runs, view.result, dark=dark())
    figure = parallel_figure(runs, axes, slots=view.slots, shade=shade, dark=dark())
    words = f"{plural(len(runs), 'run')} on {len(axes)} parallel axes"
    words += "" if shade is None else f", coloured by {titles[view.result]}"
    parallel_plot("runs.parallel", figure, axes, words=words, name="runs-parallel")


def _pareto(view: RunsView, runs: Sequence[RunRecord]) -> None:
    st.segmented_control("Cost", list(COSTS), format_func=COSTS.__getitem__, required=True, **bind("cost", view.cost))
    points = pareto_info(runs, view.cost)
    if not points:
        st.info("None of these runs has a test accuracy and a cost yet.", icon=":material/info:")
        return
    labels = dict(zip((run.id for run in runs), run_labels(runs), strict=True))
    best = "; ".join(f"{labels[p.run.id]}: {p.run.headline_text}" for p in points if p.best)
    figure = pareto_figure(points, view.cost, slots=view.slots, labels=labels, dark=dark())
    plot("runs.pareto", figure, words=f"On the front: {best}", name=f"runs-{view.cost}", revision=view.cost)
    without = len(runs) - len(points)
    left_out = (
        f" Not shown, as still training or without a test accuracy or a cost: {without} of {plural(len(runs), 'run')}."
        if without
        else ""
    )
    st.caption(plain(f"On the Pareto front, where no other run is both better and cheaper: {best}.{left_out}"))


def _tree(_view: RunsView, runs: Sequence[RunRecord]) -> None:
    own = [run for run in runs if not is_example(run.id)]
    if own:
        show_tree("runs", own)
    st.caption(
        "Forks, fine-tuned runs and continuations, each below the run that it started from, with the changed settings "
        "and the difference in test accuracy, in percentage points. Click a run to open it."
    )


def chosen_box(view: RunsView, page: Sequence[RunRecord], runs: Sequence[RunRecord]) -> None:
    """Draw the list of chosen runs, to which those on the table's page can be added."""
    every = {run.id: run for run in (*runs, *page)}
    labels = dict(zip(every, run_labels(tuple(every.values())), strict=True))
    labels |= dict(zip((run.id for run in runs), run_labels(runs), strict=True))
    st.html(f"<style>{_chip_dots(view, runs)}</style>")
    st.multiselect(
        "Chosen runs",
        list(every),
        format_func=labels.__getitem__,
        max_selections=MAX_RUNS,
        placeholder="Tick runs in the table, or choose them here",
        **bind("runs", tuple(run.id for run in runs), offered=tuple(every)),
    )


def shown_slots(view: RunsView, runs: Sequence[RunRecord]) -> dict[str, int]:
    """Return the slot of each chosen run's line in the chart; repeats in one band share a slot."""
    return line_slots(runs, view.slots, fold=view.fold and view.look == "curves")


def _chip_dots(view: RunsView, runs: Sequence[RunRecord]) -> str:
    """Return styles that put a dot of the run's colour into each chip; Streamlit has no colour per chip."""
    chip = '[class*="st-key-runs-runs"] [data-tag]'
    rules = [
        f"{chip} {{ background: rgba(128, 128, 128, 0.16); }} {chip}, {chip} * {{ color: inherit; }}",
        f'{chip}::before {{ content: ""; flex: none; width: 0.7em; height: 0.7em; border-radius: 50%; '
        "margin-right: 0.35em; }",
    ]
    slots = shown_slots(view, runs)
    for at, run in enumerate(runs):
        colour = run_style(slots[run.id], dark=dark()).colour
        rules.append(f'{chip}[data-tag-index="{at}"]::before {{ background: {colour}; }}')
    return " ".join(rules)
