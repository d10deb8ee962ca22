"""The drawing pad, which sends its strokes while they are drawn, and loads a drawing that the server has changed."""

from typing import Any

from pages.components.base import component


def pad_component() -> Any:
    """Return Streamlit's renderer of the component."""
    return component("pad")
