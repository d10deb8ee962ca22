"""What is done to a run now and then, as popovers beside each other or as parts of one menu that unfold.

A row of all of them fills a phone before anything is seen of the run.
"""

from typing import Any

import streamlit as st

from pages.state.keys import ElementKey, element
from pages.widgets.popover import action_popover

MORE = "More"


def more_menu() -> Any:
    """Return the popover that the parts of a menu stand in, to be drawn into."""
    return st.popover(MORE, icon=":material/more_horiz:").container(key=element("run-menu"))


def fold(
    label: str, *, icon: str, menu: bool, disabled: bool = False, key: ElementKey | None = None, **popover: Any
) -> Any:
    """Return what a part stands in: with `menu` an expander, else a popover of its own.

    disabled: an expander opens all the same, so what stands in it has to be disabled as well. key: given, opening it runs
    the page again, and `open` of what is returned says whether it is open. popover: further words for a popover.
    """
    if menu:
        return st.expander(label, icon=icon, key=key, on_change="rerun" if key else "ignore")
    if key:
        return action_popover(label, icon=icon, key=key, disabled=disabled, **popover)
    return st.popover(label, icon=icon, disabled=disabled, **popover)
