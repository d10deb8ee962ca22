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
    written already. examples: whether they are shown. missing: chosen experiments by report. shows: of each part of the
    view, its last widgets by number, and what each shows.
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
_REPORTING = 3  # widgets of one part, replaced within a moment, that a browser may still report


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

    With each click a browser sends what all its widgets show. Where something else has changed the value, such as a tick in
    the table, that may still be the old one, which would take the change back. So the widget is another one then, with a
    new key, and what is reported is compared with what the reporting one showed (`_take`).
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
    """Write what a widget reports to the view; of one that was replaced, and of several values, what was changed in it."""
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
