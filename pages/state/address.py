"""Reading and writing the address, which nobody else does, and what every page may ask of it beside its own fields; a run is named by its id.

A request carries the address that the browser had when it was sent. What the lab wrote a moment ago may not have reached
it by then, and the old address would take a choice back. So an address that was replaced within the last seconds means the
one that stands now, until a request has come with that one: requests come in their order, and what comes after it is where
the reader went. So is what the browser's own Back or Forward asks for.
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

_ON_ITS_WAY_S = 5.0  # after this long every browser has the address that was written
_KEY = "address.trail"


@dataclass(frozen=True, slots=True)
class _Trail:
    """What a page's address was. stands: last seen or written. left: those before it, with the time (monotonic s) of its replacement.

    by: the run of the script that wrote it, in which the address says nothing about the browser's.
    """

    page: str = ""
    stands: Mapping[str, str] = field(default_factory=dict)
    left: tuple[tuple[Mapping[str, str], float], ...] = ()
    by: object = None


def address() -> dict[str, str]:
    """Return the address of this page, in a callback too."""
    asked, trail, context = st.query_params.to_dict(), _trail(), get_script_run_ctx()
    page = context.page_script_hash if context else ""
    arrived = asked == trail.stands
    if page == trail.page and arrived and (not trail.left or trail.by is _script_run()):
        return asked
    late = not arrived and any(asked == each and time.monotonic() - at < _ON_ITS_WAY_S for each, at in trail.left)
    if page == trail.page and late and not went_back():
        asked = dict(trail.stands)
        st.query_params.from_dict(asked)
        put(_KEY, replace(trail, by=_script_run()))
    else:
        put(_KEY, _Trail(page, dict(asked)))  # a copy: callers change what they are given
    return asked


def went_back() -> bool:
    """Whether this run of the page was asked for with the browser's Back or Forward."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def write_address(new: Mapping[str, str]) -> None:
    """Replace the address, in a callback or while the page is drawn."""
    old = address()
    if new == old:
        return
    trail, now = _trail(), time.monotonic()
    left = (*(each for each in trail.left if now - each[1] < _ON_ITS_WAY_S), (old, now))
    put(_KEY, replace(trail, stands=dict(new), left=left, by=_script_run()))
    st.query_params.from_dict(new)


def clear_address() -> None:
    """Empty the address, in a callback or before a rerun."""
    write_address({})


def _script_run() -> object:
    """Return what stands for this run of the script: Streamlit makes new cursors for each, of a fragment too."""
    context = get_script_run_ctx()
    return context.cursors if context else None


def _trail() -> _Trail:
    held = value_of(_KEY)  # told by name: after a reload of this module a session holds one of the class before
    return cast(_Trail, held) if type(held).__name__ == "_Trail" else _Trail()


def refuse_parameters(known: Collection[str] = ()) -> None:
    """Name the parts of the address that the page does not know."""
    for name in address():
        if name not in known:
            complain(unknown(name, known))


def find_run(run_id: str) -> tuple[RunRecord | None, str]:
    """Return the run with this id, or the sentence that says that there is none and which id is close; none for ""."""
    try:
        return (get_lab().holding(run_id).store.runs.get(run_id) if run_id else None), ""
    except RunNotFoundError as error:
        return None, str(error)


def complain(sentence: str) -> None:
    """Show a sentence about the address."""
    st.error(with_code(sentence), icon=":material/link_off:")
