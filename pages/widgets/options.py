"""One widget for each kind of network option, shared by the Train form and the Architecture page.

Numbers have no bounds, as in `pages.widgets.setting_input`.
"""

from typing import Any

import streamlit as st

from lab.architectures.registry import ArchOption
from pages.markdown import plain
from pages.state.options import option_text, parse_numbers
from pages.widgets.layer_editor import layer_editor


def initial_value(option: ArchOption) -> Any:
    """Return an option's default in the form in which its widget holds it."""
    return option_text(option, option.default)


def option_input(option: ArchOption, widget: dict[str, Any]) -> Any:
    """Draw an option and return its unchecked value, a list as numbers. widget: its key and related arguments."""
    if option.is_layer_list:
        return layer_editor(option, widget)
    label = option.label.capitalize()
    words = "" if option.choices else f" It must be {option.rule()}."
    common: dict[str, Any] = {**widget, "help": plain(option.help + words)}
    if option.kind is bool:
        return st.toggle(label, **common)
    if option.kind is str:
        return st.selectbox(label, option.choices, format_func=option.choice_title, **common)
    if option.kind is list:
        return parse_numbers(st.text_input(label, **common))
    if option.kind is int:
        return st.number_input(label, step=1, **common)
    return st.number_input(label, step=0.05, format="%.4g", **common)
