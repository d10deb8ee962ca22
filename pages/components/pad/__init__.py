"""The drawing pad: it sends its strokes while they are drawn, and takes over a drawing that the server has changed."""

from typing import Any

from pages.components.base import component


def pad_component() -> Any:
    """Return the renderer that Streamlit gives for the component."""
    return component("pad")
