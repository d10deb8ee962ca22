"""A row of segments of which one is chosen, kept in a page's record and in its address."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.state.page_state import PageState


def choose_segment(state: PageState[Any], name: str, titles: Mapping[str, str], *, label: str) -> str:
    """Show one of the titles for a field that stands in the address, and return its key. label: for screen readers."""
    state.take(name)
    chosen = st.segmented_control(
        label,
        list(titles),
        format_func=titles.__getitem__,
        required=True,
        label_visibility="collapsed",
        **state.widget(name),
    )
    state.show(name)
    return str(chosen)
