"""Fine-tuning on saved drawings: a new run that starts from another run's weights and has it as its parent."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from lab.config import RunConfig
from lab.data.local import write_drawings_dataset
from lab.data.spec import DIGITS
from lab.examples.catalogue import is_example
from lab.formatting import plural
from lab.runs.records import RunRecord
from lab.runs.sketches import SavedSketch
from lab.sketch.saved import normalise_all
from lab.sketch.sketch import Sketch
from lab.training.batches import fitting_batch_size
from pages.cache.datasets import dataset_of
from pages.cache.lab import get_lab
from pages.draw.models import Model
from pages.markdown import plain
from pages.registry import page_path
from pages.state.asking import asking_owner
from pages.state.draw import DRAW
from pages.state.keys import element
from pages.widgets.frame import show_errors

_EPOCHS = 3
_BATCH = 64  # largest batch size: there are few images
_SLOWER = 0.3  # factor on the parent's learning rate: its weights should be adapted, not replaced


def fine_tune(models: Sequence[Model], saved: Sequence[SavedSketch], drawings: Sequence[Sketch]) -> None:
    """Offer to train one of the chosen runs further on the saved drawings."""
    able = {model.id: model for model in models if model.loaded.class_names == DIGITS and not is_example(model.id)}
    if not able:
        st.caption("To fine-tune a network on these drawings, train one of your own on digits, and choose it above.")
        return
    st.header("Fine-tune on my handwriting", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        parent = st.selectbox(
            "Start from",
            list(able),
            format_func=lambda run: f"{able[run].title} · {run[:4]}",
            **DRAW.widget("parent", value=DRAW.read().parent if DRAW.read().parent in able else next(iter(able))),
        )
        pressed = st.button(
            "Fine-tune on my drawings",
            icon=":material/school:",
            key=element("draw-tune"),
            disabled=get_lab().settings.read_only,
        )
    st.caption(
        f"Creates a new run: {plural(_EPOCHS, 'epoch')} over your {plural(len(saved), 'drawing')} and part of the "
        "parent's data, so that it does not forget. The more drawings, the better. Judge the result by new drawings: "
        "it will have seen these."
    )
    if pressed and parent in able:
        with show_errors():
            run = start(able[parent], saved, drawings)
            get_lab().workers.ensure()
            st.page_link(
                page_path("train"),
                label=f"Watch {plain(run.name)}",
                icon=":material/play_circle:",
                query_params={"run": run.id},
            )


def start(model: Model, saved: Sequence[SavedSketch], drawings: Sequence[Sketch]) -> RunRecord:
    """Write the drawings as a data set and queue the new run; repeated with the same drawings, return the same run."""
    lab = get_lab()
    names = model.loaded.class_names
    dataset = write_drawings_dataset(
        normalise_all(drawings, recipe=model.recipe),
        np.array([names.index(each.label) for each in saved]),
        beside=dataset_of(model.spec.id),
        root=lab.settings.data,
    )
    parent = model.run
    images = len(lab.datasets.load(dataset).train_labels)
    config = tuned(parent.config, dataset=dataset, images=images, parent=parent.id)
    return lab.submissions.submit(
        lab.validation.resolve(config),
        parent=parent.id,
        name=f"{model.title} + my drawings",
        owner=asking_owner(),
    ).run


def tuned(config: RunConfig, *, dataset: str, images: int, parent: str) -> RunConfig:
    """Return the parent's settings, changed for a short training from its weights. images: in the data set."""
    return config.replace(
        dataset=dataset,
        init_from=parent,
        epochs=_EPOCHS,
        max_steps=0,
        lr=config.lr * _SLOWER,
        schedule="constant",
        warmup_epochs=0.0,
        augment="sketch",
        val_fraction=0.0,
        patience=0,
        restore_best=False,
        train_limit=0,
        shuffle=True,
        batch_size=fitting_batch_size(images, min(config.batch_size, _BATCH)),
    )
