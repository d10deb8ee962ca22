"""The choice of where a run or a sweep is trained, shown only if there is more than one option."""

from typing import Any

import streamlit as st

from lab.errors import ConfigError
from lab.executors.base import LOCAL
from lab.executors.config import title_of
from pages.cache.lab import get_lab
from pages.markdown import with_code
from pages.state.page_state import PageState


def executor_input(state: PageState[Any]) -> str | None:
    """Draw the choice between this lab's slots and its executors, and return it; None if there is no choice.

    state: the page's state, whose field `executor` holds the choice.
    """
    try:
        offered = [LOCAL, *get_lab().machines.jobs.executors()]
    except ConfigError as error:
        st.warning(with_code(str(error)), icon=":material/info:")
        return None
    if len(offered) == 1:
        return None
    if state.read().executor not in offered:  # an executor that the lab no longer has
        state.change(executor=LOCAL)
    st.selectbox(
        "Train on",
        offered,
        format_func=_title,
        help="An executor starts a worker for each run. Where a run is trained is not part of its settings.",
        **state.widget("executor"),
    )
    return str(state.read().executor)


def _title(executor: str) -> str:
    title = title_of(executor)
    return title[:1].upper() + title[1:]
