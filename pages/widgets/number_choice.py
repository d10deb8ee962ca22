"""An input of a whole number that chooses what a page shows.

Like the inputs of settings, it has no bounds in the browser, which would mark a number outside them and not send it.
The nearest valid number is used instead, and `show_refusal` reports this until another number is chosen.
"""

from functools import partial
from typing import Any

import streamlit as st

from pages.markdown import plain
from pages.state.page_state import PageState
from pages.state.session import refuse, refused


def choose_number(page: PageState[Any], name: str, label: str, low: int, high: int, **layout: Any) -> int:
    """Draw the input of a page's field and return its number, from `low` to `high`. `show_refusal` reports errors."""
    number: int = min(max(getattr(page.read(), name), low), high)  # the limits may have changed since it was chosen
    page.change(**{name: number})
    st.number_input(label, step=1, **layout, **page.widget(name, then=partial(_take, page, name, label, low, high)))
    return number


def show_refusal(key: str, *, beside: object) -> None:
    """Show why an input's value was refused, as long as the value used instead is still `beside`."""
    sentence = refused(key, beside=beside)
    if sentence:
        st.error(plain(sentence), icon=":material/error:")


def _take(page: PageState[Any], name: str, label: str, low: int, high: int) -> None:
    typed = int(getattr(page.read(), name))
    nearest = min(max(typed, low), high)
    what = label.partition(",")[0]
    rule = f"{what} is {typed:,}, but it must be from {low:,} to {high:,}: {nearest:,} is shown."
    refuse(page.widget_key(name), rule if typed != nearest else "", beside=nearest)
    page.change(**{name: nearest})
