"""The input of one setting, as its kind asks for.

A number input has no bounds: with them the browser marks what is beyond and sends nothing, so the page would go on with the
number before it. The setting's own check says what is wrong with what was typed.
"""

from typing import Any

import streamlit as st

from lab.config import FieldSpec
from pages.markdown import plain


def setting_input(spec: FieldSpec, widget: dict[str, Any]) -> None:
    """Draw a setting as a list, a switch, a text or a number. widget: what it is made with beside its label."""
    common = {**widget, "help": setting_help(spec)}
    if spec.choices:
        st.selectbox(spec.label, spec.choices, format_func=spec.choice_title, **common)
    elif spec.kind is bool:
        st.toggle(spec.label, **common)
    elif spec.kind is str:
        st.text_input(spec.label, **common)
    elif spec.kind is int:
        st.number_input(spec.label, step=int(spec.step or 1), **common)
    else:
        st.number_input(spec.label, step=_step(spec), format="%.7g", **common)


def setting_help(spec: FieldSpec) -> str:
    """Return what a setting is, and its range."""
    words = "" if spec.choices or spec.kind not in (int, float) else f" It must be {spec.range_words()}."
    return plain(spec.help + words)


def _step(spec: FieldSpec) -> float:
    """Return what one press of + or - changes: the setting's own step, else the usual value, at most 0.1."""
    usual = abs(float(spec.default)) or 0.01
    return min(0.1, usual) if spec.step is None else spec.step
