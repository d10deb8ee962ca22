"""Is one setting better? Compares two settings of the chosen runs over all their seeds or folds."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from lab.charts.verdict import verdict_alt_text, verdict_figure, verdict_info
from lab.comparison.runs import Comparison, compare_runs, compare_settings
from lab.comparison.sides import Side
from lab.comparison.verdict import Answer
from lab.comparison.words import notes_of, p_text, points, verdict_text, verdict_words
from lab.config.repeats import REPEATED, setting_key
from lab.errors import InputError
from lab.examples.catalogue import is_example
from lab.formatting import plural
from lab.lazy import load
from lab.runs.records import RunRecord
from lab.sharing.comparison import run_labels
from lab.spread import format_result
from pages.cache.lab import get_lab
from pages.cache.torch_import import require_torch
from pages.components.plot import plot
from pages.markdown import plain, with_code
from pages.runs.actions import watch
from pages.state.runs import bind, renew_table
from pages.state.runs_view import RunsView
from pages.state.session import flash
from pages.widgets.repeat import fill_button
from pages.widgets.table import NumberAsText, number_cell, sortable

_ICONS = {Answer.YES: ":material/check_circle:", Answer.NO: ":material/help:", Answer.FEW: ":material/hourglass_empty:"}
_SETTING_PX = 118  # long labels are cut, so that a phone shows the result next to them; a click shows the whole
_MAX_SETTINGS = 12  # for comparisons of every pair: 66 rows


def verdict_look(view: RunsView, runs: Sequence[RunRecord], *, dark: bool) -> None:
    """Draw the verdict on two settings of the chosen runs, and for more than two, a table of every pair."""
    settings = _settings(runs)
    if len(settings) < 2:
        words = "Choose runs with at least two different settings. Runs that differ only in seed or fold count as one."
        st.info(words, icon=":material/info:")
        return
    names = dict(zip((run.id for run in settings), _labels(settings), strict=True))
    ids = tuple(names)
    left = view.a if view.a in names else ids[0]
    right = view.b if view.b in names and view.b != left else _other(settings, left)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("A", ids, format_func=names.__getitem__, **bind("a", left, offered=ids))
        st.selectbox("B", ids, format_func=names.__getitem__, **bind("b", right, offered=ids))
    groups = _repeats(settings)
    try:
        every = _each_with_each([groups[run.id] for run in settings], like=groups[left])
        found = _corrected(groups[left], groups[right], every)
    except InputError as error:  # not an error of the page: other settings can be chosen above
        st.info(with_code(str(error)), icon=":material/info:")
        return
    _two(found, a=names[left], b=names[right], dark=dark)
    _fill([run for run in settings if run.id in (left, right)])
    _networks(view, [run for name in (left, right) for run in settings if run.id == name], (names[left], names[right]))
    if every:
        _every(every, [names[run.id] for run in settings if _same_kind(run, groups[left][0])])
    watch(run for group in groups.values() for run in group)


def _other(settings: Sequence[RunRecord], left: str) -> str:
    """Return the id of the run that is compared with `left` initially: the next of the same kind, else the next."""
    (first,) = (run for run in settings if run.id == left)
    rest = [run for run in settings if run.id != left]
    return next((run.id for run in rest if _same_kind(run, first)), rest[0].id)


def _same_kind(a: RunRecord, b: RunRecord) -> bool:
    """Whether two runs are evaluated on the same images."""
    return (a.config.dataset, a.config.folds) == (b.config.dataset, b.config.folds)


def _settings(runs: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    """Return the first run of each setting."""
    first: dict[str, RunRecord] = {}
    for run in runs:
        first.setdefault(setting_key(run.config), run)
    return tuple(first.values())


def _labels(settings: Sequence[RunRecord]) -> list[str]:
    """Return a label for each setting; equal labels are numbered."""
    labels = run_labels(settings, without=REPEATED)
    return [f"{label} ({at + 1})" if labels.count(label) > 1 else label for at, label in enumerate(labels)]


def _repeats(settings: Sequence[RunRecord]) -> dict[str, tuple[RunRecord, ...]]:
    """Return all runs of each setting, by its first run's id.

    Runs that are not chosen count as well: leaving some out would bias the result.
    """
    lab = get_lab()
    own = [run for run in settings if not is_example(run.id)]
    found = {run.id: one.runs for run, one in zip(own, lab.repeating.find_all(own), strict=True)}
    return {run.id: found.get(run.id) or (run,) for run in settings}


def _each_with_each(groups: Sequence[tuple[RunRecord, ...]], *, like: Sequence[RunRecord]) -> tuple[Comparison, ...]:
    """Return the comparison of every pair of settings of the same kind as `like`; none for two settings or too many."""
    same = [group for group in groups if _same_kind(group[0], like[0])]
    if not 2 < len(same) <= _MAX_SETTINGS:
        return ()
    return compare_settings([run for group in same for run in group])


def _corrected(left: Sequence[RunRecord], right: Sequence[RunRecord], every: Sequence[Comparison]) -> Comparison:
    """Return the comparison of two sides. If it is one of `every`, it is corrected like them, as in the table."""
    found = compare_runs(left, right)
    for one in every:
        if {_ids(one.a), _ids(one.b)} == {_ids(found.a), _ids(found.b)}:
            same = replace(found.verdict, verdict=one.verdict.verdict, adjusted=one.verdict.adjusted)
            return replace(found, verdict=same)
    return found


def _ids(side: Side) -> tuple[str, ...]:
    return tuple(run.id for run in side.runs)


def _two(found: Comparison, *, a: str, b: str, dark: bool) -> None:
    text = plain(verdict_text(found.verdict, a=a, b=b))
    show = {Answer.YES: st.success, Answer.NO: st.info, Answer.FEW: st.warning}[found.verdict.verdict]
    show(text, icon=_ICONS[found.verdict.verdict])
    info = verdict_info(found, a=a, b=b)
    if info.difference is not None:
        figure = verdict_figure(info, dark=dark)
        plot("runs.verdict", figure, words=verdict_alt_text(info), name="runs-verdict", revision=f"{a} {b}")
    means = "; ".join(
        f"{name}: {format_result(side.measure.result_key, side.spread)}" for name, side in ((a, found.a), (b, found.b))
    )
    st.caption(plain(" ".join([f"{means}.", *notes_of(found)])))


def _fill(runs: Sequence[RunRecord]) -> None:
    """Offer to train what is missing for five seeds each, or for the folds that both sides are evaluated on."""
    own = [run for run in runs if not is_example(run.id)]
    if any(plan.missing for plan in get_lab().repeating.plan(own)):
        fill_button(own, place="verdict", then=_queued)


def _networks(view: RunsView, pair: Sequence[RunRecord], names: tuple[str, str]) -> None:
    """Offer McNemar's test of the two runs' networks, if both have saved weights."""
    a, b = pair
    if not (a.has_weights and b.has_weights and a.config.dataset == b.config.dataset):
        return
    words = f"McNemar's test of two individual networks, those of runs {a.id} and {b.id}."
    if st.toggle("Compare the two networks image by image", help=plain(words), **bind("networks", view.networks)):
        require_torch()
        load("pages.runs.networks:compare_networks")(a, b, names=names)


def _queued(runs: tuple[str, ...]) -> None:
    flash(f"Finished or queued with these settings: {plural(len(runs), 'run')}.")
    renew_table()
    st.rerun()


def _every(found: Sequence[Comparison], names: Sequence[str]) -> None:
    """Draw the table of all comparisons. names: labels of the settings, in the order of the comparisons."""
    pairs = zip(found, itertools.combinations(names, 2), strict=True)
    st.dataframe(
        sortable([_row(one, a, b) for one, (a, b) in pairs]),
        hide_index=True,
        width="stretch",
        column_config={side: st.column_config.TextColumn(width=_SETTING_PX) for side in ("A", "B")},
        placeholder="–",
        alt="Every setting against every other, corrected for their number",
    )
    st.caption(
        "Every pair of settings. The p-values are Holm-corrected, because among many comparisons one soon looks like a "
        "difference by chance. The intervals are not corrected."
    )


def _row(one: Comparison, a: str, b: str) -> dict[str, NumberAsText | str | int | None]:
    """Return a row of the table. a, b: labels of the settings, needed for a side without runs that count."""
    verdict = one.verdict
    p = verdict.p if verdict.adjusted is None else verdict.adjusted
    low, high = ("–" if bound is None else points(bound) for bound in (verdict.low, verdict.high))
    return {
        "A": a,
        "B": b,
        "Result": verdict_words(verdict),
        "B − A, points": number_cell(
            verdict.difference, "" if verdict.difference is None else points(verdict.difference)
        ),
        "95 % interval": None if verdict.p is None else f"{low} to {high}",
        "p (Holm)": number_cell(p, p_text(p)),
        "Runs of A": verdict.n_a,
        "Runs of B": verdict.n_b,
    }
