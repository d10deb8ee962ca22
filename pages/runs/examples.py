"""The example runs below the user's own: what each of them shows, and the toggle that hides them on all pages."""

import streamlit as st

from lab.runs.records import RunRecord
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.runs.table import choose
from pages.state.keys import element
from pages.state.runs import RUNS, renew_table
from pages.state.runs_view import RunsView
from pages.widgets.frame import show_errors
from pages.widgets.runs import run_line


def examples_box(view: RunsView) -> tuple[RunRecord, ...]:
    """Draw the examples, each with a button that compares it, and return them; none if they are hidden."""
    lab = get_lab()
    runs = lab.list_examples()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.toggle(
            "Show examples",
            help="Three runs that ship with the lab. They do not count as your runs. Off: no page lists them.",
            disabled=lab.settings.read_only,
            **RUNS.widget("examples", value=bool(runs), then=_switch),
        )
    if runs:
        with st.container(border=True, key=element("runs-examples")):
            for run in runs:
                _line(run, chosen=run.id in view.runs)
    return runs


def _line(run: RunRecord, *, chosen: bool) -> None:
    with st.container(gap=None, key=element("runs-example", run.id)):
        # On a phone, the line wraps, and the button stays next to the title.
        with st.container(horizontal=True, vertical_alignment="top"):
            run_line(run, key=element("runs-example-line", run.id))
            st.button(
                "Remove" if chosen else "Compare",
                icon=":material/close:" if chosen else ":material/add:",
                type="tertiary",
                key=element("runs-example-choose", run.id),
                on_click=_choose,
                args=(run.id, not chosen),
            )
        st.caption(plain(run.note))


def _choose(run: str, chosen: bool) -> None:
    choose(run, chosen=chosen)
    renew_table()


def _switch() -> None:
    with show_errors():
        get_lab().hide_examples(not RUNS.read().examples)
