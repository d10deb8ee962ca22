"""The live runs on the Train page: those in training, then the queue in its order, with buttons that change it."""

from collections.abc import Sequence

import streamlit as st

from lab.formatting import plural
from lab.runs.queue_moves import Move
from lab.runs.records import SILENT, RunRecord, RunState
from pages.cache.lab import get_lab
from pages.state.keys import element
from pages.state.session import close_popover, flash
from pages.state.train import TRAIN
from pages.widgets.frame import show_errors, shows_errors
from pages.widgets.popover import action_popover
from pages.widgets.runs import REFRESH_S, run_line, words_apart

_SHOWN = 6  # lines; a button shows the others
_MAX = 100  # lines on one page at most; `python -m lab queue` has no limit
_HEIGHT_PX = 420
_STOP = element("queue-stop")
_MOVES = (
    (Move.FRONT, "First", ":material/vertical_align_top:"),
    (Move.UP, "Up", ":material/arrow_upward:"),
    (Move.DOWN, "Down", ":material/arrow_downward:"),
)


def live_runs() -> None:
    """Draw the live runs, if there are any, and keep them up to date."""
    if get_lab().store.queue.list(limit=1):
        st.fragment(_queue, run_every=REFRESH_S)()


@shows_errors
def _queue() -> None:
    store = get_lab().store
    everything = TRAIN.read().whole_queue
    runs = store.queue.list(limit=_MAX if everything else _SHOWN)
    if not runs:
        st.rerun()  # nothing is left to refresh
    waiting = store.queue.count_queued()
    total = max(len(runs), waiting + sum(run.state is not RunState.QUEUED for run in runs))
    silent = sum(run.silent for run in runs)
    with st.container(border=True, key=element("queue")):
        _head(total, waiting, silent)
        with st.container(height=_HEIGHT_PX if everything and len(runs) > _SHOWN else "content", border=False):
            _lines(runs, waiting)
        if total > _SHOWN:
            label = "Show fewer" if everything else f"Show all {total}"
            st.button(label, key=element("queue-more"), type="tertiary", on_click=_show_all, args=(not everything,))
        if everything and total > len(runs):
            st.caption(f"Only the first {len(runs)} of {total:,} are shown; `python -m lab queue` lists all.")


def _show_all(whole: bool) -> None:
    TRAIN.change(whole_queue=whole)


def _head(total: int, waiting: int, silent: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{queue_words(total, waiting, silent=silent)}**", width="content")
        stop = action_popover("Stop all", icon=":material/stop:", disabled=get_lab().settings.read_only, key=_STOP)
    with stop:
        what = "this run" if total == 1 else f"these {total} runs"
        st.markdown(f"Stop {what}? Weights of finished epochs are kept, and each run can be resumed.")
        st.button(f"Stop {what}", key=element("queue-stop-all"), type="primary", on_click=_stop_all)


def queue_words(total: int, waiting: int, *, silent: int = 0) -> str:
    """Return a text such as "1 run is training, 4 are queued". silent: runs whose worker does not respond."""
    numbers = ((total - waiting - silent, "training"), (silent, SILENT), (waiting, "queued"))
    (first, what), *others = [(count, word) for count, word in numbers if count]
    words = [f"{plural(first, 'run')} {_is(first)} {what}", *(f"{count} {_is(count)} {word}" for count, word in others)]
    return ", ".join(words)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _stop_all() -> None:
    close_popover(_STOP)
    with show_errors():
        stopped = len(get_lab().store.queue.stop_all())
        flash("1 run was stopped." if stopped == 1 else f"{stopped} runs were stopped.")


def _lines(runs: Sequence[RunRecord], waiting: int) -> None:
    place, apart = 0, words_apart(runs)
    for run in runs:
        queued = run.state is RunState.QUEUED
        place += queued
        with st.container(
            horizontal=True,
            vertical_alignment="center",
            horizontal_alignment="distribute",
            key=element("queue-line", run.id),
        ):
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                if queued:
                    st.caption(f"{place}.", width="content")
                run_line(run, key=element("live-line", run.id), apart=_facts(apart.get(run.id, ""), asked_words(run)))
            if queued:
                _buttons(run, place, last=waiting)


def asked_words(run: RunRecord) -> str:
    """Return a run's owner and, while it is queued, its priority, such as "ann · priority 2"."""
    return _facts(run.owner, f"priority {run.priority}" if run.priority and run.state is RunState.QUEUED else "")


def _facts(*facts: str) -> str:
    return " · ".join(fact for fact in facts if fact)


def _buttons(run: RunRecord, place: int, *, last: int) -> None:
    with st.container(horizontal=True, width="content", gap="small"):
        for move, label, icon in _MOVES:
            idle = place == last if move is Move.DOWN else place == 1
            st.button(
                label,
                icon=icon,
                key=element("queue", move, run.id),
                type="tertiary",
                on_click=_move,
                args=(run.id, move),
                disabled=idle or get_lab().settings.read_only,
            )


def _move(run: str, move: Move) -> None:
    with show_errors():
        get_lab().store.queue.move(run, move)
