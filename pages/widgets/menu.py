"""Occasional actions on a run, as popovers side by side or as expanders in one menu.

A row of all of them would fill a phone's screen before anything of the run is visible.
"""

from typing import Any

import streamlit as st

from pages.state.keys import ElementKey, element
from pages.widgets.popover import action_popover

MORE = "More"


def more_menu() -> Any:
    """Return the popover of a menu, into which its parts are drawn."""
    return st.popover(MORE, icon=":material/more_horiz:").container(key=element("run-menu"))


def fold(
    label: str, *, icon: str, menu: bool, disabled: bool = False, key: ElementKey | None = None, **popover: Any
) -> Any:
    """Return the container of one action: an expander if `menu`, else a popover.

    disabled: an expander opens nevertheless, so its contents must be disabled as well. key: if given, opening the
    container reruns the page, and its `open` says whether it is open. popover: further arguments of the popover.
    """
    if menu:
        return st.expander(label, icon=icon, key=key, on_change="rerun" if key else "ignore")
    if key:
        return action_popover(label, icon=icon, key=key, disabled=disabled, **popover)
    return st.popover(label, icon=icon, disabled=disabled, **popover)
