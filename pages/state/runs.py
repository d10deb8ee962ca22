"""Keeps the Runs page's widgets, its view and the address in step: the address leads, widgets write to it.

Also remembers, for this session, the view to come back to, and the runs that were just deleted.
"""

from dataclasses import replace
from typing import Any

import streamlit as st

from pages.state.runs_address import RunsView, parse_view, view_address
from pages.state.session import forget, put, value_of

_LAST = "runs.last"
_DELETED = "runs.deleted"
_VERSION = "runs.version"


def read_view() -> tuple[RunsView, tuple[str, ...]]:
    """Return the view of the address (or, with a bare address, the last one of this session), and what it cannot have."""
    address = st.query_params.to_dict()
    if not address and value_of(_LAST):
        address = dict(value_of(_LAST))
        st.query_params.from_dict(address)
    view, complaints = parse_view(address)
    put(_LAST, view_address(view))
    return view, complaints


def change_view(**changes: Any) -> None:
    """Write some changes of the view to the address; the page follows in its next run. Runs keep their colours."""
    view, _ = parse_view(st.query_params.to_dict())
    if "runs" in changes:
        view = view.choose(changes.pop("runs"))
    address = view_address(replace(view, **changes))
    put(_LAST, address)
    st.query_params.from_dict(address)


def forget_view() -> None:
    """Have the page start from its plain list again, without the last view of this session."""
    forget(_LAST)
    renew_table()


def bind(name: str, value: Any) -> dict[str, Any]:
    """Return `key` and `on_change` of the widget for one part of the view; it shows `value`.

    A tuple in the view is a list in the widget.
    """
    key = f"runs.{name}"
    put(key, list(value) if isinstance(value, tuple) else value)
    return {"key": key, "on_change": _take, "args": (name, key)}


def _take(name: str, key: str) -> None:
    value = value_of(key)
    again = {"page": 1} if name in ("q", "sort") else {}
    change_view(**{name: tuple(value) if isinstance(value, list) else value}, **again)
    if name == "runs":  # the table would go on showing the ticks that were put in it
        renew_table()


def table_version() -> int:
    """Return a number that changes whenever the table must forget what was typed into it."""
    return int(value_of(_VERSION, 0))


def renew_table() -> None:
    """Have the table drawn anew."""
    put(_VERSION, table_version() + 1)


def just_deleted() -> tuple[str, ...]:
    """Return the ids of the runs whose deletion can be taken back with one press."""
    return tuple(value_of(_DELETED, ()))


def remember_deleted(runs: tuple[str, ...]) -> None:
    """Remember which runs were deleted last."""
    put(_DELETED, runs)
