"""Saved drawings: the form that saves a drawing with its label, and the user's test set with every run's accuracy."""

from collections.abc import Sequence

import streamlit as st

from lab.data.registry import get_dataset_spec
from lab.formatting import format_percent, plural
from lab.runs.sketches import SavedSketch
from lab.sketch.reading import compute_probabilities
from lab.sketch.saved import decode_ink, encode_ink, normalise_all, zip_idx, zip_pngs
from lab.sketch.sketch import Sketch
from pages.cache.lab import get_lab
from pages.draw.models import Model
from pages.draw.tune import fine_tune
from pages.draw.view import pictures_html
from pages.markdown import plain
from pages.state.draw import DRAW, draw_page
from pages.state.keys import element
from pages.widgets.frame import show_errors
from pages.widgets.table import NumberAsText, sortable

_FEW = 12  # up to as many classes are offered as buttons
_SHOWN = 60  # drawings shown at once
_NAMED = 8  # wrong answers listed for each network


def save_form(models: Sequence[Model], sketch: Sketch) -> None:
    """Draw the form that labels and saves the drawing."""
    names = models[0].loaded.class_names
    question = "What did you draw?"
    label_before = DRAW.read().label if DRAW.read().label in names else None
    if len(names) <= _FEW:
        label = st.pills(question, names, disabled=sketch.blank, **DRAW.widget("label", value=label_before))
    else:
        label = st.selectbox(question, names, disabled=sketch.blank, **DRAW.widget("label", value=label_before))
    ready = not sketch.blank and label is not None and not get_lab().settings.read_only
    pressed = st.button(
        "Save drawing", icon=":material/save:", key=element("draw-save"), disabled=not ready, type="primary"
    )
    if pressed and ready:
        _save(sketch, str(label), models[0].spec.id)
    if sketch.blank:
        st.caption("Draw something first. Saved drawings become your own test set.")
    else:
        st.caption("The drawing is saved with this label. My drawings shows how well each network reads your drawings.")


def _save(sketch: Sketch, label: str, dataset: str) -> None:
    with show_errors():
        get_lab().store.sketches.save(encode_ink(sketch), label=label, dataset=dataset)
        st.toast(f"Saved as {plain(label)}.", icon=":material/check:")
        DRAW.change(label=None)
        draw_page().clear()
        st.rerun(scope="fragment")


def same_classes(models: Sequence[Model]) -> list[SavedSketch]:
    """Return the saved drawings whose classes are those of the first model."""
    names = models[0].loaded.class_names
    return [
        each
        for each in get_lab().store.sketches.list()
        if get_dataset_spec(each.dataset).classes == names and each.label in names
    ]


@st.fragment
def my_drawings(models: Sequence[Model]) -> None:
    """Show the saved drawings, every model's accuracy on them, downloads, and the form for fine-tuning."""
    with show_errors():
        saved = same_classes(models)
        for problem in get_lab().store.sketches.problems():
            st.warning(problem, icon=":material/heart_broken:")
        _undo_box()
        if not saved:
            st.info(
                "No drawings are saved yet. Draw one, and choose Save below the pad, or save those of a guess game.",
                icon=":material/draw:",
            )
            return
        drawings = [decode_ink(each.png) for each in saved]
        _accuracy(models, saved, drawings)
        _gallery(saved, drawings, models[0])
        _downloads(saved, drawings, models[0])
        fine_tune(models, saved, drawings)


def read_saved(model: Model, drawings: Sequence[Sketch]) -> list[str]:
    """Return the class that a model predicts for each drawing."""
    images = normalise_all(drawings, recipe=model.recipe)
    best = compute_probabilities(model.loaded, images).argmax(axis=1)
    return [model.loaded.class_names[int(index)] for index in best]


def _accuracy(models: Sequence[Model], saved: Sequence[SavedSketch], drawings: Sequence[Sketch]) -> None:
    rows = []
    for model in models:
        if model.loaded.class_names != models[0].loaded.class_names:
            continue
        rows.append(accuracy_row(model, [each.label for each in saved], read_saved(model, drawings)))
    st.dataframe(sortable(rows), hide_index=True, width="stretch", alt="Accuracy of each network on the drawings")


def accuracy_row(model: Model, labels: Sequence[str], answers: Sequence[str]) -> dict[str, NumberAsText | str]:
    """Return a network's row: how many drawings it reads correctly, and the first that it misreads."""
    wrong = [f"{label} as {answer}" for label, answer in zip(labels, answers, strict=True) if label != answer]
    right = len(labels) - len(wrong)
    return {
        "Network": model.title,
        "Run": model.id,
        "Correct": NumberAsText(right, f"{right} of {len(labels)}"),
        "Accuracy": NumberAsText(right / len(labels), format_percent(right / len(labels), digits=1)),
        "Misread": ", ".join(wrong[:_NAMED]) or "none",
    }


def _gallery(saved: Sequence[SavedSketch], drawings: Sequence[Sketch], model: Model) -> None:
    predicted = read_saved(model, drawings)
    shown = list(zip(saved, drawings, predicted, strict=True))[-_SHOWN:]
    pictures = [
        (drawing.ink, f"{number}: {each.label}", "correct" if answer == each.label else f"read as {answer}")
        for number, (each, drawing, answer) in enumerate(shown, start=1)
    ]
    st.caption(f"As read by {plain(model.title)}:")
    st.html(pictures_html(pictures))
    names = {each.id: f"{number}: {each.label}" for number, (each, _, _) in enumerate(shown, start=1)}
    chosen = st.pills(
        "Choose drawings to delete or to label anew",
        list(names),
        selection_mode="multi",
        format_func=lambda each: names[each],
        **DRAW.widget("doomed", value=[each for each in DRAW.read().doomed if each in names]),
    )
    able = bool(chosen) and not get_lab().settings.read_only
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            f"Delete {len(chosen)}" if chosen else "Delete",
            icon=":material/delete:",
            key=element("draw-delete"),
            disabled=not able,
            on_click=_delete,
            args=([each for each in saved if each.id in chosen],),
        )
        st.selectbox(
            "New label",
            model.loaded.class_names,
            placeholder="Change the label",
            label_visibility="collapsed",
            disabled=not able,
            width=200,
            **DRAW.widget("relabel", then=_relabel),
        )


def _delete(chosen: Sequence[SavedSketch]) -> None:
    with show_errors():
        get_lab().store.sketches.delete(tuple(each.id for each in chosen))
        DRAW.change(doomed=(), deleted=tuple(chosen))


def _relabel() -> None:
    page = DRAW.read()
    DRAW.change(relabel=None, doomed=())
    with show_errors():
        if page.relabel is not None:
            get_lab().store.sketches.relabel(page.doomed, page.relabel)


def _undo_box() -> None:
    """Offer to restore the drawings that were deleted last."""
    deleted = DRAW.read().deleted
    if not deleted:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        words = f"{plural(len(deleted), 'drawing')} {'was' if len(deleted) == 1 else 'were'} deleted."
        st.markdown(f":material/delete: &nbsp;{words}", width="content")
        st.button("Undo", icon=":material/undo:", key=element("draw-undo"), on_click=_undo)
        st.button("Dismiss", key=element("draw-dismiss"), type="tertiary", on_click=_dismiss)


def _undo() -> None:
    with show_errors():
        get_lab().store.sketches.restore(DRAW.read().deleted)
        DRAW.change(deleted=())


def _dismiss() -> None:
    DRAW.change(deleted=())


def _downloads(saved: Sequence[SavedSketch], drawings: Sequence[Sketch], model: Model) -> None:
    labels = [model.loaded.class_names.index(each.label) for each in saved]
    with st.container(horizontal=True):
        st.download_button(
            "Download PNG",
            lambda: zip_pngs([(each.id, each.label, each.png) for each in saved]),
            "drawings-png.zip",
            mime="application/zip",
            icon=":material/download:",
            key=element("draw-png"),
        )
        st.download_button(
            "Download idx",
            lambda: zip_idx(drawings, labels, recipe=model.recipe),
            "drawings-idx.zip",
            mime="application/zip",
            icon=":material/download:",
            key=element("draw-idx"),
            help=f"{model.recipe.side}×{model.recipe.side} pixels, normalised, in MNIST's file format.",
        )
