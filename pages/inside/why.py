"""Why this answer: pixels that speak for or against a class, by five methods."""

import streamlit as st

from lab.charts import tiles as paint
from lab.inspection.attribution import METHODS, PASSES, Attribution
from pages.cache.inspection import attribution_of, probabilities_of
from pages.inside.figures import framed, legend, side_by_side
from pages.inside.subject import Picture, Subject
from pages.markdown import plain
from pages.state.inside import INSIDE
from pages.state.keys import element
from pages.widgets.waiting import worth_waiting


def show_why(subject: Subject, picture: Picture) -> None:
    """Show one method's map for the predicted or a chosen class."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        method = str(
            st.selectbox(
                "Method",
                list(METHODS),
                format_func=lambda m: METHODS[m][0],
                **INSIDE.widget("method"),
            )
        )
    with right:
        target = _choose_class(subject, picture)
    title, words = METHODS[method]
    if not worth_waiting(
        subject.run, passes=PASSES[method], what=title, key=element("why", method, subject.moment.digest)
    ):
        return
    with st.spinner("Asking the network"):
        told = attribution_of(*subject.key, picture.pixels, target, method)
    against = "orange speaks for it, blue against it" if _signed(told) else "the brighter, the more it speaks for it"
    st.markdown(f"**Which pixels speak for {plain(subject.classes[target])}?** {words} Here {against}.")
    scale = "diverging" if _signed(told) else "viridis"
    side_by_side(
        [
            framed(paint.image_tiles(picture.pixels[None])[0], "The image"),
            framed(paint.paint(told.values[None], scale=scale)[0], f"{title} for {subject.classes[target]}"),
            framed(paint.blend(picture.pixels, told.values, scale=scale), "Over the image"),
        ]
    )
    legend(*paint.limits(told.values, signed=_signed(told)), scale)
    st.caption(_note(told, subject))


def _signed(told: Attribution) -> bool:
    """Whether values can speak against the class: Grad-CAM shows only what speaks for it."""
    return told.method != "grad-cam"


def _choose_class(subject: Subject, picture: Picture) -> int:
    options = ["answer", *range(len(subject.classes))]
    if INSIDE.read().target not in options:
        INSIDE.change(target="answer")
    target = st.selectbox(
        "For the class",
        options,
        **INSIDE.widget("target"),
        format_func=lambda k: "the answer given" if k == "answer" else subject.classes[int(k)],
    )
    if target == "answer":
        return int(probabilities_of(*subject.key, picture.pixels).argmax())
    return int(target)


def _note(told: Attribution, subject: Subject) -> str:
    if not told.values.any():
        return "Nothing in the image speaks for this class by this method."
    if told.gap is not None:
        total = f"{told.values.sum():.3f}"
        return f"The values add up to {total}: the logit's distance from a black image's, within {told.gap:.1g}."
    unit = " per unit of input" if told.method in ("saliency", "smoothgrad") else ""
    return f"Computed {subject.moment.words}. Units are logits{unit}."
