"""A popover in which something is done, and which closes once that is done.

One that stays open covers what its action has changed. So: where an action is complete, its callback closes the popover
(`close_popover`); one that shows a result inside, such as a file to download or a link to copy, is a plain `st.popover`.
"""

from typing import Any

import streamlit as st

from pages.state.keys import ElementKey
from pages.state.session import take_closing


def action_popover(label: str, *, key: ElementKey, icon: str, disabled: bool = False, **look: Any) -> Any:
    """Draw the button and return what it opens. look: further words of `st.popover`."""
    take_closing(key)
    return st.popover(label, icon=icon, disabled=disabled, key=key, on_change="rerun", **look)
