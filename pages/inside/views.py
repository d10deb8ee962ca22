"""The views of one epoch of a run, and the image next to those that need one. Imports torch."""

from collections.abc import Callable, Mapping

import streamlit as st

from pages.inside.answers import show_answers
from pages.inside.gradients import show_gradients
from pages.inside.hand import show_hand
from pages.inside.image import choose_picture, show_picture
from pages.inside.kernels import show_kernels
from pages.inside.map import show_map
from pages.inside.maps import show_maps
from pages.inside.network import show_whole_network
from pages.inside.robustness import show_robustness
from pages.inside.step import show_step
from pages.inside.subject import Picture, Subject
from pages.inside.why import show_why
from pages.state.inside import INSIDE, VIEWS, leave_other_views
from pages.widgets.frame import show_errors
from pages.widgets.segments import choose_segment

_BESIDE_IMAGE: Mapping[str, Callable[[Subject, Picture], None]] = {
    "maps": show_maps,
    "hand": show_hand,
    "why": show_why,
}
_WITH_IMAGE: Mapping[str, Callable[[Subject, Picture], None]] = {
    "network": show_whole_network,
    "robustness": show_robustness,
}
_ALONE: Mapping[str, Callable[[Subject], None]] = {
    "kernels": show_kernels,
    "gradients": show_gradients,
    "step": show_step,
    "answers": show_answers,
    "map": show_map,
}


def show_views(subject: Subject) -> None:
    """Draw the chosen view."""
    view = choose_segment(INSIDE, "view", VIEWS, label="View")
    leave_other_views(view)
    with show_errors():
        if view in _ALONE:
            _ALONE[view](subject)
        else:
            _with_image(subject, view)


def _with_image(subject: Subject, view: str) -> None:
    """Draw the choice of an image, the image and the view. Views of `_WITH_IMAGE` show image and answer themselves."""
    picture: Picture | None = None
    with show_errors():
        picture = choose_picture(subject)
    if picture is None:
        return
    if view in _WITH_IMAGE:
        _WITH_IMAGE[view](subject, picture)
        return
    left, right = st.columns([1.2, 3], gap="medium")
    with left, show_errors():
        show_picture(subject, picture)
    with right, show_errors():
        _BESIDE_IMAGE[view](subject, picture)
