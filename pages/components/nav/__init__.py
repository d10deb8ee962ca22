"""Events that the frame needs from the browser: a click on the link of the page one is on, and another colour theme.

Streamlit keeps the address when the link of the open page is clicked, and does not run the script when the system turns
dark, so that "Train" did nothing on a run's page, and pictures drawn for the light theme stayed.
"""

import streamlit as st

from pages.components.base import component
from pages.state.address import clear_address
from pages.state.keys import element
from pages.state.runs import forget_view

_KEY = "nav"
_FORGET = {"runs": forget_view}  # what a page would otherwise return to when its address is bare


def follow_navigation(page: str, *, dark: bool) -> None:
    """Have a click on the link of `page` drop what its address holds, and a theme other than `dark` draw it again."""
    with st.container(key=element("nav-again")):
        component("nav")(
            key=_KEY,
            data={"page": page, "dark": dark},
            on_again_change=lambda: _forget(page),
            on_theme_change=lambda: None,  # the page runs again, and that is all
        )


def _forget(page: str) -> None:
    clear_address()
    if page in _FORGET:
        _FORGET[page]()
