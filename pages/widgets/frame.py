"""The beginning of every page: its heading, and the handlers that show errors as messages."""

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
ASK_S = 4.0  # between two attempts to reach an unavailable store


def page_frame(title: str, intro: str = "") -> None:
    """Write a page's heading and one line of introduction, and show a message left by the previous page."""
    st.title(title, anchor=False)
    if intro:
        st.caption(intro)
    _show_flash()


def _show_flash() -> None:
    """Show a message left by a callback or by the previous page."""
    message = take_flash()
    if message:
        st.toast(message, icon=":material/info:")


@contextmanager
def show_errors() -> Iterator[None]:
    """Show a `LabError` as its message. Any other error is a bug and keeps its traceback in the log."""
    try:
        yield
    except LabError as error:
        _show(error, st)


def _show(error: LabError, place: Any) -> None:
    place.error(with_code(str(error)), icon=_ERROR)
    if isinstance(error, StoreBusyError):
        note_outage(str(error))


def _runs_alone() -> bool:
    """Whether this script run executes fragments only."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def redraw_after_outage() -> None:
    """Rerun the page once the store responds; until then the error message stays.

    Parts that refresh themselves recover on their own, but a page that was opened during the outage has none.
    """
    drawn_at = time.monotonic()

    @st.fragment(run_every=ASK_S)
    def ask() -> None:
        if time.monotonic() - drawn_at < ASK_S / 2:  # first run, together with the page, which has just tried
            return
        try:
            get_lab().store.ping()
        except LabError:
            return
        st.rerun()

    ask()


def shows_errors(draw: Callable[_P, None]) -> Callable[_P, None]:
    """Make a fragment show a `LabError` as its message, and the messages that its callbacks leave (`flash`).

    Needed because Streamlit reruns a fragment without the page around it. While the store is unavailable, each run
    shows the error before it waits for the store: a fragment that takes longer than its interval is restarted at once,
    and what it shows at its end would be lost.
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
        _show_flash()  # last: if the fragment reruns its page, the page shows the message

    return drawn
