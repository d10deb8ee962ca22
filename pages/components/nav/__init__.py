"""Browser events that the frame needs: a click on a link of the navigation, and a change of the colour theme.

Streamlit keeps the address when the link of the open page is clicked, so "Train" would do nothing on a run's page. In a
narrow window, it closes the sidebar after a click only if the browser reports a phone, which tablets do not. And it
does not run the script when the system switches to dark mode, so pictures drawn for the light theme would stay.
"""

import streamlit as st

from pages.components.base import component
from pages.state.address import clear_address
from pages.state.keys import element
from pages.state.runs import forget_view

_KEY = "nav"
_FORGET = {"runs": forget_view}  # pages that restore their last view when their address is bare


def follow_navigation(page: str, *, dark: bool) -> None:
    """Clear the address at a click on the link of `page`, and rerun the page when the theme is not that of `dark`."""
    with st.container(key=element("nav-again")):
        component("nav")(
            key=_KEY,
            data={"page": page, "dark": dark},
            on_again_change=lambda: _forget(page),
            on_theme_change=lambda: None,  # only reruns the page
        )


def _forget(page: str) -> None:
    clear_address()
    if page in _FORGET:
        _FORGET[page]()
