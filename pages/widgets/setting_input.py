"""The input of one setting, by its kind.

Number inputs have no bounds: with bounds, the browser marks a number outside them and sends nothing, so the page would
keep using the previous number. The setting's own check reports what is wrong instead.
"""

from typing import Any

import streamlit as st

from lab.config import FieldSpec
from pages.markdown import plain


def setting_input(spec: FieldSpec, widget: dict[str, Any]) -> None:
    """Draw a setting as a select box, a toggle, a text or a number input. widget: its key and related arguments."""
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
    """Return a setting's help text, with the range of a number."""
    words = "" if spec.choices or spec.kind not in (int, float) else f" It must be {spec.range_words()}."
    return plain(spec.help + words)


def _step(spec: FieldSpec) -> float:
    """Return the step of + and -: the setting's own, else its default, at most 0.1."""
    usual = abs(float(spec.default)) or 0.01
    return min(0.1, usual) if spec.step is None else spec.step
