"""The colour theme in the browser."""

import streamlit as st


def dark() -> bool:
    """Whether the dark theme is active."""
    return st.context.theme.type == "dark"
