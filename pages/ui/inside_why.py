"""Why this answer: pixels that speak for or against a class, by five methods."""

import streamlit as st

from lab.charts import tiles as paint
from pages.ui.frame import plain
from pages.ui.inside_figures import framed, legend, side_by_side
from pages.ui.inside_subject import Picture, Subject
from pages.ui.looking import attribution_of, probabilities_of
from pages.ui.state import put, value_of


def show_why(subject: Subject, picture: Picture) -> None:
    """Show one method's map for the predicted or a chosen class."""
    from lab.inspection.attribution import METHODS

    probabilities = probabilities_of(*subject.key, picture.pixels)
    predicted = int(probabilities.argmax())
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        put("inside.method", value_of("inside.method", "saliency"))
        method = st.selectbox(
            "Method", list(METHODS), format_func=lambda m: METHODS[m][0], key="inside.method", persist_state="session"
        )
    with right:
        options = ["answer", *range(len(subject.classes))]
        if value_of("inside.target", "answer") not in options:
            put("inside.target", "answer")
        target = st.selectbox(
            "For the class", options, key="inside.target", persist_state="session",
            format_func=lambda k: "the answer given" if k == "answer" else subject.classes[int(k)],
        )  # fmt: skip
    chosen = predicted if target == "answer" else int(target)
    with st.spinner("Asking the network"):
        told = attribution_of(*subject.key, picture.pixels, chosen, str(method))
    values = told.values
    signed = method != "grad-cam"
    scale = "diverging" if signed else "viridis"
    name = plain(subject.classes[chosen])
    against = "orange speaks for it, blue against it" if signed else "the brighter, the more it speaks for it"
    st.markdown(f"**Which pixels speak for {name}?** {METHODS[str(method)][1]} Here {against}.")
    title = METHODS[str(method)][0]
    side_by_side(
        [
            framed(paint.digits(picture.pixels[None])[0], "The image"),
            framed(paint.paint(values[None], scale=scale)[0], f"{title} for {subject.classes[chosen]}"),
            framed(paint.blend(picture.pixels, values, scale=scale), "Over the image"),
        ]
    )
    legend(*paint.limits(values, signed=signed), scale)
    if not values.any():
        st.caption("Nothing in the image speaks for this class by this method.")
    elif told.gap is not None:
        st.caption(
            f"The values add up to {values.sum():.3f}: the logit's distance from a black image's, within {told.gap:.1g}."
        )
    else:
        st.caption(
            f"Computed by Captum, {subject.moment.words}. Units are logits{' per unit of input' if signed else ''}."
        )
