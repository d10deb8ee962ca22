"""What every page may ask of its address beside its own fields; a run is named by its id."""

from collections.abc import Collection

import streamlit as st

from lab.errors import RunNotFoundError
from lab.runs.records import RunRecord
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.state.codec import unknown


def clear_address() -> None:
    """Empty the address, in a callback or before a rerun."""
    st.query_params.clear()


def refuse_parameters(known: Collection[str] = ()) -> None:
    """Name the parts of the address that the page does not know."""
    for name in st.query_params:
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
    st.error(plain(sentence), icon=":material/link_off:")
