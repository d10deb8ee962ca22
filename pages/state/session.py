"""The only access to Streamlit's session state, for the modules of this package; pages use a `PageState` or `flash`.

Everything stored here can be pickled.
"""

from typing import Any

import streamlit as st

_FLASH = "flash"
_CLOSING = "closing"
_OUTAGE = "outage"
_REFUSED = "refused"


def value_of(key: str, default: Any = None) -> Any:
    """Return the value under a key, such as that of a widget or a component."""
    return st.session_state.get(key, default)


def put(key: str, value: object) -> None:
    """Set the value under a key; for a widget, call it in a callback or before the widget is created."""
    st.session_state[key] = value


def forget(key: str) -> None:
    """Remove a value; a widget then starts with its default again."""
    st.session_state.pop(key, None)


def reported(key: str) -> Any:
    """Return what a component has reported, as one mapping, None before its first report."""
    return value_of(key)


def close_popover(key: str) -> None:
    """Close a popover of `action_popover` the next time it is drawn. Call it in a callback or before a rerun."""
    put(f"{_CLOSING}.{key}", True)


def take_closing(key: str) -> None:
    """Close a popover if `close_popover` has requested it. Call it before the popover is drawn."""
    if value_of(f"{_CLOSING}.{key}"):
        forget(f"{_CLOSING}.{key}")
        put(key, False)


def flash(message: str) -> None:
    """Leave a message for the next run of a page."""
    put(_FLASH, message)


def take_flash() -> str:
    """Return the message left by `flash`, once; "" if there is none."""
    return str(st.session_state.pop(_FLASH, ""))


def refuse(key: str, sentence: str, *, beside: object) -> None:
    """Store why an input's value was refused, "" if it was accepted. beside: the value that is used instead."""
    put(f"{_REFUSED}.{key}", (sentence, beside))


def refused(key: str, *, beside: object) -> str:
    """Return the message stored by `refuse`, "" once the value used instead is no longer `beside`."""
    sentence, held = value_of(f"{_REFUSED}.{key}", ("", None))
    if sentence and held != beside:
        forget(f"{_REFUSED}.{key}")
    return str(sentence) if held == beside else ""


def note_outage(message: str) -> None:
    """Store the message of an outage of the store that this page has seen, "" once it responds again."""
    put(_OUTAGE, message)


def known_outage() -> str:
    """Return the message of an outage that is not known to be over, "" if there is none."""
    return str(value_of(_OUTAGE, ""))
