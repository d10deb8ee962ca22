"""One network: its totals and the chosen view. Imports torch."""

import streamlit as st

from lab.errors import ShapeError
from pages.architecture.choices import choose_network, choose_size
from pages.architecture.comparison import show_comparison
from pages.architecture.graph import show_failed, show_graph
from pages.architecture.layers import show_layers
from pages.architecture.times import show_times
from pages.architecture.totals import show_totals
from pages.cache.design import Design, design_of
from pages.cache.inspection import summary_of
from pages.markdown import with_code
from pages.state.architecture import ARCHITECTURE, VIEWS
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


def _compare(design: Design, batch: int) -> None:
    columns = st.columns([2, 1, 1])
    with columns[0]:
        other = choose_network("other", label="Compare with")
    if other is None:
        return
    with columns[1]:
        size = choose_size("other_size", other)
    show_comparison(design, design_of(other.id, size, {}), batch)
