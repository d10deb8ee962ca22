"""Pasting a picture from the clipboard."""

from typing import Any

from pages.components.base import component


def paste_component() -> Any:
    """Return the renderer that Streamlit gives for the component."""
    return component("paste")
