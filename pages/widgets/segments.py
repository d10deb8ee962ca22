"""A segmented control whose choice is kept in a page's state and in its address."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from pages.state.page_state import PageState


def choose_segment(
    state: PageState[Any],
    name: str,
    titles: Mapping[str, str],
    *,
    label: str,
    then: Callable[[], None] | None = None,
) -> str:
    """Show the titles for a field that is part of the address, and return the chosen key.

    label: for screen readers. then: called after a change.
    """
    state.take(name)
    chosen = st.segmented_control(
        label,
        list(titles),
        format_func=titles.__getitem__,
        required=True,
        label_visibility="collapsed",
        **state.widget(name, then=then),
    )
    state.show(name)
    return str(chosen)
