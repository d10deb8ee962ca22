"""Pasting a picture from the clipboard."""

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


@cache
def paste_component() -> Any:
    """Return the renderer that Streamlit gives for the component, registered at the first call."""

    def text(name: str) -> str:
        return (_HERE / name).read_text(encoding="utf-8")

    return st.components.v2.component(
        "convlab_paste", html=text("paste.html"), css=text("paste.css"), js=text("paste.js")
    )
