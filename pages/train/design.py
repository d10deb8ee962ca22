"""The network of the form as a picture, which follows its layers. Imports torch: the form loads it once torch is imported."""

import streamlit as st

from lab.architectures.registry import arch_title
from lab.errors import ShapeError
from lab.inspection.stages import list_stages
from pages.cache.design import Design
from pages.cache.inspection import graph_of, layer_list_of
from pages.markdown import with_code
from pages.state.train import TRAIN
from pages.widgets.network_picture import show_network, turn_block


def show_picture(design: Design) -> None:
    """Show a network as slabs, or which layer does not accept its input."""
    try:
        nodes = graph_of(design)
    except ShapeError as error:
        st.error(with_code(str(error)), icon=":material/error:")
        return
    show_network(
        "train-slabs",
        list_stages(nodes, opened=TRAIN.read().opened),
        name=repr(design),
        label=f"The layers of {arch_title(design.arch)}",
        on_pick=None,
        on_block=lambda block, opened: TRAIN.change(opened=turn_block(TRAIN.read().opened, block, opened)),
    )


def layers_of(design: Design) -> str | None:
    """Return the list of layers of a network; None if there is none, also for images of the wrong size."""
    try:
        return layer_list_of(design)
    except ShapeError:  # reported with the cost
        return None
