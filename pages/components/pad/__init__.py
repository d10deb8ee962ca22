"""The drawing pad: it sends its strokes while they are drawn, and takes over a drawing that the server has changed."""

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


@cache
def pad_component() -> Any:
    """Return the renderer that Streamlit gives for the component, registered at the first call."""

    def text(name: str) -> str:
        return (_HERE / name).read_text(encoding="utf-8")

    return st.components.v2.component("convlab_pad", html=text("pad.html"), css=text("pad.css"), js=text("pad.js"))
