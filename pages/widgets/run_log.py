"""What the worker of a run has logged, behind a button."""

import streamlit as st

from pages.cache.lab import get_lab
from pages.state.keys import element
from pages.widgets.menu import fold

_SHOWN = 60  # lines; `python -m lab machines log` prints all that are stored


def run_log_button(run: str, *, menu: bool = False) -> None:
    """Draw the button; the log is read when it is opened. menu: as a part of a menu (`fold`)."""
    with fold("Log", icon=":material/terminal:", menu=menu, key=element("run-log", run), type="tertiary") as box:
        if box.open:
            log = get_lab().store.logs.read(run)
            if log is None:
                st.caption("No worker has logged anything of this run yet.")
            else:
                st.caption(f"The last lines of its worker on {log.host.partition(' ')[0]}")
                st.code("\n".join(log.lines[-_SHOWN:]), language=None, height=320)
