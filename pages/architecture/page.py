"""Architecture: a network before any training. Counts, graph, comparison, measured times.

The address carries the network and its input size, so a link opens the same view.
"""

import streamlit as st

from lab.lazy import load
from pages.architecture.choices import choose_network, choose_options, choose_size
from pages.cache.design import Design, design_of
from pages.cache.torch_import import require_torch
from pages.markdown import plain
from pages.state.architecture import ARCHITECTURE, LARGEST_BATCH, refuse_unknown
from pages.widgets.frame import page_frame, show_errors
from pages.widgets.number_choice import choose_number, show_refusal


def main() -> None:
    """Draw the page."""
    page_frame("Architecture", "What a network is made of, what it costs, and the receptive field of each layer.")
    refuse_unknown()
    with show_errors():
        with st.container(border=True):
            chosen = _choose()
        if chosen is not None:
            with st.spinner("Loading torch"):
                require_torch()
            load("pages.architecture.design:show_design")(*chosen)


def _choose() -> tuple[Design, int] | None:
    columns = st.columns([2, 1, 1])
    with columns[0]:
        arch = choose_network("arch")
    if arch is None:
        return None
    with columns[1]:
        size = choose_size("size", arch)
    with columns[2]:
        ARCHITECTURE.take("batch")
        batch = choose_number(ARCHITECTURE, "batch", "Batch size", 1, LARGEST_BATCH)
        ARCHITECTURE.show("batch")
    show_refusal(ARCHITECTURE.widget_key("batch"), beside=batch)
    st.caption(plain(f"{arch.description} {arch.origin}"))
    return design_of(arch.id, size, choose_options(arch)), batch


main()
