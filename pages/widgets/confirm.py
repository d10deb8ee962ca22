"""The confirmation before a long training: from what duration it is asked for, and its dialog."""

from collections.abc import Callable

import streamlit as st

from lab.formatting import format_duration
from pages.markdown import plain
from pages.state.keys import element
from pages.state.shared import CONFIRM, Question
from pages.widgets.frame import show_errors

LONG_S = 600.0  # a training that takes longer than this needs a confirmation


def start_unless_long(
    place: str, *, pressed: bool, seconds: Callable[[], float], act: Callable[[], None], runs: int = 1
) -> None:
    """Run `act`, which queues runs, when its button is pressed; if they take more than `LONG_S`, ask first.

    Call it at every rerun of the page, pressed or not: the dialog stays open until it is answered. place: name of the
    button. seconds: estimates the duration. act: must rerun or leave the page itself. runs: how many it queues.
    """
    if pressed:
        with st.spinner("Estimating how long it takes"):
            total = seconds()
        if total <= LONG_S:
            act()
            return
        CONFIRM.change(open=Question(place, runs, total))
    asked = CONFIRM.read().open
    if asked is not None and asked.place == place:
        _ask(runs=asked.runs, seconds=asked.seconds, act=act)


def _ask(*, runs: int, seconds: float, act: Callable[[], None]) -> None:
    duration = format_duration(seconds)

    @st.dialog(f"Start {duration} of training?", on_dismiss=_close)
    def ask() -> None:
        what = f"These {runs} runs take" if runs > 1 else "This run takes"
        after = ", one after the other" if runs > 1 else ""
        st.markdown(
            plain(
                f"{what} about {duration} on this machine{after}. Training continues when the page is closed, and can "
                "be stopped on the Train page."
            )
        )
        with st.container(horizontal=True):
            yes = st.button(f"Train for {duration}", type="primary", key=element("confirm-yes"))
            no = st.button("Cancel", key=element("confirm-no"))
        if no:
            _close()
            st.rerun()
        if yes:
            _close()
            with show_errors():
                act()

    ask()


def _close() -> None:
    CONFIRM.change(open=None)
