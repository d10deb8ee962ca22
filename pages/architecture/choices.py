"""Widgets that choose a network without weights: id, input size and options. Their values survive a page switch."""

from typing import Any

import streamlit as st

from lab.architectures.registry import Architecture, ArchOption, check_options, get_architecture, list_architectures
from lab.config import INPUT_SIZES
from pages.cache.design import DESIGN_DATA
from pages.state.architecture import ARCHITECTURE, show_options, take_options
from pages.state.keys import element
from pages.widgets.options import initial_value, option_input

_SIZE_WORDS = {"native": f"native ({DESIGN_DATA.image_size})", "32": "32", "64": "64", "224": "224"}


def choose_network(field: str, *, label: str = "Network") -> Architecture | None:
    """Return the network chosen for a field of the page's state, None if the address names an unknown network."""
    titles = {arch.id: arch.title for arch in list_architectures()}
    widget = ARCHITECTURE.widget(field) if ARCHITECTURE.take(field) else ARCHITECTURE.widget(field, value=None)
    chosen = st.selectbox(
        label, list(titles), index=None, format_func=titles.__getitem__, placeholder="Choose a network", **widget
    )
    if chosen is None:
        return None
    ARCHITECTURE.show(field)
    return get_architecture(chosen)


def choose_size(field: str, arch: Architecture) -> str:
    """Return the input size chosen for a field of the page's state."""
    own = str(DESIGN_DATA.image_size) if arch.default_input_size == "native" else arch.default_input_size
    words = _SIZE_WORDS | {"auto": f"auto ({own})"}
    ARCHITECTURE.take(field)
    chosen = st.selectbox(
        "Input size",
        INPUT_SIZES,
        format_func=words.__getitem__,
        help="Images are resized to this side length, in pixels, before the first layer.",
        **ARCHITECTURE.widget(field),
    )
    ARCHITECTURE.show(field)
    return str(chosen)


def choose_options(arch: Architecture) -> dict[str, Any]:
    """Return the options that differ from the network's defaults. Raises `ConfigError` if one is not allowed."""
    take_options(arch)
    listed = [option for option in arch.options if option.is_layer_list]
    others = [option for option in arch.options if not option.is_layer_list]
    given = {option.name: _choose_option(arch, option) for option in listed}
    if others:
        with (
            st.expander("Network options", icon=":material/tune:", key=element("arch-options", arch.id)),
            st.grid(3),
        ):
            given |= {option.name: _choose_option(arch, option) for option in others}
    options = check_options(arch, given)
    show_options(options)
    return options


def _choose_option(arch: Architecture, option: ArchOption) -> Any:
    item = f"{arch.id}.{option.name}"
    return option_input(option, ARCHITECTURE.widget("option", item=item, default=initial_value(option)))
