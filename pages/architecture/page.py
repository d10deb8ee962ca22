"""Architecture: what a network is, before any training. Counts, graph, comparison, measured times.

The address carries the network and its input size, so a link opens the same picture.
"""

import streamlit as st

from lab.errors import ShapeError
from pages.architecture import views as arch_view
from pages.architecture.choices import choose_network, choose_options, choose_size
from pages.cache.inspection import Design, design_of, summary_of
from pages.cache.torch_import import require_torch
from pages.markdown import plain
from pages.state.architecture import ARCHITECTURE, LARGEST_BATCH, VIEWS
from pages.widgets.frame import page_frame, show_errors


def main() -> None:
    """Draw the page."""
    page_frame("Architecture", "What a network is made of, what it costs, and what each layer can see.")
    ARCHITECTURE.refuse_unknown()
    with show_errors():
        with st.container(border=True):
            chosen = _choose()
        if chosen is not None:
            _show(*chosen)


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
        batch = int(st.number_input("Batch size", 1, LARGEST_BATCH, **ARCHITECTURE.widget("batch")))
        ARCHITECTURE.show("batch")
    report = f" Report {arch.report}." if arch.report else ""
    st.caption(plain(f"{arch.description} Source: {arch.source}.{report}"))
    return design_of(arch, size, choose_options(arch)), batch


def _show(design: Design, batch: int) -> None:
    with st.spinner("Counting"):
        require_torch()
        try:
            summary = summary_of(design, batch)
        except ShapeError as error:
            st.error(plain(str(error)), icon=":material/error:")
            arch_view.show_failed(error)
            return
    arch_view.show_totals(summary)
    ARCHITECTURE.take("view")
    view = st.segmented_control(
        "Show",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        required=True,
        label_visibility="collapsed",
        **ARCHITECTURE.widget("view"),
    )
    ARCHITECTURE.show("view")
    if view == "layers":
        arch_view.show_layers(design, summary)
    elif view == "graph":
        arch_view.show_graph(design, summary)
    elif view == "compare":
        _compare(design, batch)
    else:
        arch_view.show_times(design, batch)


def _compare(design: Design, batch: int) -> None:
    columns = st.columns([2, 1, 1])
    with columns[0]:
        other = choose_network("other", label="Compare with")
    if other is None:
        return
    with columns[1]:
        size = choose_size("other_size", other)
    arch_view.show_comparison(design, design_of(other, size, {}), batch)


main()
