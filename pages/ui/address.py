"""Choices that stand in the address, so that a link opens the same view.

A value in the address is taken over once, when it is new; afterwards the widget leads and the address follows. Values
that are not allowed are passed over. (Streamlit's own `bind` would write the shown words instead of the ids.)
"""

from collections.abc import Container

import streamlit as st

from pages.ui.state import put, value_of, whole_number


def take_from_address(name: str, *, key: str, allowed: Container[str]) -> None:
    """Give a widget the value of `?name=` if it is allowed and new; call it before the widget is made."""
    wanted = st.query_params.get(name)
    if wanted is None or wanted == value_of(_seen(name)):
        return
    put(_seen(name), wanted)
    if wanted in allowed:
        put(key, wanted)


def take_number(name: str, *, key: str, low: int, high: int) -> None:
    """The same for a whole number from low to high."""
    wanted = st.query_params.get(name)
    if wanted is None or wanted == value_of(_seen(name)):
        return
    put(_seen(name), wanted)
    number = whole_number(wanted)
    if number is not None and low <= number <= high:
        put(key, number)


def show_in_address(name: str, value: object, *, default: object = None) -> None:
    """Write the choice to the address, or take it out where it is the default."""
    text = str(value)
    put(_seen(name), text)
    if value == default:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != text:
        st.query_params[name] = text


def _seen(name: str) -> str:
    return f"address.{name}"
