"""What the worker of a run has logged, behind a button."""

import streamlit as st

from pages.cache.lab import get_lab
from pages.state.keys import element

_SHOWN = 60  # lines; `python -m lab machines log` prints all that are stored


def run_log_button(run: str) -> None:
    """Draw the button; the log is read when it is opened."""
    with st.popover(
        "Log", icon=":material/terminal:", type="tertiary", on_change="rerun", key=element("run-log", run)
    ) as box:
        if box.open:
            log = get_lab().store.logs.read(run)
            if log is None:
                st.caption("No worker has logged anything of this run yet.")
            else:
                st.caption(f"The last lines of its worker on {log.host.partition(' ')[0]}")
                st.code("\n".join(log.lines[-_SHOWN:]), language=None, height=320)
