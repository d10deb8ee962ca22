"""The only module that reads and writes the address, and the checks of it that all pages share.

A request carries the address that the browser had when it sent the request. An address that the lab has just written
may not have reached the browser by then, and the old address would revert a choice. So an address that was replaced
within the last few seconds is taken for the current one, until a request has arrived with the current one: requests
arrive in order, so a later one with an old address is a navigation by the user. So is the browser's Back or Forward.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from lab.errors import RunNotFoundError
from lab.runs.records import RunRecord
from pages.cache.lab import get_lab
from pages.markdown import with_code
from pages.state.codec import unknown
from pages.state.session import put, value_of

_ON_ITS_WAY_S = 5.0  # by then, every browser has received an address that was written
_KEY = "address.trail"


@dataclass(frozen=True, slots=True)
class _Trail:
    """The recent addresses of a page. current: the one last seen or written.

    left: the ones before, each with the time of its replacement (monotonic, in s). by: the script run that wrote the
    current one; during it, the address says nothing about the browser's.
    """

    page: str = ""
    current: Mapping[str, str] = field(default_factory=dict)
    left: tuple[tuple[Mapping[str, str], float], ...] = ()
    by: object = None


def address() -> dict[str, str]:
    """Return the query parameters of this page, also in a callback."""
    asked, trail, context = st.query_params.to_dict(), _trail(), get_script_run_ctx()
    page = context.page_script_hash if context else ""
    arrived = asked == trail.current
    if page == trail.page and arrived and (not trail.left or trail.by is _script_run()):
        return asked
    late = not arrived and any(asked == each and time.monotonic() - at < _ON_ITS_WAY_S for each, at in trail.left)
    if page == trail.page and late and not went_back():
        asked = dict(trail.current)
        st.query_params.from_dict(asked)
        put(_KEY, replace(trail, by=_script_run()))
    else:
        put(_KEY, _Trail(page, dict(asked)))  # a copy: callers modify the returned one
    return asked


def went_back() -> bool:
    """Whether this script run was triggered by the browser's Back or Forward."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def write_address(new: Mapping[str, str]) -> None:
    """Replace the address, in a callback or while the page is drawn."""
    old = address()
    if new == old:
        return
    trail, now = _trail(), time.monotonic()
    left = (*(each for each in trail.left if now - each[1] < _ON_ITS_WAY_S), (old, now))
    put(_KEY, replace(trail, current=dict(new), left=left, by=_script_run()))
    st.query_params.from_dict(new)


def clear_address() -> None:
    """Empty the address, in a callback or before a rerun."""
    write_address({})


def _script_run() -> object:
    """Return an object that identifies this script run: Streamlit creates new cursors for each, also for fragments."""
    context = get_script_run_ctx()
    return context.cursors if context else None


def _trail() -> _Trail:
    held = value_of(_KEY)  # checked by name: after a reload of this module, it is an instance of the old class
    return cast(_Trail, held) if type(held).__name__ == "_Trail" else _Trail()


def refuse_parameters(known: Collection[str] = ()) -> None:
    """Show an error for each parameter in the address that the page does not know."""
    for name in address():
        if name not in known:
            complain(unknown(name, known))


def find_run(run_id: str) -> tuple[RunRecord | None, str]:
    """Return the run with this id and "", or None and a message with the closest id. For "", both are empty."""
    try:
        return (get_lab().holding(run_id).store.runs.get(run_id) if run_id else None), ""
    except RunNotFoundError as error:
        return None, str(error)


def complain(sentence: str) -> None:
    """Show an error about the address."""
    st.error(with_code(sentence), icon=":material/link_off:")
