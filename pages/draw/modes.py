"""What one can do on the Draw page: draw, bring a photo, play, look at the saved drawings."""

from collections.abc import Callable, Sequence

import streamlit as st

from pages.draw.game import guess_game
from pages.draw.models import Model
from pages.draw.photo import photo
from pages.draw.saved_drawings import my_drawings
from pages.draw.studio import studio
from pages.draw.view import STYLE
from pages.state.draw import DRAW

_MODES: dict[str, tuple[str, Callable[[Sequence[Model]], None]]] = {
    "Draw": (":material/draw:", studio),
    "Photo": (":material/photo_camera:", photo),
    "Guess game": (":material/casino:", guess_game),
    "My drawings": (":material/collections:", my_drawings),
}


def show_mode(models: Sequence[Model]) -> None:
    """Let the reader choose and show the choice."""
    st.html(STYLE)
    mode = st.segmented_control(
        "What to do",
        list(_MODES),
        format_func=lambda name: f"{_MODES[name][0]} {name}",
        label_visibility="collapsed",
        required=True,
        **DRAW.widget("mode"),
    )
    _MODES[mode or "Draw"][1](models)
