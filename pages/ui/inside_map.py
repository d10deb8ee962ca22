"""The test images as the last hidden layer sees them, in two dimensions; a lasso makes a gallery."""

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from pages.ui.inside_answers import show_gallery
from pages.ui.inside_subject import Subject
from pages.ui.looking import answers_of, points_of
from pages.ui.parts import scatter
from pages.ui.state import put, value_of

_CAUGHT = "inside.caught"
_METHODS = {"pca": "PCA", "tsne": "t-SNE"}
_COUNTS = (300, 1_000, 2_000)
_MOST = 60  # images of a gallery


def show_map(subject: Subject) -> None:
    """Draw the map of images and the gallery of those a lasso caught."""
    from lab.inspection.embedding import align

    columns = st.columns([1, 1, 2], vertical_alignment="bottom")
    with columns[0]:
        method = str(st.selectbox("Projection", list(_METHODS), format_func=_METHODS.__getitem__,
                                  key="inside.projection", persist_state="session"))  # fmt: skip
    with columns[1]:
        available = len(subject.dataset.test_images)
        options = [n for n in _COUNTS if n < available] + ([available] if available < _COUNTS[-1] else [])
        if value_of("inside.points") not in options:
            put("inside.points", options[min(1, len(options) - 1)])
        count = int(st.selectbox("Images", options, key="inside.points", persist_state="session"))
    dataset = subject.run.config.dataset
    with st.spinner("Placing the images"):
        last = points_of(subject.run.id, subject.last.digest, dataset, count, method)
        points = align(points_of(*subject.key, dataset, count, method), last)
        answers = answers_of(*subject.key, dataset)
    points = points / max(1e-9, float(np.abs(points).max()))
    labels, predicted = answers.labels[:count], answers.predicted[:count]
    names = subject.classes
    notes = [
        f"{names[t]}, test image {k}" if t == a else f"{names[t]} read as {names[a]}, test image {k}"
        for k, (t, a) in enumerate(zip(labels, predicted))
    ]
    wrong = int((labels != predicted).sum())
    scatter(
        "inside-scatter", points, paint.pack(paint.digits(subject.dataset.test_images[:count])),
        labels=labels.tolist(), wrong=(labels != predicted).tolist(), notes=notes, classes=names,
        method=f"{subject.run.id} {method} {count}", on_caught=lambda found: put(_CAUGHT, found),
        words=f"{count} test images by their place in the last hidden layer, {wrong} of them read wrongly",
    )  # fmt: skip
    st.caption(
        f"The first {count:,} test images {subject.moment.words}: near each other is what the last hidden layer finds "
        f"alike. The {wrong} large framed points are mistakes. Draw a lasso to see the images in it."
    )
    caught = np.asarray([k for k in value_of(_CAUGHT, []) or [] if k < count], int)
    if len(caught):
        st.subheader(f"{len(caught)} images in the lasso", anchor=False)
        if len(caught) > _MOST:
            st.caption(f"The {_MOST} least sure of them.")
            caught = caught[np.argsort(answers.confidence[caught], kind="stable")][:_MOST]
        show_gallery("inside-caught", subject, answers, caught)
