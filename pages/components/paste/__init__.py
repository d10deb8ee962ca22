"""Pasting a picture from the clipboard."""

from typing import Any

from pages.components.base import component


def paste_component() -> Any:
    """Return Streamlit's renderer of the component."""
    return component("paste")
