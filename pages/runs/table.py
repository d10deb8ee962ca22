"""The table of runs: search, sort, page, choose, and edit in place.

Filtering, sorting and paging happen in the database. Edits in the table are written run by run.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from lab.architectures.registry import arch_title
from lab.charts.data_url import svg_url
from lab.charts.style import run_style, swatch
from lab.config import FIELDS
from lab.data.registry import dataset_title
from lab.errors import LabError
from lab.formatting import percent_number, plural
from lab.runs.edits import NAME_LIMIT, NOTE_LIMIT
from lab.runs.query import KEYS, ORDERS
from lab.runs.records import RunRecord
from lab.runs.run_lookup import RunPage
from lab.sharing.comparison import config_words, differing_settings, set_options
from pages.cache.lab import get_lab
from pages.cache.runs import run_spark
from pages.markdown import with_code
from pages.registry import page_path
from pages.runs.compare import chosen_runs, shown_slots
from pages.state.keys import element
from pages.state.runs import bind, change_view, page_picker, read_view, renew_table, table_key, typed_cells
from pages.state.runs_view import MAX_RUNS, RunsView
from pages.state.session import flash
from pages.widgets.frame import show_errors
from pages.widgets.runs import STATUS_COLORS, UNREADABLE, is_named, state_width
from pages.widgets.table import number_cell, setting_cell, sortable
from pages.widgets.theme import dark

PAGE_ROWS = 25
_SHOWN_ROWS = 8  # visible without scrolling, so that the charts below the table are on the screen
_SETTING_COLUMNS = 6  # at most as many settings that differ on this page; Differences has all
_SORTS = {
    "-created": "newest first",
    "created": "oldest first",
    "-test": "best test accuracy",
    "-val": "best validation",
    "name": "name",
    "arch": "network",
    "dataset": "data set",
    "seconds": "fastest",
    "-speed": "most images per second",
    "outcome": "state and outcome",
}
_AS_SHOWN = {"arch": "network", "dataset": "data", "name": "title"}  # the table shows titles, not ids
_HELP = (
    "Accuracies are those of a run's selected weights, which Inside and Draw use too: those of the epoch with the "
    "lowest validation loss, or of the last epoch if no validation loss is finite."
)
_LAST_DATE_S = pd.Timestamp.max.timestamp() - 1


def runs_table(view: RunsView) -> tuple[RunRecord, ...]:
    """Draw the toolbar, the table and the pagination; return the readable runs of this page."""
    _toolbar(view)
    with show_errors():
        runs, total = _read(view, view.page)
        pages = max(1, -(-total // PAGE_ROWS))
        page = min(view.page, pages)
        if page != view.page:
            runs, total = _read(view, page)
        if not runs:
            _nothing(view)
            return ()
        _grid(runs, view)
        _unreadable(runs)
        _pages(view, page, pages, total)
        return tuple(run for run in runs if not run.problem)
    return ()


def _read(view: RunsView, page: int) -> RunPage:
    offset = (page - 1) * PAGE_ROWS
    return get_lab().store.runs.page(
        where=view.search, order=_order(view), limit=PAGE_ROWS, offset=offset, pinned_first=True
    )


def _order(view: RunsView) -> str:
    key = view.sort.removeprefix("-")
    return view.sort.removesuffix(key) + _AS_SHOWN.get(key, key)


def _unreadable(runs: Sequence[RunRecord]) -> None:
    """Show why some rows of the table are empty, and offer to delete those runs."""
    for run in runs:
        if not run.problem:
            continue
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(with_code(run.problem), icon=":material/heart_broken:", width="stretch")
            st.button(
                f"Delete run {run.id}",
                icon=":material/delete:",
                key=element("runs-unreadable", run.id),
                on_click=_delete,
                args=(run.id,),
                disabled=get_lab().settings.read_only,
            )


def _delete(run: str) -> None:
    try:
        get_lab().store.removal.delete(run)
    except LabError as error:
        flash(str(error))
    renew_table()


def _toolbar(view: RunsView) -> None:
    orders = _SORTS if view.sort in _SORTS else _SORTS | {view.sort: _order_words(view.sort)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Search",
            placeholder="arch:lenet* lr<0.01 tag:report-d state:finished",
            icon=":material/search:",
            help=_search_help(),
            **bind("q", view.q),
        )
        st.selectbox("Sort", list(orders), format_func=orders.__getitem__, width=230, **bind("sort", view.sort))


def _order_words(order: str) -> str:
    key = order.removeprefix("-")
    label = FIELDS[key].label.lower() if key in FIELDS and key not in ORDERS else key.replace("_", " ")
    return f"{label}, highest first" if order.startswith("-") else f"{label}, lowest first"


def _search_help() -> str:
    keys = " ".join(f"`{key}`" for key in [*KEYS, *FIELDS])
    return (
        "Words are searched for in names, notes and tags. `key:text` compares text (`*` matches anything, commas mean "
        "“or”), `key<number`, `<=`, `>`, `>=`, `=`, `!=` compare numbers, and a leading `-` negates a term. All terms "
        f"must match. Keys: {keys}."
    )


def _nothing(view: RunsView) -> None:
    with st.container(border=True):
        if view.search:
            st.markdown("**No runs match this search.**")
            st.button("Clear search", on_click=change_view, kwargs={"q": "", "page": 1})
        else:
            st.markdown("**No runs yet.** Train a network, and its run appears here.")
            st.page_link(page_path("train"), label="Train a network", icon=":material/play_circle:")


def _grid(runs: Sequence[RunRecord], view: RunsView) -> None:
    ids = [run.id for run in runs]
    key = table_key(ids)
    columns = _columns(runs)
    writable = not get_lab().settings.read_only
    st.data_editor(
        sortable(_rows(runs, view)),
        key=key,
        hide_index=True,
        width="stretch",
        height=min(len(runs), _SHOWN_ROWS) * 36 + 40,
        placeholder="–",
        column_config=columns,
        on_change=_typed,
        args=(key, ids),
        disabled=[name for name in columns if name not in _editable(writable)],
        row_height=36,
        alt=f"Table of {plural(len(runs), 'run')}: state, name, network, data set, settings that differ, and results",
    )


def _editable(writable: bool) -> tuple[str, ...]:
    return ("chosen", "pinned", "name", "tags", "note") if writable else ("chosen",)


def _rows(runs: Sequence[RunRecord], view: RunsView) -> list[dict[str, Any]]:
    slots = shown_slots(view, chosen_runs(view))
    readable = [run for run in runs if not run.problem]
    differing, options = _differing(readable), set_options(readable)
    return [
        _unreadable_row(run)
        if run.problem
        else {
            "chosen": run.id in view.runs,
            "line": _swatch(slots.get(run.id)),
            "name": run.name if is_named(run) else arch_title(run.config.arch),
            "open": f"train?run={run.id}",
            "curve": _spark(run, slots.get(run.id)),
            "state": [run.status],
            "network": arch_title(run.config.arch),
            "data": dataset_title(run.config.dataset),
            "test": percent_number(run.headline.test_accuracy),
            "val": percent_number(run.headline.val_accuracy),
            "epoch": number_cell(run.headline.epoch, run.epoch_text) if run.epoch_text else None,
            **{
                name: setting_cell(name, getattr(run.config, name), config_words(run.config, name, options=options))
                for name in differing
            },
            "seconds": run.seconds or None,
            "speed": _whole(run.summary.images_per_second),
            "created": _date(run.created_at),
            "tags": list(run.tags),
            "note": run.note,
            "pinned": run.pinned,
        }
        for run in runs
    ]


def _swatch(slot: int | None) -> str | None:
    """Return a sample of a compared run's line in the charts as a data URL, None for a run that is not compared."""
    if slot is None:
        return None
    return svg_url(swatch(run_style(slot, dark=dark())))


def _spark(run: RunRecord, slot: int | None) -> str | None:
    """Return a run's small curve as a data URL, in its chart colour if it is compared."""
    return (run_spark(run) if slot is None else run_spark(run, colour=run_style(slot, dark=dark()).colour)) or None


def _unreadable_row(run: RunRecord) -> dict[str, Any]:
    return {"chosen": False, "name": run.name or f"run {run.id}", "state": [UNREADABLE], "tags": [], "pinned": False}


def _differing(runs: Sequence[RunRecord]) -> list[str]:
    """Return the settings that have a column."""
    found = [n for n in differing_settings(runs) if n not in ("arch", "dataset") and FIELDS[n].result]
    return found[:_SETTING_COLUMNS]


def _date(moment: float) -> pd.Timestamp:
    """Return a time for a date column, NaT if it is beyond the last date of pandas, in 2262."""
    return pd.Timestamp(moment if moment < _LAST_DATE_S else math.nan, unit="s", tz="UTC")


def _whole(value: Any) -> int | None:
    return round(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _columns(runs: Sequence[RunRecord]) -> dict[str, Any]:
    column = st.column_config
    tags = sorted({tag for run in runs for tag in run.tags})
    zone = st.context.timezone or "UTC"
    return {
        "chosen": column.CheckboxColumn("Compare", pinned=True, help="Tick runs to compare them below."),
        "line": column.ImageColumn("Line", pinned=True, width=56, help="The run's line in the charts below."),
        "curve": column.ImageColumn(
            "Curve",
            width=124,
            help="Validation accuracy by epoch, each on its own scale; test accuracy of runs without validation.",
        ),
        "state": column.MultiselectColumn(
            "State",
            options=[*STATUS_COLORS, UNREADABLE],
            color=[*STATUS_COLORS.values(), "red"],
            width=state_width(UNREADABLE if run.problem else run.status for run in runs),
        ),
        "name": column.TextColumn("Name", required=True, max_chars=NAME_LIMIT),
        "network": "Network",
        "data": "Data set",
        **{name: FIELDS[name].label for name in _differing([run for run in runs if not run.problem])},
        "test": column.NumberColumn("Test", format="%.2f %%", help=_HELP),
        "val": column.NumberColumn("Validation", format="%.2f %%", help=_HELP),
        "epoch": column.Column("Selected epoch", help=_HELP, alignment="left"),
        "seconds": column.NumberColumn("Seconds", format="%.1f"),
        "speed": column.NumberColumn("Images/s", format="localized"),
        "created": column.DatetimeColumn("Date", format="D MMM YYYY, HH:mm", timezone=zone),
        "tags": column.MultiselectColumn("Tags", options=tags, accept_new_options=True),
        "note": column.TextColumn("Note", max_chars=NOTE_LIMIT),
        "pinned": column.CheckboxColumn("Pinned", help="Pinned runs stay at the top of the table."),
        "open": column.LinkColumn("Open", display_text="open"),
    }


def _typed(key: str, ids: list[str]) -> None:
    """Write the edits made in the table since the last rerun."""
    for at, cells in typed_cells(key).items():
        try:
            _apply(ids[at], cells)
        except LabError as error:
            flash(str(error))
            renew_table()


def _apply(run: str, cells: Mapping[str, Any]) -> None:
    store = get_lab().store
    for name, value in cells.items():
        if name == "chosen":
            choose(run, chosen=bool(value))
        elif name == "pinned":
            store.edits.set_pinned(run, bool(value))
        elif name == "name":
            store.edits.rename(run, str(value or ""))
        elif name == "tags":
            store.edits.set_tags(run, [str(tag) for tag in value or ()])
        elif name == "note":
            store.edits.set_note(run, str(value or ""))


def choose(run: str, *, chosen: bool) -> None:
    """Add a run to the comparison or remove it."""
    others = tuple(other for other in read_view()[0].runs if other != run)
    if chosen and len(others) >= MAX_RUNS:
        flash(f"At most {MAX_RUNS} runs can be compared at once. Remove one first.")
        renew_table()
        return
    change_view(runs=(*others, run) if chosen else others)


def _pages(view: RunsView, page: int, pages: int, total: int) -> None:
    if view.page > pages:
        complaints_box([f"The address has page={view.page}, but there are only {pages}. This is page {page}."])
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        first = (page - 1) * PAGE_ROWS + 1
        found = "found" if view.search else "in total"
        st.caption(f"{first:,}–{min(total, page * PAGE_ROWS):,} of {plural(total, 'run')} {found}", width="content")
        many = min(total, MAX_RUNS)
        st.button(
            f"Compare the first {many}" if total > many else f"Compare all {many}" if many > 1 else "Compare this run",
            icon=":material/checklist:",
            key=element("runs-all"),
            type="tertiary",
            on_click=_choose_found,
            args=(view,),
        )
        if pages > 1:
            st.pagination(pages, default=page, **page_picker(page, pages))


def _choose_found(view: RunsView) -> None:
    found = get_lab().store.runs.list(where=view.search, order=_order(view), limit=MAX_RUNS, pinned_first=True)
    change_view(runs=tuple(run.id for run in found))
    renew_table()


def complaints_box(complaints: Sequence[str]) -> None:
    """Show messages on parts of the address that were ignored."""
    if complaints:
        st.warning("  \n".join(with_code(complaint) for complaint in complaints), icon=":material/link_off:")
