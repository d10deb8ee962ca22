"""The button that turns a network into a custom network with the same layers, for editing."""

from collections.abc import Callable

import streamlit as st

from lab.architectures.registry import Architecture, find_layer_list, resolve_input_size
from lab.config import Option
from pages.cache.design import Design
from pages.state.keys import element

Opened = Callable[[Architecture, str, dict[str, Option]], None]
_HELP = "Starts a custom network from these layers, with the initial weights that PyTorch draws for them."
_NONE = "The layers of this network cannot be listed one after the other."


def edit_layers_button(
    place: str, arch: Architecture, design: Design | None, layers: str | None, on_edit: Opened
) -> None:
    """Draw the button; it is disabled if the layers cannot be listed, and missing if the network is a list of layers.

    place: for its key. design: the network, None if it is not known yet. layers: their list, None if there is none.
    on_edit: called with the custom network, its input size and its options, in a callback.
    """
    if arch.lists_layers:
        return
    custom, option = find_layer_list()
    native = design.image_shape[-1] if design else 0
    side = resolve_input_size(arch, design.input_size, image_size=native) if design else 0
    st.button(
        "Edit layers",
        icon=":material/edit:",
        key=element("edit-layers", place),
        help=_HELP if layers or design is None else _NONE,
        disabled=layers is None,
        on_click=on_edit,
        args=(custom, "auto" if side == native else str(side), {option.name: layers or ""}),
    )
