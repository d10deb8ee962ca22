"""The colour theme of the reader's page."""

import streamlit as st


def dark() -> bool:
    """Whether the page is dark."""
    return st.context.theme.type == "dark"
