"""Keeps the Runs page's widgets, its view and the address in step: the address leads, widgets write to it.

Also remembers, for this session, the view to come back to, and the runs that were just deleted.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pages.state.address import address, went_back, write_address
from pages.state.codec import encode
from pages.state.page_state import PageState, is_offered
from pages.state.runs_view import RunsView, parse_view
from pages.state.session import put, value_of


@dataclass(frozen=True, slots=True)
class RunsSession:
    """What this session remembers beside the view.

    last: address of the view to come back to. deleted: runs whose deletion can be undone. table: number of the table's
    widget, which changes when it must forget what was typed into it. shown, typed: its key and the cells that were
    written already. examples: whether they are shown. missing: chosen experiments by report.
    """

    last: Mapping[str, str] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    table: int = 0
    shown: str = ""
    typed: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    tag: str = ""
    examples: bool = True
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


RUNS = PageState(RunsSession, key="runs")


def read_view() -> tuple[RunsView, tuple[str, ...]]:
    """Return the view of the address (or, with a bare address, the last one of this session), and what it cannot have."""
    last = RUNS.read().last
    if not address() and last and not went_back():
        write_address(last)
    view, complaints = parse_view(address())
    RUNS.change(last=encode(view))
    return view, complaints


def change_view(**changes: Any) -> None:
    """Write some changes of the view to the address; the page follows in its next run. Runs keep their colours."""
    view, _ = parse_view(address())
    if "runs" in changes:
        view = view.choose(changes.pop("runs"))
    shown = encode(replace(view, **changes))
    RUNS.change(last=shown)
    write_address(shown)


def forget_view() -> None:
    """Have the page start from its plain list again, without the last view of this session."""
    RUNS.change(last={})
    renew_table()


def bind(name: str, value: Any, *, offered: Collection[str] | None = None) -> dict[str, Any]:
    """Return `key` and `on_change` of the widget for one part of the view; it shows `value`.

    A tuple in the view is a list in the widget. offered: the choices, where their labels change with what is chosen (`is_offered`).
    """
    key = f"runs.{name}"
    put(key, list(value) if isinstance(value, tuple) else value)
    return {"key": key, "on_change": _take, "args": (name, key, offered)}


def _take(name: str, key: str, offered: Collection[str] | None) -> None:
    value = value_of(key)
    if not is_offered(value, offered):
        return
    again = {"page": 1} if name in ("q", "sort") else {}
    change_view(**{name: tuple(value) if isinstance(value, list) else value}, **again)
    if name == "runs":  # the table would go on showing the ticks that were put in it
        renew_table()


def page_picker(page: int, pages: int) -> dict[str, Any]:
    """Return `key` and `on_change` of the table's pagination, which is another widget on each page."""
    key = f"runs.page.{page}.{pages}"
    return {"key": key, "on_change": _turn, "args": (key,)}


def _turn(key: str) -> None:
    change_view(page=int(value_of(key, 1)))


def table_key(runs: list[str]) -> str:
    """Return the key of the table with these rows; with other rows it forgets what was typed into it."""
    key = f"runs.table.{RUNS.read().table}.{'.'.join(runs)}"
    if RUNS.read().shown != key:
        RUNS.change(shown=key, typed={})
    return key


def typed_cells(key: str) -> dict[int, dict[str, Any]]:
    """Return the cells that were typed into the table since the last call, by row and column."""
    typed: dict[int, dict[str, Any]] = value_of(key, {}).get("edited_rows", {})
    known, unset = RUNS.read().typed, object()
    fresh = {
        at: {name: value for name, value in cells.items() if known.get(at, {}).get(name, unset) != value}
        for at, cells in typed.items()
    }
    RUNS.change(typed={at: dict(cells) for at, cells in typed.items()})
    return fresh


def renew_table() -> None:
    """Have the table drawn anew."""
    RUNS.change(table=RUNS.read().table + 1)
