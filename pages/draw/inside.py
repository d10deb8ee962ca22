"""The drawing inside a network: a layer's feature maps, Grad-CAM over the ink, and the nearest training images."""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from lab.charts.data_url import png_url
from lab.charts.tiles import blend, encode, paint, sheet
from lab.data.recipes import Recipe
from lab.formatting import format_shape
from lab.inspection.attribution import attribute
from lab.inspection.observe import capture, to_input
from lab.sketch.reading import Answer
from pages.draw.models import Model, bank_size, nearest_neighbours
from pages.draw.view import pictures_html
from pages.markdown import plain
from pages.state.draw import DRAW
from pages.state.keys import element
from pages.widgets.runs import with_id
from pages.widgets.waiting import worth_waiting

_MAX_MAPS = 64


def inside(
    models: Sequence[Model], images: dict[Recipe, np.ndarray], answers: Sequence[Answer], *, blank: bool
) -> None:
    """Show Grad-CAM and the maps of a chosen layer for the network's input."""
    left, right = st.columns(2)
    with left:
        model = choose_model(models, "inside_run")
    if not model.layers:
        st.info(f"{plain(model.title)} has no layer with feature maps.", icon=":material/info:")
        return
    names = [layer.name for layer in model.layers]
    types = {layer.name: f"{layer.name} · {layer.type} {format_shape(layer.shape)}" for layer in model.layers}
    layer = right.selectbox(
        "Layer",
        names,
        format_func=lambda name: types[name],
        **DRAW.widget("layer", item=model.id, default=names[_first_activation(model)]),
    )
    if blank:
        st.caption("Draw something to see it pass through the network.")
        return
    image, answer = images[model.recipe], answers[list(models).index(model)]
    maps, note = _maps(model, image, layer)
    heat = _heat(model, image, int(answer.probabilities.argmax()))
    st.html(
        '<div class="cl-inside">'
        f'<figure><img class="cl-pic" decoding="sync" alt="Grad-CAM over the drawing" src="{png_url(heat)}">'
        f"<figcaption>Grad-CAM: regions that support “{escape(answer.label)}”</figcaption></figure>"
        f'<figure><img class="cl-maps" decoding="sync" alt="Feature maps of the layer" src="{png_url(maps)}">'
        f"<figcaption>{note}</figcaption></figure></div>"
    )


def _first_activation(model: Model) -> int:
    return next((i for i, layer in enumerate(model.layers) if layer.kind.is_activation), 0)


def choose_model(models: Sequence[Model], field: str) -> Model:
    """Return the model chosen for a field of the page's state."""
    by_id = {model.id: model for model in models}
    held = getattr(DRAW.read(), field)
    chosen = st.selectbox(
        "Network",
        list(by_id),
        format_func=lambda run: with_id(by_id[run].title, run),
        **DRAW.widget(field, value=held if held in by_id else models[0].id),
    )
    return by_id.get(chosen, models[0])


def _maps(model: Model, image: np.ndarray, layer: str) -> tuple[bytes, str]:
    """Return a layer's maps as one PNG, and its caption."""
    x = to_input(image[None], mean=model.loaded.mean, std=model.loaded.std)
    values = capture(model.loaded.network, x, layers=[layer])[layer][0].float().numpy()
    shown = values[:_MAX_MAPS]
    return encode(sheet(paint(shown))), maps_words(len(values))


def maps_words(count: int) -> str:
    """Return the caption of a layer's maps. count: maps of the layer."""
    some = f"the first {_MAX_MAPS} of {count}" if count > _MAX_MAPS else f"{count}"
    return f"Feature maps: {some}, brighter is stronger"


def _heat(model: Model, image: np.ndarray, target: int) -> bytes:
    """Return Grad-CAM over the input image as a PNG."""
    loaded = model.loaded
    x = to_input(image[None], mean=loaded.mean, std=loaded.std)
    values = attribute(loaded.network, x, target=target, method="grad-cam", black=-loaded.mean / loaded.std).values
    return encode(blend(image, values))


def similar(models: Sequence[Model], images: dict[Recipe, np.ndarray], *, blank: bool) -> None:
    """Show the training images that are nearest in the last hidden layer."""
    model = choose_model(models, "similar_run")
    if blank:
        st.caption("Draw something to see which training images it resembles.")
        return
    searched = bank_size(model)
    if not worth_waiting(
        model.run,
        passes=searched,
        what=f"Searching {searched:,} training images",
        key=element("bank", model.digest),
    ):
        return
    found = nearest_neighbours(model, images[model.recipe])
    st.caption(
        f"Nearest neighbours of your drawing in the last hidden layer of {plain(model.title)}, among {searched:,} "
        "training images, with their cosine similarity."
    )
    st.html(pictures_html([(picture, name, f"{similarity:.3f}") for picture, name, similarity in found]))
