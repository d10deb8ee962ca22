"""Inside: what a trained network does, at every epoch it was kept. One slider moves everything on the page.

The address carries run, epoch, view and image, so a link opens the same picture; an uploaded one is nowhere kept.
"""

import streamlit as st

from pages.cache.torch_import import require_torch
from pages.inside.answers import show_answers
from pages.inside.image import choose_picture, show_picture
from pages.inside.kernels import show_kernels
from pages.inside.map import show_map
from pages.inside.maps import show_maps
from pages.inside.subject import Picture, Subject, choose_moment, choose_run
from pages.inside.why import show_why
from pages.state.inside import INSIDE, VIEWS
from pages.widgets.frame import page_frame, show_errors

_WITH_IMAGE = ("maps", "hand", "why")
_STYLE = """<style>
[data-testid="stLayoutWrapper"]:has(> .st-key-inside-epochs) {{ position: sticky; top: 3.75rem; z-index: 50; }}
.st-key-inside-epochs {{ background: {paper}; }}
[data-testid="stColumn"]:has(> * .st-key-inside-source) {{ flex: 1 1 15.5rem; min-width: 15.5rem; }}
[data-testid="stColumn"]:has(> * .st-key-inside-source) + [data-testid="stColumn"] {{ flex: 12 1 20rem; min-width: 20rem; }}
</style>"""


def main() -> None:
    """Draw the page."""
    page_frame("Inside", "Move the slider and watch a network learn: its maps, its filters, its mistakes.")
    INSIDE.refuse_unknown()
    st.html(_STYLE.format(paper="#10151c" if st.context.theme.type == "dark" else "#ffffff"))
    run = choose_run()
    if run is None:
        return
    with st.spinner("Loading the network"):
        require_torch()
    subject = choose_moment(run)
    if subject is None:
        return
    INSIDE.change(epoch=subject.moment.epoch)
    INSIDE.show("epoch")
    view = _choose_view()
    with show_errors():
        if view in _WITH_IMAGE:
            _beside_image(subject, view)
        else:
            _alone(subject, view)


def _choose_view() -> str:
    INSIDE.take("view")
    view = st.segmented_control(
        "View",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        required=True,
        label_visibility="collapsed",
        **INSIDE.widget("view"),
    )
    INSIDE.show("view")
    return str(view)


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
    from pages.inside.hand import show_hand  # brings torch, which is there by now

    if view == "maps":
        show_maps(subject, picture)
    elif view == "hand":
        show_hand(subject, picture)
    else:
        show_why(subject, picture)


main()
