"""Evaluation over the whole test set: confusion matrix, galleries, metrics per class, calibration."""

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.charts.calibration import calibration_figure
from lab.errors import InputError
from lab.formatting import format_loss, format_percent, percent_number, plural
from lab.inspection.metrics import (
    Answers,
    EvaluationReport,
    as_rates,
    find_cell,
    least_confident_correct,
    most_confident_errors,
    report,
)
from pages.cache.inspection import answers_of
from pages.components.matrix import matrix
from pages.components.plot import plot
from pages.components.tiles import Tile, tiles
from pages.inside.subject import Subject
from pages.markdown import plain
from pages.state.inside import INSIDE, look_at
from pages.state.keys import element
from pages.widgets.theme import dark
from pages.widgets.waiting import worth_waiting

_BESIDE = 12  # up to as many classes, the gallery fits next to the matrix
_GALLERIES = {"mistakes": "Errors", "shaky": "Correct", "cell": "Cell"}
_SHOWN = 70  # images of a gallery: about as high as the column next to it


def show_answers(subject: Subject) -> None:
    """Draw the view."""
    if not may_ask(subject):
        return
    with st.spinner("Classifying every test image"):
        answers = answers_of(*subject.key, subject.run.config.dataset)
    if not answers.answered.all():
        raise InputError(
            f"The outputs for {int((~answers.answered).sum()):,} of {len(answers.labels):,} test images "
            f"{subject.moment.words} are not finite because the training diverged. Choose an earlier epoch."
        )
    evaluation = report(answers, classes=subject.classes)
    _totals(evaluation, answers)
    # A large matrix needs the whole width, with the gallery below it. The page's style places the columns.
    beside = len(subject.classes) <= _BESIDE
    with st.container(key=element("inside-answers", "beside" if beside else "below")):
        with st.container():
            _matrix(subject, evaluation)
        with st.container(key=element("inside-matrix-gallery")):
            _gallery(subject, answers)
        with st.container():
            _per_class(evaluation)
        with st.container():
            _calibration(evaluation)


def may_ask(subject: Subject) -> bool:
    """Return whether to classify the whole test set: if it is quick, or if the user accepts the wait."""
    images = len(subject.dataset.test_images)
    return worth_waiting(
        subject.run,
        passes=images,
        what=f"Classifying all {images:,} test images",
        key=element("answers", subject.moment.digest),
    )


def _totals(evaluation: EvaluationReport, answers: Answers) -> None:
    wrong = int((~answers.right).sum())
    facts = [
        ("Test accuracy", format_percent(evaluation.accuracy)),
        ("Errors", f"{wrong:,}"),
        ("Images", f"{evaluation.images:,}"),
        ("Cross-entropy", format_loss(evaluation.loss)),  # also if the run minimised another loss, as on Train and Runs
        ("Calibration error", format_percent(evaluation.calibration.ece)),
    ]
    with st.grid(min_column_width=130, key=element("inside-totals")):
        for label, value in facts:
            st.metric(label, value)


def _matrix(subject: Subject, evaluation: EvaluationReport) -> None:
    st.header("Confusion", anchor=False)
    shares = st.toggle("Per cent of each class", **INSIDE.widget("rates"))
    rates = [[None if np.isnan(rate) else rate for rate in row] for row in as_rates(evaluation.confusion).tolist()]
    matrix(
        "inside-matrix",
        classes=subject.classes,
        counts=evaluation.confusion.tolist(),
        rates=rates,
        as_rates=shares,
        chosen=INSIDE.read().cell,
        caption="Rows: true class. Columns: predicted class. Click a cell to see its images.",
        on_pick=_pick_cell,
    )


def _pick_cell(truth: int, answer: int) -> None:
    INSIDE.change(cell=(truth, answer), gallery="cell")


def _gallery(subject: Subject, answers: Answers) -> None:
    st.header("Images", anchor=False)
    which = st.segmented_control(
        "Images",
        list(_GALLERIES),
        format_func=_GALLERIES.__getitem__,
        required=True,
        label_visibility="collapsed",
        **INSIDE.widget("gallery"),
    )
    found, words = _found(subject, answers, str(which))
    st.caption(words)
    show_gallery("inside-gallery", subject, answers, found)


def _found(subject: Subject, answers: Answers, which: str) -> tuple[np.ndarray, str]:
    if which == "mistakes":
        found = most_confident_errors(answers, limit=_SHOWN)
        count = int((answers.answered & ~answers.right).sum())
        if not count:
            return found, "There are no errors at this epoch."
        return found, f"{plural(count, 'error')}{_some(found, count)}, most confident first: truth → answer."
    if which == "shaky":
        found, count = least_confident_correct(answers, limit=_SHOWN), int(answers.right.sum())
        return found, f"{count:,} correct{_some(found, count)}, least confident first."
    cell = INSIDE.read().cell
    if cell is None or max(cell) >= len(subject.classes):  # a cell of a run with more classes
        return np.zeros(0, int), "Click a cell of the matrix to see its images."
    found = find_cell(answers, truth=cell[0], answer=cell[1], limit=_SHOWN)
    truth, answer = (plain(subject.classes[k]) for k in cell)
    verb = "read correctly" if cell[0] == cell[1] else f"read as **{answer}**"
    count = int(((answers.labels == cell[0]) & (answers.predicted == cell[1])).sum())
    if not count:
        return found, f"No **{truth}** was {verb}."
    return found, f"**{truth}** {verb}: {plural(count, 'image')}{_some(found, count)}, most confident first."


def _some(found: np.ndarray, count: int) -> str:
    return f", {len(found)} shown" if count > len(found) else ""


def show_gallery(key: str, subject: Subject, answers: Answers, found: np.ndarray) -> None:
    """Show test images by their indices; a click opens one in the view of feature maps."""
    if not len(found):
        return
    names = subject.classes
    words = []
    for k in found:
        truth, answer = names[answers.labels[k]], names[answers.predicted[k]]
        sure = format_percent(float(answers.confidence[k]), digits=0)
        right = truth == answer
        words.append(
            Tile(
                label=f"Test image {k}, a {truth}, read as {answer} with {sure}",
                one=truth if right else f"{truth} → {answer}",
                two=sure,
                bad=not right,
            )
        )
    tiles(
        key,
        paint.pack(paint.image_tiles(subject.dataset.test_images[found])),
        words,
        name="Test images",
        height=56,
        cell=68,
        on_pick=lambda place: _open(int(found[place])),
    )
    st.caption("Click an image to see its feature maps.")


def _open(number: int) -> None:
    look_at(number)
    INSIDE.change(view="maps")
    INSIDE.show("view")


def _per_class(evaluation: EvaluationReport) -> None:
    st.header("Per class", anchor=False)
    figures = evaluation.per_class
    share = st.column_config.NumberColumn(format="%.2f %%")
    st.dataframe(
        [
            {
                "Class": name,
                "Precision": percent_number(float(figures.precision[k])),
                "Recall": percent_number(float(figures.recall[k])),
                "F1": percent_number(float(figures.f1[k])),
                "Images": int(figures.support[k]),
            }
            for k, name in enumerate(evaluation.classes)
        ],
        hide_index=True,
        width="stretch",
        key=element("inside-classes"),
        placeholder="–",
        alt="Precision, recall and F1 of each class",
        column_config={"Precision": share, "Recall": share, "F1": share},
    )
    st.caption(
        "Precision: share of the predictions of a class that are correct. Recall: share of the images of a class that "
        "are recognised."
    )


def _calibration(evaluation: EvaluationReport) -> None:
    st.header("Calibration (reliability diagram)", anchor=False)
    table = evaluation.calibration
    plot(
        "inside-calibration",
        calibration_figure(table.confidence, table.accuracy, table.count, dark=dark()),
        words=f"Calibration curve, expected calibration error {format_percent(table.ece)}",
        name="calibration",
    )
    st.caption(
        "On the diagonal, answers given with 80 % are correct 80 times in 100. Below it, the network is overconfident. "
        f"The mean gap is {format_percent(table.ece)}."
    )
