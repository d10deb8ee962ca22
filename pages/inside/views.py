"""The views of one epoch of a run, and the image beside those that need one. Imports torch."""

import streamlit as st

from pages.inside.answers import show_answers
from pages.inside.hand import show_hand
from pages.inside.image import choose_picture, show_picture
from pages.inside.kernels import show_kernels
from pages.inside.map import show_map
from pages.inside.maps import show_maps
from pages.inside.subject import Picture, Subject
from pages.inside.why import show_why
from pages.state.inside import INSIDE, VIEWS
from pages.widgets.frame import show_errors
from pages.widgets.segments import choose_segment

_WITH_IMAGE = ("maps", "hand", "why")


def show_views(subject: Subject) -> None:
    """Draw the chosen view."""
    view = choose_segment(INSIDE, "view", VIEWS, label="View")
    with show_errors():
        if view in _WITH_IMAGE:
            _beside_image(subject, view)
        else:
            _alone(subject, view)


def _beside_image(subject: Subject, view: str) -> None:
    left, right = st.columns([1.2, 3], gap="medium")
    picture: Picture | None = None
    with left, show_errors():
        picture = choose_picture(subject)
        if picture is not None:
            show_picture(subject, picture)
    if picture is None:
        right.info("Choose a picture to see it pass through the network.", icon=":material/image:")
        return
    with right, show_errors():
        _show(subject, picture, view)


def _alone(subject: Subject, view: str) -> None:
    if view == "answers":
        show_answers(subject)
    elif view == "kernels":
        show_kernels(subject)
    else:
        show_map(subject)


def _show(subject: Subject, picture: Picture, view: str) -> None:
    if view == "maps":
        show_maps(subject, picture)
    elif view == "hand":
        show_hand(subject, picture)
    else:
        show_why(subject, picture)
