"""The input of one setting, as its kind and range ask for."""

from typing import Any

import streamlit as st

from lab.config import FieldSpec
from pages.markdown import plain


def setting_input(spec: FieldSpec, widget: dict[str, Any]) -> None:
    """Draw a setting as a list, a switch, a text or a number. widget: what it is made with beside its label and bounds."""
    common = {**widget, "help": setting_help(spec)}
    if spec.choices:
        st.selectbox(spec.label, spec.choices, format_func=spec.choice_title, **common)
    elif spec.kind is bool:
        st.toggle(spec.label, **common)
    elif spec.kind is str:
        st.text_input(spec.label, **common)
    elif spec.kind is int:
        st.number_input(spec.label, **_bounds(spec, int), step=int(spec.step or 1), **common)
    else:
        st.number_input(spec.label, **_bounds(spec, float), step=_step(spec), format="%.7g", **common)


def setting_help(spec: FieldSpec) -> str:
    """Return what a setting is, and its range."""
    words = "" if spec.choices or spec.kind not in (int, float) else f" It must be {spec.range_words()}."
    return plain(spec.help + words)


def _bounds(spec: FieldSpec, kind: type) -> dict[str, Any]:
    low = None if spec.low is None else kind(spec.low)
    high = None if spec.high is None else kind(spec.high)
    return {"min_value": low, "max_value": high}


def _step(spec: FieldSpec) -> float:
    """Return what one press of + or - changes: the setting's own step, else the usual value, at most 0.1."""
    usual = abs(float(spec.default)) or 0.01
    return min(0.1, usual) if spec.step is None else spec.step
