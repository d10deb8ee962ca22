"""Sweeps: the list, the form of a new sweep, and one sweep with its charts. `?sweep=` in the address opens a sweep."""

from collections.abc import Iterator

import streamlit as st

from lab.architectures.registry import arch_title
from lab.data.registry import dataset_title
from lab.errors import SweepNotFoundError
from lab.formatting import plural
from lab.runs.sweep_titles import sweep_title
from lab.sweeps.records import SweepRecord
from lab.sweeps.spec import UNNAMED
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.registry import page_path
from pages.state.address import complain
from pages.state.keys import element
from pages.state.sweeps import SWEEPS
from pages.sweeps.create import create_form
from pages.sweeps.view import show_sweep, sweep_badge
from pages.widgets.frame import page_frame, show_errors
from pages.widgets.runs import format_ago

_SHOWN = 50  # newest sweeps that are listed


def main() -> None:
    """Draw the sweep in the address, else the list and the form."""
    asked = SWEEPS.text("sweep")
    sweep, problem = _find(asked)
    if sweep is not None:
        show_sweep(sweep)
        return
    page_frame(
        "Sweeps",
        "Try many settings at once. Weak trials are paused early; the best ones continue where they stopped.",
    )
    SWEEPS.refuse_unknown()
    if problem:
        complain(problem)
    with show_errors():
        _list(get_lab().store.sweeps.list())
        st.header("New sweep", anchor=False)
        create_form()


def _find(asked: str) -> tuple[SweepRecord | None, str]:
    """Return the sweep named in the address, or a message why there is none."""
    if not asked:
        return None, ""
    try:
        return get_lab().store.sweeps.resolve(asked), ""
    except SweepNotFoundError as error:
        return None, str(error)


def _list(sweeps: tuple[SweepRecord, ...]) -> None:
    for sweep in sweeps[:_SHOWN]:
        with st.container(horizontal=True, vertical_alignment="center", key=element("sweep-line", sweep.id)):
            st.page_link(
                page_path("sweeps"), label=plain(sweep_title(sweep) or sweep.id), query_params={"sweep": sweep.id}
            )
            sweep_badge(sweep)
            if sweep.problem:
                st.caption(plain(sweep.problem))
                continue
            st.caption(plain(" · ".join([*_subject(sweep), format_ago(sweep.created_at)])), width="content")
    if len(sweeps) > _SHOWN:
        total = plural(len(sweeps), "sweep")
        st.caption(f"Only the newest {_SHOWN} of {total} are shown; `python -m lab sweep list` lists all.")


def _subject(sweep: SweepRecord) -> Iterator[str]:
    """Yield network, data set and what is varied, unless they are the title."""
    if sweep.name != UNNAMED:
        base = sweep.asked.base
        yield f"{arch_title(base.arch)} on {dataset_title(base.dataset)}"
        yield ", ".join(parameter.spec.label.lower() for parameter in sweep.asked.space)


main()
