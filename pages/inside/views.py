"""The views of one epoch of a run, and the image next to those that need one. Imports torch."""

import streamlit as st

from pages.inside.answers import show_answers
from pages.inside.hand import show_hand
from pages.inside.image import choose_picture, show_picture
from pages.inside.kernels import show_kernels
from pages.inside.map import show_map
from pages.inside.maps import show_maps
from pages.inside.network import show_whole_network
from pages.inside.step import show_step
from pages.inside.subject import Picture, Subject
from pages.inside.why import show_why
from pages.state.inside import INSIDE, VIEWS, leave_other_views
from pages.widgets.frame import show_errors
from pages.widgets.segments import choose_segment

_WITH_IMAGE = ("network", "maps", "hand", "why")


def show_views(subject: Subject) -> None:
    """Draw the chosen view."""
    view = choose_segment(INSIDE, "view", VIEWS, label="View")
    leave_other_views(view)
    with show_errors():
        if view in _WITH_IMAGE:
            _with_image(subject, view)
        else:
            _alone(subject, view)


def _with_image(subject: Subject, view: str) -> None:
    """Draw the choice of an image, the image and the view. The whole network shows image and answer itself."""
    picture: Picture | None = None
    with show_errors():
        picture = choose_picture(subject)
    if picture is None:
        return
    if view == "network":
        show_whole_network(subject, picture)
        return
    left, right = st.columns([1.2, 3], gap="medium")
    with left, show_errors():
        show_picture(subject, picture)
    with right, show_errors():
        _show(subject, picture, view)


def _alone(subject: Subject, view: str) -> None:
    if view == "answers":
        show_answers(subject)
    elif view == "kernels":
        show_kernels(subject)
    elif view == "step":
        show_step(subject)
    else:
        show_map(subject)


def _show(subject: Subject, picture: Picture, view: str) -> None:
    if view == "maps":
        show_maps(subject, picture)
    elif view == "hand":
        show_hand(subject, picture)
    else:
        show_why(subject, picture)
