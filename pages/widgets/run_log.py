"""The log of a run's worker, in a popover."""

from typing import Literal

import streamlit as st

from pages.cache.lab import get_lab
from pages.state.keys import element
from pages.widgets.menu import fold

_SHOWN = 60  # lines; `python -m lab machines log` prints all that are stored
_TALL_LINES, _TALL_PX = 10, 320  # a longer log scrolls
_WIDE_PX = 560  # a popover gets no width from lines that wrap


def run_log_button(run: str, *, menu: bool = False) -> None:
    """Draw the button; the log is read when it is opened. menu: draw it as a part of a menu (`fold`)."""
    with fold("Log", icon=":material/terminal:", menu=menu, key=element("run-log", run), type="tertiary") as box:
        if box.open:
            log = get_lab().store.logs.read(run)
            if log is None:
                st.caption("No worker has logged anything for this run yet.")
            else:
                st.caption(f"Last lines logged by its worker on {log.host.partition(' ')[0]}")
                show_log("\n".join(log.lines[-_SHOWN:]))


def show_log(text: str) -> None:
    """Show the text of a log with long lines wrapped; a long log scrolls."""
    st.code(text, language=None, wrap_lines=True, width=_WIDE_PX, height=log_height(text))


def log_height(text: str) -> int | Literal["content"]:
    """Return the height of a log's box, in pixels for a long log and "content" for a short one."""
    return _TALL_PX if text.count("\n") >= _TALL_LINES else "content"
