"""The graph of one network with details of the selected box, and the layers up to where an image stops fitting."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from lab.formatting import format_count, format_percent, format_shape
from lab.inspection.layout import draw
from lab.inspection.picture import DETAILS, boxes, failed_boxes
from lab.inspection.summary import Summary
from pages.cache.design import Design
from pages.cache.inspection import graph_of
from pages.components.graph import graph
from pages.markdown import plain
from pages.state.architecture import ARCHITECTURE
from pages.state.keys import element

_MANY_NODES = 40  # a graph with branches and more nodes than this is first shown as blocks
_DETAIL_WORDS = {"blocks": "Blocks", "layers": "Layers", "everything": "Operations"}


def show_graph(design: Design, summary: Summary) -> None:
    """Show the graph, and the details of the selected box to the right of it."""
    nodes = graph_of(design)
    branched = any(len(node.inputs) > 1 for node in nodes) and len(nodes) > _MANY_NODES
    detail = st.segmented_control(
        "Detail",
        DETAILS,
        format_func=_DETAIL_WORDS.__getitem__,
        required=True,
        label_visibility="collapsed",
        **ARCHITECTURE.widget("detail", item=design.arch, default="blocks" if branched else "layers"),
    )
    opened = frozenset(ARCHITECTURE.read().opened)
    shown = boxes(nodes, detail=str(detail), opened=opened)
    selected = ARCHITECTURE.read().selected
    picture = draw(shown, selected=selected[0] if selected else "", title=f"Graph of {design.arch}")
    left, right = st.columns([5, 2], gap="medium")
    blocks = {box.names[0] for box in shown if box.family == "block"}
    with left:
        graph("arch-graph", picture.svg, network=f"{design.arch} {detail}", on_pick=lambda n: _picked(n, blocks, shown))
        st.download_button(
            "SVG",
            picture.svg,
            f"{design.arch}.svg",
            "image/svg+xml",
            icon=":material/download:",
            key=element("arch-svg"),
        )
    with right:
        if opened:
            st.button(
                "Close all blocks", icon=":material/unfold_less:", on_click=ARCHITECTURE.change, kwargs={"opened": ()}
            )
        _facts(summary, selected)


def _picked(name: str, blocks: set[str], shown: Sequence[Any]) -> None:
    if name in blocks:
        ARCHITECTURE.change(opened=(*ARCHITECTURE.read().opened, name))
        return
    ARCHITECTURE.change(selected=next(box.names for box in shown if box.names[0] == name))


def _facts(summary: Summary, selected: Sequence[str]) -> None:
    rows = [row for row in summary.layers if row.name in selected]
    if not rows:
        st.info("Click a layer to see its details here, or a block to expand it.", icon=":material/ads_click:")
        return
    for row in rows:
        with st.container(border=True):
            st.markdown(f"**{plain(row.name)}** &nbsp; {plain(row.type)}")
            facts = [("Input", format_shape(row.input_shape)), ("Output", format_shape(row.output_shape))]
            if row.params:
                facts.append(("Parameters", f"{row.params:,}"))
            if row.mult_adds:
                facts.append(
                    (
                        "Mult-adds per image",
                        f"{format_count(row.mult_adds // summary.batch)} "
                        f"({format_percent(row.mult_adds / summary.total_mult_adds, digits=1)})",
                    )
                )
            if row.kernel_size:
                facts.append(("Kernel", f"{row.kernel_size}×{row.kernel_size}, stride {row.stride}"))
            if row.receptive_field:
                stride = f", stride {row.receptive_stride}" if row.receptive_stride else ""
                facts.append(("Receptive field", f"{row.receptive_field}×{row.receptive_field} pixels{stride}"))
            st.markdown("  \n".join(f"{label}: **{plain(value)}**" for label, value in facts))


def show_failed(error: Any) -> None:
    """Show the layers that the images passed, up to the one that they do not fit."""
    picture = draw(failed_boxes(error.steps), title="Up to the failure")
    graph("arch-failed", picture.svg, network="failed", on_pick=lambda _name: None, from_end=True)
