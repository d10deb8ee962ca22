"""One network: its totals and the chosen view. Imports torch."""

import streamlit as st

from lab.architectures.registry import get_architecture
from lab.errors import ShapeError
from pages.architecture.choices import choose_network, choose_size
from pages.architecture.comparison import show_comparison
from pages.architecture.graph import show_failed, show_graph
from pages.architecture.layers import show_layers
from pages.architecture.times import show_times
from pages.architecture.totals import show_totals
from pages.cache.design import Design, design_of
from pages.cache.inspection import layer_list_of, summary_of
from pages.markdown import with_code
from pages.registry import page_path
from pages.state.architecture import ARCHITECTURE, VIEWS, open_network
from pages.state.form_address import write_options
from pages.widgets.edit_layers import edit_layers_button
from pages.widgets.segments import choose_segment


def show_design(design: Design, batch: int) -> None:
    """Show the network's totals and the chosen view, or where the images stop fitting."""
    with st.spinner("Counting"):
        try:
            summary = summary_of(design, batch)
        except ShapeError as error:
            st.error(with_code(str(error)), icon=":material/error:")
            show_failed(error)
            return
    _actions(design)
    show_totals(summary)
    view = choose_segment(ARCHITECTURE, "view", VIEWS, label="Show")
    if view == "layers":
        show_layers(design, summary)
    elif view == "graph":
        show_graph(design, summary)
    elif view == "compare":
        _compare(design, batch)
    else:
        show_times(design, batch)


def _actions(design: Design) -> None:
    size = {} if design.input_size == "auto" else {"input_size": design.input_size}
    with st.container(horizontal=True, vertical_alignment="center"):
        if not get_architecture(design.arch).lists_layers:
            edit_layers_button("architecture", design, layer_list_of(design), open_network)
        st.page_link(
            page_path("train"),
            label="Train this network",
            icon=":material/play_circle:",
            query_params={"arch": design.arch, **size, **write_options(design.arguments()["options"])},
        )


def _compare(design: Design, batch: int) -> None:
    columns = st.columns([2, 1, 1])
    with columns[0]:
        other = choose_network("other", label="Compare with")
    if other is None:
        return
    with columns[1]:
        size = choose_size("other_size", other)
    show_comparison(design, design_of(other.id, size, {}), batch)
