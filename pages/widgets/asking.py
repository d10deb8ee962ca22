"""Whose the new runs are and how they wait: the two inputs that the forms of Train and Sweeps share."""

import streamlit as st

from lab.settings import OWNER_LIMIT
from pages.cache.lab import get_lab
from pages.state.asking import ASKING


def asking_inputs() -> None:
    """Draw the two inputs, side by side where there is room."""
    with st.grid(2, min_column_width=150):
        st.text_input(
            "Owner",
            max_chars=OWNER_LIMIT,
            placeholder=get_lab().settings.owner or "no one in particular",
            help="Who asks for it. Owners take turns in the queue: the one served longest ago goes first.",
            **ASKING.widget("owner"),
        )
        st.number_input(
            "Priority",
            step=1,
            help="The highest goes first; owners take turns among runs of equal priority.",
            **ASKING.widget("priority"),
        )


def asking_label() -> str:
    """Return the title of what holds the two inputs, with how many of them say something."""
    asked = ASKING.read()
    changed = bool(asked.owner.strip()) + bool(asked.priority)
    return f"Place in the queue ({changed} changed)" if changed else "Place in the queue"
