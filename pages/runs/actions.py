"""Actions on the chosen runs: tag, repeat, delete (with undo), copy the link, clear the choice."""

from collections.abc import Iterable, Sequence
from functools import partial
from urllib.parse import urlencode

import streamlit as st

from lab.config.repeats import setting_key
from lab.errors import LabError
from lab.examples.catalogue import is_example
from lab.formatting import plural
from lab.runs.records import RunRecord
from pages.cache.lab import get_lab
from pages.state.codec import encode
from pages.state.keys import element
from pages.state.runs import RUNS, change_view, read_view, renew_table
from pages.state.runs_view import MAX_RUNS
from pages.state.session import close_popover, flash
from pages.widgets.frame import shows_errors
from pages.widgets.popover import action_popover
from pages.widgets.repeat import close_repeat, repeat_popover

_WATCH_S = 3.0
_TAG = element("runs-tag-box")
_PLACE = "runs"  # of the popover with repeats


def actions(runs: Sequence[RunRecord]) -> None:
    """Draw the buttons for the chosen runs; examples cannot be changed."""
    own = [run.id for run in runs if not is_example(run.id)]
    writable = bool(own) and not get_lab().settings.read_only
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with action_popover("Tag", icon=":material/sell:", disabled=not writable, key=_TAG):
            st.text_input("Tag for the chosen runs", **RUNS.widget("tag", then=partial(_tag, own)))
        repeat_popover(_settings(runs), place=_PLACE, then=_queued)
        st.button(
            "Delete",
            icon=":material/delete:",
            key=element("runs-delete"),
            disabled=not writable,
            on_click=_delete,
            args=(own,),
            help="Deleted runs can be restored for a week.",
        )
        with st.popover("Link", icon=":material/link:"):
            st.caption("Opens this view with the same runs and settings.")
            st.code(_link(), language=None, wrap_lines=True)
        st.button("Clear selection", icon=":material/close:", key=element("runs-none"), on_click=_none)


def _settings(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the first run of each distinct setting, without examples."""
    return list({setting_key(run.config): run for run in reversed(runs) if not is_example(run.id)}.values())[::-1]


def _queued(runs: tuple[str, ...]) -> None:
    """Add the repeated runs to the choice, up to the limit; folds replace the runs that held out a share."""
    view, _ = read_view()
    before = view.runs if set(view.runs) & set(runs) else ()
    change_view(runs=tuple(dict.fromkeys((*before, *runs)))[:MAX_RUNS])
    renew_table()
    close_repeat(_PLACE)
    st.rerun()


def _link() -> str:
    view, _ = read_view()
    return f"{(st.context.url or '').partition('?')[0]}?{urlencode(encode(view), safe='.:,')}"


def watch(runs: Iterable[RunRecord]) -> None:
    """Rerun the page as soon as one of the live runs changes its status."""
    live = {run.id: run.status for run in runs if run.state.live}
    if live:
        _watch(live)


@st.fragment(run_every=_WATCH_S)
@shows_errors
def _watch(live: dict[str, str]) -> None:
    now = {run.id: run.status for run in get_lab().store.runs.list(ids=live, limit=None)}
    if now != live:
        st.rerun()


def undo_box() -> None:
    """Offer to restore the runs that were deleted last."""
    deleted = RUNS.read().deleted
    if not deleted:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        words = f"{plural(len(deleted), 'run')} {'was' if len(deleted) == 1 else 'were'} deleted."
        st.markdown(f":material/delete: &nbsp;{words}", width="content")
        st.button("Undo", icon=":material/undo:", key=element("runs-undo"), on_click=_undo)
        st.button("Dismiss", key=element("runs-dismiss"), type="tertiary", on_click=_dismiss)


def _dismiss() -> None:
    RUNS.change(deleted=())


def _none() -> None:
    change_view(runs=())
    renew_table()


def _tag(runs: Sequence[str]) -> None:
    close_popover(_TAG)
    tag = RUNS.read().tag.strip()
    RUNS.change(tag="")
    if not tag:
        return
    store = get_lab().store
    try:
        for run in store.runs.list(ids=runs, limit=None):
            store.edits.set_tags(run.id, (*run.tags, tag))
        flash(f"Tagged {plural(len(runs), 'run')}.")
    except LabError as error:
        flash(str(error))
    renew_table()


def _delete(runs: Sequence[str]) -> None:
    deleted, remaining = [], []
    for run in runs:
        try:
            get_lab().store.removal.delete(run)
            deleted.append(run)
        except LabError as error:
            remaining.append(run)
            flash(str(error))
    RUNS.change(deleted=tuple(deleted))
    change_view(runs=(*remaining, *(run for run in read_view()[0].runs if is_example(run))))
    renew_table()


def _undo() -> None:
    restored = []
    for run in RUNS.read().deleted:
        try:
            get_lab().store.removal.undelete(run)
            restored.append(run)
        except LabError as error:
            flash(str(error))
    change_view(runs=tuple(restored))
    RUNS.change(deleted=())
    renew_table()
