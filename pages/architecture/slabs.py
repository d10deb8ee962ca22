"""The network's stages as slabs, from left to right: as high and deep as their maps, thicker with more channels."""

import streamlit as st

from lab.inspection.stages import list_stages
from pages.cache.design import Design
from pages.cache.inspection import graph_of
from pages.state.architecture import ARCHITECTURE
from pages.widgets.network_picture import show_network, turn_block


def show_slabs(design: Design) -> None:
    """Show the network's stages from left to right; a click highlights a stage's rows in the table below."""
    nodes = graph_of(design)
    stages = list_stages(nodes, opened=ARCHITECTURE.read().opened)
    selected = ARCHITECTURE.read().selected
    chosen = next((stage.box.id for stage in stages if stage.box.names == tuple(selected)), None)

    def pick(id: str, _channel: int) -> None:
        box = next(stage.box for stage in stages if stage.box.id == id)
        ARCHITECTURE.change(selected=() if box.names == tuple(ARCHITECTURE.read().selected) else box.names)

    show_network(
        "arch-slabs",
        stages,
        name=repr(design),
        label=f"The layers of {design.arch}",
        chosen=None if chosen is None else (chosen, 0),
        on_pick=pick,
        on_block=_turn_block,
    )
    blocks = " A **+** expands a block." if any(stage.closed for stage in stages) else ""
    st.caption(
        "A slab's height and depth show the size of its maps, its thickness the number of channels."
        f"{blocks} Click a slab to highlight it in the table."
    )


def _turn_block(block: str, opened: bool) -> None:
    ARCHITECTURE.change(opened=turn_block(ARCHITECTURE.read().opened, block, opened))
