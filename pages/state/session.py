"""The one door to Streamlit's session state, for the modules beside it: pages use a `PageState`, or `flash`.

Everything in here can be pickled.
"""

from typing import Any

import streamlit as st

_FLASH = "flash"
_CLOSING = "closing"
_OUTAGE = "outage"


def value_of(key: str, default: Any = None) -> Any:
    """Return what a widget or component has under its key."""
    return st.session_state.get(key, default)


def put(key: str, value: object) -> None:
    """Give a widget a value, in a callback or before it is made."""
    st.session_state[key] = value


def forget(key: str) -> None:
    """Drop a value; a widget then starts from its default again."""
    st.session_state.pop(key, None)


def reported(key: str) -> Any:
    """Return what a component has reported, as one mapping; None before it was touched."""
    return value_of(key)


def close_popover(key: str) -> None:
    """Have a popover of `action_popover` closed the next time it is drawn, from a callback or before a rerun."""
    put(f"{_CLOSING}.{key}", True)


def take_closing(key: str) -> None:
    """Close that popover now if it was asked for, before it is drawn."""
    if value_of(f"{_CLOSING}.{key}"):
        forget(f"{_CLOSING}.{key}")
        put(key, False)


def flash(message: str) -> None:
    """Leave a sentence for the next run of a page."""
    put(_FLASH, message)


def take_flash() -> str:
    """Return that sentence once."""
    return str(st.session_state.pop(_FLASH, ""))


def note_outage(sentence: str) -> None:
    """Note that the store was away for something on this page; "" says that it answers again."""
    put(_OUTAGE, sentence)


def known_outage() -> str:
    """Return what was noted of an outage that is not over as far as this page knows, "" for none."""
    return str(value_of(_OUTAGE, ""))
