"""The button that turns a network into a custom network with the same layers, for editing."""

from collections.abc import Callable

import streamlit as st

from lab.architectures.registry import Architecture, find_layer_list, get_architecture, resolve_input_size
from lab.config import Option
from pages.cache.design import Design
from pages.state.keys import element

Opened = Callable[[Architecture, str, dict[str, Option]], None]
_HELP = "Starts a custom network from these layers, with the initial weights that PyTorch draws for them."
_NONE = "The layers of this network cannot be listed one after the other."


def edit_layers_button(place: str, design: Design | None, layers: str | None, on_edit: Opened) -> None:
    """Draw the button, which is disabled if the layers cannot be listed.

    place: for its key. design: the network, None if it is not known yet. layers: their list, None if there is none.
    on_edit: called with the custom network, its input size and its options, in a callback.
    """
    custom, option = find_layer_list()
    st.button(
        "Edit layers",
        icon=":material/edit:",
        key=element("edit-layers", place),
        help=_HELP if layers or design is None else _NONE,
        disabled=design is None or layers is None,
        on_click=on_edit,
        args=(custom, _input_size(design) if design else "auto", {option.name: layers or ""}),
    )


def _input_size(design: Design) -> str:
    """Return the network's input size as a setting of the custom network, whose own is the images' size."""
    native = design.image_shape[-1]
    side = resolve_input_size(get_architecture(design.arch), design.input_size, image_size=native)
    return "auto" if side == native else str(side)
