"""The modes of the Draw page: draw, upload a photo, play the guess game, or see the saved drawings."""

from collections.abc import Callable, Sequence

import streamlit as st

from pages.draw.game import guess_game
from pages.draw.models import Model
from pages.draw.photo import photo
from pages.draw.saved_drawings import my_drawings
from pages.draw.studio import studio
from pages.draw.view import STYLE
from pages.state.draw import DRAW, MODES

_ICONS = (":material/draw:", ":material/photo_camera:", ":material/casino:", ":material/collections:")
_SHOWN: tuple[Callable[[Sequence[Model]], None], ...] = (studio, photo, guess_game, my_drawings)
_MODES = dict(zip(MODES, zip(_ICONS, _SHOWN, strict=True), strict=True))


def show_mode(models: Sequence[Model]) -> None:
    """Draw the choice of the mode, and the chosen mode."""
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
