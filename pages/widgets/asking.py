"""Owner and priority of new runs: the two inputs that the forms of Train and Sweeps share."""

import streamlit as st

from lab.settings import OWNER_LIMIT
from pages.cache.lab import get_lab
from pages.state.asking import ASKING


def asking_inputs() -> None:
    """Draw the two inputs, side by side if there is room."""
    with st.grid(2, min_column_width=150):
        st.text_input(
            "Owner",
            max_chars=OWNER_LIMIT,
            placeholder=get_lab().settings.owner or "no one in particular",
            help="Whose run it is. Owners take turns in the queue: whoever was served least recently goes first.",
            **ASKING.widget("owner"),
        )
        st.number_input(
            "Priority",
            step=1,
            help="Higher priorities go first; owners take turns among runs of equal priority.",
            **ASKING.widget("priority"),
        )


def asking_label() -> str:
    """Return the title of the section with the two inputs, with the number of inputs that are filled in."""
    asked = ASKING.read()
    changed = bool(asked.owner.strip()) + bool(asked.priority)
    return f"Place in the queue ({changed} changed)" if changed else "Place in the queue"
