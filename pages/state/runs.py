"""Keeps the Runs page's widgets, its view and the address in sync: the address leads, widgets write to it.

Also remembers, for this session, the last view and the runs that were just deleted.
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
    """What this session remembers in addition to the view.

    last: address of the last view. deleted: runs whose deletion can be undone. table: number of the table's widget,
    which changes to discard the edits in it. shown, typed: the table's key, and its edits that have been written.
    examples: whether they are shown. missing: chosen experiments by report. shows: for each part of the view, its last
    widgets by number, with the value that each shows.
    """

    last: Mapping[str, str] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    table: int = 0
    shown: str = ""
    typed: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    tag: str = ""
    examples: bool = True
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shows: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)


RUNS = PageState(RunsSession, key="runs")
_REPORTING = 3  # last widgets of one part that a browser may still report, although they were replaced


def read_view() -> tuple[RunsView, tuple[str, ...]]:
    """Return the view in the address (with a bare address, the last view of this session) and messages on errors."""
    last = RUNS.read().last
    if not address() and last and not went_back():
        write_address(last)
    view, complaints = parse_view(address())
    RUNS.change(last=encode(view))
    return view, complaints


def change_view(**changes: Any) -> None:
    """Write changes of the view to the address; the page applies them at its next rerun. Runs keep their colours."""
    view, _ = parse_view(address())
    if "runs" in changes:
        view = view.choose(changes.pop("runs"))
    shown = encode(replace(view, **changes))
    RUNS.change(last=shown)
    write_address(shown)


def forget_view() -> None:
    """Forget the last view of this session, so that the page starts with the plain list."""
    RUNS.change(last={})
    renew_table()


def bind(name: str, value: Any, *, offered: Collection[str] | None = None) -> dict[str, Any]:
    """Return `key` and `on_change` of the widget for one part of the view; it shows `value`.

    A tuple in the view is a list in the widget. offered: the choices, if their labels can change (`is_offered`).

    With each click, a browser sends the values of all its widgets. If something else has changed the value, such as a
    tick in the table, the browser may still send the old one, which would revert the change. So the widget is then
    replaced by one with a new key, and a report is compared with the value that the reporting widget showed (`_take`).
    """
    shows = RUNS.read().shows.get(name, {0: value})
    number = max(shows)
    if shows[number] != value:
        number += 1
    _shows(name, number, value)
    key = f"runs.{name}.{number}" if number else f"runs.{name}"
    put(key, list(value) if isinstance(value, tuple) else value)
    return {"key": key, "on_change": _take, "args": (name, number, key, offered)}


def _shows(name: str, number: int, value: Any) -> None:
    before = {n: v for n, v in RUNS.read().shows.get(name, {}).items() if n > number - _REPORTING}
    RUNS.change(shows={**RUNS.read().shows, name: {**before, number: value}})


def _take(name: str, number: int, key: str, offered: Collection[str] | None) -> None:
    """Write a widget's report to the view. For several values, apply only what the user changed in that widget."""
    value = value_of(key)
    value = tuple(value) if isinstance(value, list) else value
    shows = RUNS.read().shows.get(name, {})
    if number not in shows or value is None or value == shows[number]:
        return
    before, now = shows[number], getattr(read_view()[0], name)
    _shows(name, number, value)
    if not is_offered(value, offered):
        return
    if isinstance(value, tuple):
        stay = [one for one in now if is_offered([one], offered) and (one in value or one not in before)]
        value = tuple(dict.fromkeys([*stay, *(one for one in value if one not in before)]))
    again = {"page": 1} if name in ("q", "sort") else {}
    change_view(**{name: value}, **again)
    if name == "runs":  # the table would keep its old ticks
        renew_table()


def page_picker(page: int, pages: int) -> dict[str, Any]:
    """Return `key` and `on_change` of the table's pagination, which is a different widget on each page."""
    key = f"runs.page.{page}.{pages}"
    return {"key": key, "on_change": _turn, "args": (key,)}


def _turn(key: str) -> None:
    change_view(page=int(value_of(key, 1)))


def table_key(runs: list[str]) -> str:
    """Return the key of the table with these rows; with other rows, the table's edits are discarded."""
    key = f"runs.table.{RUNS.read().table}.{'.'.join(runs)}"
    if RUNS.read().shown != key:
        RUNS.change(shown=key, typed={})
    return key


def typed_cells(key: str) -> dict[int, dict[str, Any]]:
    """Return the cells that were edited since the last call, by row and column."""
    typed: dict[int, dict[str, Any]] = value_of(key, {}).get("edited_rows", {})
    known, unset = RUNS.read().typed, object()
    fresh = {
        at: {name: value for name, value in cells.items() if known.get(at, {}).get(name, unset) != value}
        for at, cells in typed.items()
    }
    RUNS.change(typed={at: dict(cells) for at, cells in typed.items()})
    return fresh


def renew_table() -> None:
    """Replace the table by a new one, which discards its edits."""
    RUNS.change(table=RUNS.read().table + 1)
