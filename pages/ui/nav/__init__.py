"""The navigation's own link: a click on the page one is on leads to that page's start, without its address."""

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui.runs_state import forget_view

_KEY = "nav"
_FORGET = {"runs": forget_view}  # what a page would otherwise return to when its address is bare


@cache
def _component() -> Any:
    script = (Path(__file__).parent / "nav.js").read_text(encoding="utf-8")
    return st.components.v2.component("convlab_nav", html="<span></span>", js=script)


def start_again(page: str) -> None:
    """Have a click on the link of `page`, while it is open, drop everything that its address holds."""
    with st.container(key="nav-again"):
        _component()(key=_KEY, data={"page": page}, on_again_change=lambda: _forget(page))


def _forget(page: str) -> None:
    st.query_params.clear()
    if page in _FORGET:
        _FORGET[page]()
