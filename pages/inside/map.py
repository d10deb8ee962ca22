"""The test images' features in the last hidden layer, projected to two dimensions; a lasso makes a gallery."""

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.errors import InputError
from lab.formatting import plural
from lab.inspection.embedding import align
from lab.inspection.metrics import Answers
from pages.cache.inspection import answers_of, points_of
from pages.components.scatter import scatter
from pages.inside.answers import may_ask, show_gallery
from pages.inside.subject import Moment, Subject
from pages.state.inside import INSIDE

_METHODS = {"pca": "PCA", "tsne": "t-SNE"}
_COUNTS = (300, 1_000, 2_000)
_MAX = 60  # images of the gallery


def show_map(subject: Subject) -> None:
    """Draw the map of images, and the gallery of those selected with the lasso."""
    method, count = _choose(subject)
    dataset = subject.run.config.dataset
    if not may_ask(subject):  # the mistakes among the points are marked, which needs the answers
        return
    with st.spinner("Placing the images"):
        points = _places(subject, method, count)
        answers = answers_of(*subject.key, dataset)
    wrong = ~answers.right[:count]
    drawn = f"{subject.run.id} {method} {count}"  # a lasso selection is valid for this map only
    scatter(
        "inside-scatter",
        points,
        paint.pack(paint.image_tiles(subject.dataset.test_images[:count])),
        labels=answers.labels[:count].tolist(),
        wrong=wrong.tolist(),
        notes=_notes(answers, subject.classes, count),
        classes=subject.classes,
        method=drawn,
        on_caught=lambda found: INSIDE.change(caught=(drawn, tuple(found))),
        words=f"{plural(count, 'test image')} by position in the last hidden layer, {wrong.sum()} of them misread",
    )
    st.caption(
        f"The first {count:,} test images {subject.moment.words}. Images that the last hidden layer finds similar are "
        f"close together. Large framed points are errors: {int(wrong.sum()):,} of {count:,}. Draw a lasso around "
        "points to see their images."
    )
    of, found = INSIDE.read().caught
    if found and of == drawn:
        _caught(subject, answers, np.asarray(found, int))


def _choose(subject: Subject) -> tuple[str, int]:
    """Return the projection and the number of images."""
    columns = st.columns([1, 1, 2], vertical_alignment="bottom")
    with columns[0]:
        method = st.selectbox(
            "Projection",
            list(_METHODS),
            format_func=_METHODS.__getitem__,
            **INSIDE.widget("projection"),
        )
    with columns[1]:
        available = len(subject.dataset.test_images)
        options = sorted({*(n for n in _COUNTS if n < available), min(available, _COUNTS[-1])})
        if INSIDE.read().points not in options:
            INSIDE.change(points=options[min(1, len(options) - 1)])
        count = st.selectbox("Images", options, format_func="{:,}".format, **INSIDE.widget("points"))
    return str(method), int(count)


def _places(subject: Subject, method: str, count: int) -> np.ndarray:
    """Return the images' positions (count, 2) within [-1, 1], aligned with those of the last epoch that has any."""

    def at(moment: Moment) -> np.ndarray | None:
        return points_of(subject.run.id, moment.digest, subject.run.config.dataset, count, method)

    points = at(subject.moment)
    if points is None:
        raise InputError(
            f"The network's activations {subject.moment.words} are not finite because its training diverged. Choose an "
            "earlier epoch."
        )
    last = next(found for moment in reversed(subject.moments) if (found := at(moment)) is not None)
    points = align(points, last)
    return np.asarray(points / max(1e-9, float(np.abs(points).max())))


def _notes(answers: Answers, names: tuple[str, ...], count: int) -> list[str]:
    pairs = zip(answers.labels[:count], answers.predicted[:count])
    return [
        f"{names[t]}, test image {k}" if t == a else f"{names[t]} read as {names[a]}, test image {k}"
        for k, (t, a) in enumerate(pairs)
    ]


def _caught(subject: Subject, answers: Answers, caught: np.ndarray) -> None:
    """Show the images in the lasso, only the least confident ones if there are too many."""
    st.header(f"{plural(len(caught), 'image')} in the lasso", anchor=False)
    if len(caught) > _MAX:
        st.caption(f"The {_MAX} least confident of them.")
        caught = caught[np.argsort(answers.confidence[caught], kind="stable")][:_MAX]
    show_gallery("inside-caught", subject, answers, caught)
