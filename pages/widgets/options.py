"""One widget for each kind of option that a network may have, shared by the Train form and the Architecture page."""

import math
from typing import Any

import streamlit as st

from lab.architectures.registry import ArchOption
from pages.markdown import plain
from pages.state import session as state


def option_input(key: str, option: ArchOption) -> Any:
    """Draw an option, the network's own value at first, and return what it holds: unchecked, and a list as numbers."""
    label = option.name.replace("_", " ").capitalize()
    words = plain(f"{option.help} It must be {option.rule()}.")
    common: dict[str, Any] = {"key": key, "persist_state": "session", "help": words}
    state.put(key, state.value_of(key, state.option_text(option.default)))
    if option.kind is bool:
        return st.toggle(label, **common)
    if option.kind is str:
        return st.selectbox(label, option.choices, **common)
    if option.kind is list:
        return state.parse_numbers(st.text_input(label, **common))
    bounds = {"min_value": option.low, "max_value": option.high}
    common |= {name: option.kind(value) for name, value in bounds.items() if math.isfinite(value)}
    if option.kind is int:
        return st.number_input(label, step=1, **common)
    return st.number_input(label, step=0.05, format="%.4g", **common)
