"""The baseline of a run: another run, whose curves are drawn in grey behind its own. It is part of the address."""

import streamlit as st

from lab.examples.catalogue import is_example
from lab.runs.records import RunRecord, RunState
from lab.service.lineage import change_words, changed_settings, difference_words, origin_of
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.state.address import complain, find_run
from pages.state.keys import element
from pages.state.train import TRAIN, baseline_widget
from pages.widgets.runs import run_title

_OFFERED = 100  # newest runs that are looked through
_NONE = "no other run"


def read_baseline(run: RunRecord) -> RunRecord | None:
    """Return the baseline in the address, None without one. A run that does not exist or has no curves is reported."""
    baseline, problem = find_run(TRAIN.text("baseline"))
    if problem:
        complain(problem)
    if baseline is not None and baseline.id == run.id:
        complain("The address has this run as its own baseline: choose another one below the curves.")
        return None
    return baseline


def baseline_input(run: RunRecord, baseline: RunRecord | None) -> None:
    """Draw the choice of a baseline, and below it what distinguishes the two runs."""
    offered = _offered(run, baseline)
    if not offered:
        return
    labels = {"": _NONE} | {each.id: _label(each) for each in offered}
    st.selectbox(
        "Compare with",
        list(labels),
        format_func=labels.__getitem__,
        width=420,
        help="The curves of that run are drawn in grey behind these. More runs can be compared on the page Runs.",
        **baseline_widget(element("baseline", run.id), baseline.id if baseline else ""),
    )
    if baseline is not None:
        st.caption(plain(f"Grey: {run_title(baseline)} ({baseline.id}). {comparison_words(run, baseline)}"))


def _offered(run: RunRecord, baseline: RunRecord | None) -> list[RunRecord]:
    """Return the runs to choose from: the baseline, the run that this one continues, and the newest on its data set."""
    lab = get_lab()
    origin = origin_of(run)
    first = [baseline, find_run(origin.run)[0] if origin else None]
    newest = lab.store.runs.list(limit=_OFFERED)
    if is_example(run.id):
        newest = (*lab.examples.store.runs.list(limit=_OFFERED), *newest)
    same = [each for each in newest if each.config.dataset == run.config.dataset and each.state is not RunState.QUEUED]
    found = {each.id: each for each in (*first, *same) if each is not None and each.id != run.id}
    return list(found.values())


def _label(run: RunRecord) -> str:
    return " · ".join(filter(None, (run_title(run), run.headline_text, run.id)))


def comparison_words(run: RunRecord, baseline: RunRecord) -> str:
    """Return what was changed from the baseline to a run, and the difference in test accuracy on the same data.

    While one of them trains, there is no difference: the page is not drawn again at every evaluation.
    """
    if not changed_settings(baseline.config, run.config):
        words = "The settings are the same."
    else:
        words = f"Changed since: {change_words(baseline.config, run.config)}."
    comparable = run.config.dataset == baseline.config.dataset and not (run.state.live or baseline.state.live)
    difference = difference_words(run, baseline) if comparable else ""
    return f"{words} Test accuracy: {difference}." if difference else words
