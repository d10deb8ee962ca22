"""Choices that stand in the address, so that a link opens the same view.

A value in the address is taken over once, when it is new; afterwards the widget leads and the address follows. A value
that is not allowed is named in a sentence and stays in the address until the reader chooses something else, so that
nothing is replaced in silence. (Streamlit's own `bind` would write the shown words instead of the ids.)
"""

from collections.abc import Collection, Iterable

import streamlit as st

from lab.errors import RunNotFoundError, close_match
from lab.runs.records import RunRecord
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.state.session import forget, put, value_of, whole_number

_SHOWN = 40  # characters of a wrong value that are repeated
_LISTED = 12  # allowed values that are named where none is close


def take_from_address(name: str, *, key: str, allowed: Collection[str]) -> bool:
    """Give a widget the value of `?name=` if that is new; call it before the widget is made.

    Returns whether the address is right: False for a value that is not allowed, which is said on the page.
    """
    wanted = st.query_params.get(name)
    rule = f"is not known here. {_hint(wanted or '', allowed)}"
    return _take(name, wanted in allowed, key=key, value=wanted, rule=rule)


def take_number(name: str, *, key: str, low: int, high: int) -> bool:
    """The same for a whole number from low to high."""
    number = whole_number(st.query_params.get(name, ""))
    right = number is not None and low <= number <= high
    return _take(name, right, key=key, value=number, rule=f"must be a whole number from {low:,} to {high:,}.")


def check_address(name: str, *, right: bool, rule: str) -> bool:
    """The same for a value that no widget of Streamlit takes over: say what is wrong with it."""
    return _take(name, right, key="", value=None, rule=rule)


def _take(name: str, right: bool, *, key: str, value: object, rule: str) -> bool:
    wanted = st.query_params.get(name)
    new = wanted != value_of(_seen(name))
    if wanted is None or right:
        forget(_wrong(name))
        if wanted is not None and new and key:
            put(key, value)
        put(_seen(name), wanted)
        return True
    if new:
        put(_seen(name), wanted)
        put(_wrong(name), (wanted, None))
    if value_of(_wrong(name), ("",))[0] != wanted:  # it was right when it was taken over
        return True
    complain(f"The address has {name}={_short(wanted)!r}, which {rule}")
    return False


def show_in_address(name: str, value: object, *, default: object = None) -> None:
    """Write the choice to the address, or take it out where it is the default.

    A wrong value is left there while the choice is what it was beside that value.
    """
    text = str(value)
    wanted, beside = value_of(_wrong(name), (None, None))
    if wanted is not None and wanted == st.query_params.get(name) and beside in (None, text):
        put(_wrong(name), (wanted, text))
        return
    forget(_wrong(name))
    put(_seen(name), text)
    if value == default:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != text:
        st.query_params[name] = text


def leave_address(*names: str) -> None:
    """Take values out of the address, in a callback: what the reader chose follows."""
    for name in names:
        st.query_params.pop(name, None)


def refuse_unknown(known: Iterable[str]) -> None:
    """Name the parts of the address that the page does not know."""
    names = tuple(known)
    for name in st.query_params:
        if name not in names:
            close = close_match(name, names)
            hint = f" Did you mean {close!r}?" if close else ""
            complain(f"The address asks for {_short(name)!r}, which this page does not know.{hint}")


def find_run(run_id: str) -> tuple[RunRecord | None, str]:
    """Return the run with this id, or the sentence that says that there is none and which id is close; none for ""."""
    try:
        return (get_lab().store.runs.get(run_id) if run_id else None), ""
    except RunNotFoundError as error:
        return None, str(error)


def complain(sentence: str) -> None:
    """Show a sentence about the address."""
    st.error(plain(sentence), icon=":material/link_off:")


def _hint(wanted: str, allowed: Collection[str]) -> str:
    close = close_match(wanted, allowed)
    if close:
        return f"Did you mean {close!r}?"
    return f"Choose one of: {', '.join(allowed)}." if len(allowed) <= _LISTED else "Choose another one below."


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _seen(name: str) -> str:
    return f"address.{name}"


def _wrong(name: str) -> str:
    return f"address.{name}.wrong"
