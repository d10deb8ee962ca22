"""Choosing a network without weights: id, input size and options, as widgets that survive a page switch."""

from typing import Any

import streamlit as st

from lab.architectures.registry import Architecture, check_options, get_architecture, list_architectures
from lab.config import INPUT_SIZES
from pages.cache.inspection import DESIGN_DATA
from pages.state.address import leave_address, show_in_address, take_from_address
from pages.state.session import put, value_of
from pages.widgets.options import option_input

_SIZE_WORDS = {"auto": "its own", "native": f"native ({DESIGN_DATA.image_size})", "32": "32", "64": "64", "224": "224"}


def choose_network(name: str, *, label: str = "Network", default: str = "lenet5") -> Architecture | None:
    """Return the chosen entry; `name` is the choice's name in the address. None where the address has no such network."""
    titles = {arch.id: arch.title for arch in list_architectures()}
    key = f"design.{name}"
    put(key, value_of(key) or default)
    if not take_from_address(name, key=key, allowed=titles):
        put(key, None)
    chosen = st.selectbox(
        label,
        list(titles),
        index=None,
        format_func=titles.__getitem__,
        key=key,
        persist_state="session",
        placeholder="Choose a network",
        on_change=leave_address,
        args=(name,),
    )
    if chosen is None:
        return None
    show_in_address(name, chosen, default=default)
    return get_architecture(chosen)


def choose_size(name: str, arch: Architecture) -> str:
    """Return the chosen input size."""
    own = str(DESIGN_DATA.image_size) if arch.default_input_size == "native" else arch.default_input_size
    words = _SIZE_WORDS | {"auto": f"its own ({own})"}
    key = f"design.{name}"
    take_from_address(name, key=key, allowed=INPUT_SIZES)
    chosen = st.selectbox(
        "Input size",
        INPUT_SIZES,
        format_func=words.__getitem__,
        key=key,
        persist_state="session",
        help="The side in pixels that images are resized to before the first layer.",
    )
    show_in_address(name, chosen, default="auto")
    return str(chosen)


def choose_options(key: str, arch: Architecture) -> dict[str, Any]:
    """Return the network's options that differ from its own, checked; raises `ConfigError`."""
    if not arch.options:
        return {}
    with st.expander("Options of this network", icon=":material/tune:", key=f"{key}.{arch.id}"), st.grid(3):
        given = {option.name: option_input(f"{key}.{arch.id}.{option.name}", option) for option in arch.options}
    return check_options(arch, given)
