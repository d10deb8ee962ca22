"""What every page begins with: its heading, and the place where errors become sentences."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from lab.errors import LabError, StoreBusyError
from pages.cache.lab import get_lab
from pages.markdown import with_code
from pages.state.session import known_outage, note_outage, take_flash

_P = ParamSpec("_P")
_ERROR = ":material/error:"
ASK_S = 4.0  # between two questions to a store that was away


def page_frame(title: str, intro: str = "") -> None:
    """Write a page's heading and its one line of introduction, and what the page before wanted to say."""
    st.title(title, anchor=False)
    if intro:
        st.caption(intro)
    _show_flash()


def _show_flash() -> None:
    """Show what a callback, or the page before, wanted to say."""
    message = take_flash()
    if message:
        st.toast(message, icon=":material/info:")


@contextmanager
def show_errors() -> Iterator[None]:
    """Show a deliberate error as its sentence; anything else is a bug and keeps its traceback in the log."""
    try:
        yield
    except LabError as error:
        _show(error, st)


def _show(error: LabError, place: Any) -> None:
    place.error(with_code(str(error)), icon=_ERROR)
    if isinstance(error, StoreBusyError):
        note_outage(str(error))


def _runs_alone() -> bool:
    """Whether this run of the script is one of fragments only."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def redraw_after_outage() -> None:
    """Draw the page anew once the store answers; until then its sentence stays where it is.

    Parts that refresh themselves come back by themselves. A page that was opened meanwhile has none.
    """
    drawn_at = time.monotonic()

    @st.fragment(run_every=ASK_S)
    def ask() -> None:
        if time.monotonic() - drawn_at < ASK_S / 2:  # the page itself, just now
            return
        try:
            get_lab().store.ping()
        except LabError:
            return
        st.rerun()

    ask()


def shows_errors(draw: Callable[_P, None]) -> Callable[_P, None]:
    """Make a fragment show a deliberate error as its sentence, and what its callbacks leave to be said (`flash`).

    Streamlit runs it without the page around it. While the store is away, each run says so before it waits for an answer:
    what a run says at its end is lost where the next one begins at once, as a fragment does that takes longer than its time.
    """

    @wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> None:
        known = known_outage() if _runs_alone() else ""
        place: Any = st.empty() if known else st
        if known:
            place.error(with_code(known), icon=_ERROR)
        try:
            draw(*args, **kwargs)
        except LabError as error:
            _show(error, place)
        else:
            if known:
                note_outage("")
                place.empty()
        _show_flash()  # not before: where the fragment asks for a rerun of its page, that shows it

    return drawn
