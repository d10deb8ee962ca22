"""A popover that closes once the action in it is done.

If it stayed open, it would cover what the action has changed. So the callback of a completed action closes the popover
(`close_popover`). A popover that shows its result inside, such as a file to download or a link to copy, is a plain
`st.popover`.
"""

from typing import Any

import streamlit as st

from pages.state.keys import ElementKey
from pages.state.session import take_closing


def action_popover(label: str, *, key: ElementKey, icon: str, disabled: bool = False, **look: Any) -> Any:
    """Draw the button and return the popover. look: further arguments of `st.popover`."""
    take_closing(key)
    return st.popover(label, icon=icon, disabled=disabled, key=key, on_change="rerun", **look)
