"""The whole network with the drawing's feature maps, updated while one draws; a click on a map opens its layer."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from lab.data.recipes import Recipe
from lab.inspection.metrics import require_finite
from lab.inspection.observe import to_input
from lab.inspection.stages import Stage, network_values
from pages.cache.inspection import channels_of, stages_of, traced_of
from pages.draw.inside import choose_model
from pages.draw.models import Model
from pages.state.draw import DRAW
from pages.widgets.network_picture import colour_words, show_network, turn_block


def whole_network(models: Sequence[Model], images: dict[Recipe, np.ndarray], *, blank: bool) -> None:
    """Show every stage's maps for the network's input."""
    model = choose_model(models, "inside_run") if len(models) > 1 else models[0]
    loaded, opened = model.loaded, DRAW.read().opened
    stages = stages_of(model.id, model.digest, opened)
    values = network_values(
        traced_of(model.id, model.digest),
        loaded.network,
        to_input(images[model.recipe][None], mean=loaded.mean, std=loaded.std),
        stages=stages,
        channels=channels_of(model.id, model.digest, opened, model.run.config.dataset),
    )
    require_finite(values.logits, of="this drawing")
    show_network(
        "draw-network",
        stages,
        name=model.id,
        label=f"{model.title} reading the drawing",
        values=values,
        classes=loaded.class_names,
        on_pick=lambda stage, _channel: _open_layer(model, stages, stage),
        on_block=_turn_block,
        blank=blank,
    )
    st.caption(
        "Draw a digit and watch it pass through the network. The maps are those of an empty sheet."
        if blank
        else f"{colour_words(stages, values)} Click a map to see its whole layer."
    )


def _open_layer(model: Model, stages: Sequence[Stage], chosen: str) -> None:
    """Open a stage's last layer with feature maps in the view of one layer."""
    names = next(stage.box.names for stage in stages if stage.box.id == chosen)
    layers = {layer.name for layer in model.layers}
    found = next((name for name in reversed(names) if name in layers), None)
    if found is not None:
        DRAW.change(view="Inside", inside_run=model.id, layer={**DRAW.read().layer, model.id: found})


def _turn_block(block: str, opened: bool) -> None:
    DRAW.change(opened=turn_block(DRAW.read().opened, block, opened))
