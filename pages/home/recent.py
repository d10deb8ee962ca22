"""The runs in training and the newest ones, each with its curve and what distinguishes it from the others."""

import streamlit as st

from lab.charts.spark import HEIGHT, WIDTH
from lab.runs.records import RunRecord, RunState
from lab.service.sweep_trials import sweeps_of
from pages.cache.lab import get_lab
from pages.cache.runs import run_spark
from pages.markdown import plain
from pages.registry import has_page, page_path
from pages.state.keys import element
from pages.widgets.frame import shows_errors
from pages.widgets.runs import REFRESH_S, run_line, words_apart

_RECENT = 6
_LOOKED = 60  # newest runs that these are chosen from: of each sweep only the newest trial is shown


def recent() -> None:
    """Draw the list, which refreshes itself while one of its runs is in training; without any run, the examples."""
    runs = _runs()
    if not runs:
        _examples()
        return
    st.header("Recent runs", anchor=False)
    live = any(run.state.live for run in runs)
    st.fragment(_lines, run_every=REFRESH_S if live else None)(live=live)
    if has_page("runs"):
        st.page_link(page_path("runs"), label="All runs", icon=":material/arrow_forward:")


def _examples() -> None:
    examples = get_lab().list_examples()
    st.header("Example runs" if examples else "Recent runs", anchor=False)
    with st.container(border=True):
        if not examples:
            st.markdown("**No runs yet.** Press the button above: the first curves appear within seconds.")
        for run in examples:
            with st.container(key=element("recent", run.id)):
                _line(run, "")
                st.caption(plain(run.note))
    if examples:
        st.caption(
            "Examples ship with the lab; your own runs will replace them here. A switch on the Runs page hides them."
        )


def _runs() -> list[RunRecord]:
    """Return the runs in training, however old, then the newest ones; of each sweep only one trial."""
    store = get_lab().store
    training = [run for run in store.queue.list(limit=_RECENT) if run.state is not RunState.QUEUED]
    found: dict[str, RunRecord] = {}
    for run in (*training, *store.runs.list(limit=_LOOKED, problems=True)):
        [place, *_] = (*sweeps_of(run), run.id)
        found.setdefault(place, run)
    return list(found.values())[:_RECENT]


@shows_errors
def _lines(*, live: bool) -> None:
    runs = _runs()
    apart = words_apart(runs)
    with st.container(border=True):
        for run in runs:
            trial = "" if run.problem or not sweeps_of(run) else "trial of a sweep"
            _line(run, trial or apart.get(run.id, ""))
    if live and not any(run.state.live for run in runs):
        st.rerun()  # nothing is left to refresh


def _line(run: RunRecord, label: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=element("recent-line", run.id)):
        if not run.problem:
            st.html(_spark(run), width="content")
        run_line(run, key=element("recent-run", run.id), apart=label)


def _spark(run: RunRecord) -> str:
    """Return a run's validation accuracy as a small curve, or a spacer if it has none or cannot be read."""
    address = run_spark(run)
    if not address:
        return f'<div style="width:{WIDTH}px;height:{HEIGHT}px"></div>'
    return f'<img width="{WIDTH}" height="{HEIGHT}" alt="Accuracy by epoch" src="{address}">'
