"""Attribution: which pixels are evidence for or against a class, by five methods."""

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
    with st.spinner("Computing the attribution"):
        attribution = attribution_of(*subject.key, picture.pixels, target, method)
    colours = (
        "Orange raises its logit, blue lowers it." if _signed(attribution) else "Brighter is more evidence for it."
    )
    st.markdown(f"**Attribution for {plain(subject.classes[target])}.** {words} {colours}")
    scale = "diverging" if _signed(attribution) else "viridis"
    side_by_side(
        [
            framed(paint.image_tiles(picture.pixels[None])[0], "The image"),
            framed(paint.paint(attribution.values[None], scale=scale)[0], f"{title} for {subject.classes[target]}"),
            framed(paint.blend(picture.pixels, attribution.values, scale=scale), "Over the image"),
        ]
    )
    legend(*paint.limits(attribution.values, signed=_signed(attribution)), scale)
    st.caption(_note(attribution, subject))


def _signed(attribution: Attribution) -> bool:
    """Whether values can be negative: Grad-CAM shows only evidence for the class."""
    return attribution.method != "grad-cam"


def _choose_class(subject: Subject, picture: Picture) -> int:
    options = ["answer", *range(len(subject.classes))]
    if INSIDE.read().target not in options:
        INSIDE.change(target="answer")
    target = st.selectbox(
        "Class",
        options,
        **INSIDE.widget("target"),
        format_func=lambda k: "the network's answer" if k == "answer" else subject.classes[int(k)],
    )
    if target == "answer":
        return int(probabilities_of(*subject.key, picture.pixels).argmax())
    return int(target)


def _note(attribution: Attribution, subject: Subject) -> str:
    if not attribution.values.any():
        return "According to this method, nothing in the image is evidence for this class."
    if attribution.gap is not None:
        total = f"{attribution.values.sum():.3f}"
        return (
            f"The values add up to {total}, the difference between this logit and that of a black image, within "
            f"{attribution.gap:.1g}."
        )
    unit = " per unit of input" if attribution.method in ("saliency", "smoothgrad") else ""
    return f"Computed {subject.moment.words}. Units are logits{unit}."
