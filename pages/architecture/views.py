"""What the Architecture page shows of one summary: totals, the tree of layers, the graph, the comparison, the times."""

import csv
import io
import time
from collections.abc import Sequence
from math import prod
from typing import Any

import streamlit as st

from lab.formatting import format_bytes, format_count, format_percent, percent_number, plural
from lab.inspection.compare import compare
from lab.inspection.layout import draw
from lab.inspection.picture import DETAILS, boxes, failed_boxes
from lab.inspection.summary import LayerRow, Summary
from lab.inspection.timing import Timing
from pages.architecture.slabs import show_slabs
from pages.cache.design import Design
from pages.cache.inspection import graph_of, measure_times, summary_of
from pages.components.graph import graph
from pages.components.layers import layer_table
from pages.markdown import plain
from pages.state.architecture import ARCHITECTURE
from pages.state.keys import element
from pages.widgets.machine import describe_machine
from pages.widgets.runs import show_moment

_LONG = 40  # rows beyond which inner blocks start closed
_DETAIL_WORDS = {"blocks": "Blocks", "layers": "Layers", "everything": "Every step"}
_MATCH_PX = 105  # for its longest word
_SHOWN_PAIRS = 20  # without scrolling
_ROW_PX, _HEAD_PX = 36, 40
_MANY = 100  # times, from here on without decimals
_TIME_LIMIT_MACS, _TIME_LIMIT_BYTES = 60e9, 1.5e9  # about half a minute on one core, and what a small machine has


def show_totals(summary: Summary) -> None:
    """Show torchinfo's totals."""
    frozen = summary.total_params - summary.trainable_params
    facts = [
        ("Parameters", f"{summary.total_params:,}", f"{frozen:,} of them are not trained." if frozen else None),
        (
            "Mult-adds an image",
            format_count(summary.mult_adds_per_image),
            "Multiplications with addition, forward; torchinfo and the reports print those of a whole batch.",
        ),
        (
            f"Mult-adds, batch of {summary.batch:,}",
            format_count(summary.total_mult_adds),
            None,
        ),
        (
            "Forward/backward",
            format_bytes(summary.forward_backward_bytes),
            f"Outputs of all layers for the batch of {summary.batch:,}, kept twice.",
        ),
        ("Parameters' size", format_bytes(summary.params_bytes), None),
        (
            "Estimated total",
            format_bytes(summary.estimated_total_bytes),
            f"Input, outputs and parameters for the batch of {summary.batch:,}.",
        ),
    ]
    with st.grid(3, min_column_width=150, key=element("arch-totals")):
        for label, value, words in facts:
            st.metric(label, value, help=words)


def table_rows(summary: Summary) -> list[dict[str, Any]]:
    """Return the rows of the tree below the root, groups with the sums of what is in them."""
    rows = []
    for index, row in enumerate(summary.layers):
        if row.depth == 0:
            continue
        params, mult_adds, held = _sums(summary.layers, index)
        one = mult_adds // summary.batch
        rows.append(
            {
                "name": row.name,
                "short": row.name.split(".")[-1],
                "type": row.type,
                "depth": row.depth - 1,
                "leaf": row.is_leaf,
                "shape": "×".join(map(str, row.output_shape[1:])),
                "size": prod(row.output_shape),
                "params": params,
                "params_text": f"{params:,}" if params else "",
                "param_share": params / max(1, summary.total_params),
                "mult_adds": one,
                "mult_adds_text": format_count(one) if one else "",
                "work_share": mult_adds / max(1, summary.total_mult_adds),
                "bytes": held,
                "bytes_text": format_bytes(held) if held else "",
                "field": row.receptive_field,
                "step": row.receptive_stride,
            }
        )
    hidden = summary.layers[0].params
    if hidden:
        rows.append(
            {
                "name": "auxiliary",
                "short": "auxiliary",
                "type": "training only",
                "depth": 0,
                "leaf": True,
                "shape": "",
                "size": 0,
                "params": hidden,
                "params_text": f"{hidden:,}",
                "param_share": hidden / summary.total_params,
                "mult_adds": 0,
                "mult_adds_text": "",
                "work_share": 0,
                "bytes": 0,
                "bytes_text": "",
                "field": None,
                "step": None,
            }
        )
    for made in rows:
        made |= {f"{share}_text": format_percent(made[share], digits=1) for share in ("param_share", "work_share")}
    return rows


def _sums(layers: Sequence[LayerRow], index: int) -> tuple[int, int, int]:
    """Return parameters, mult-adds and bytes of outputs of a row, or of everything below it."""
    part = [layers[index]]
    for row in layers[index + 1 :]:
        if row.depth <= layers[index].depth:
            break
        part.append(row)
    held = sum(row.output_bytes for row in part if row.is_leaf)
    return sum(row.params for row in part), sum(row.mult_adds for row in part), held


def show_layers(design: Design, summary: Summary) -> None:
    """Show the slabs, and below them the tree with downloads."""
    show_slabs(design)
    rows = table_rows(summary)
    folded = [r["name"] for r in rows if not r["leaf"] and r["depth"] > 0] if len(rows) > _LONG else []
    layer_table("arch-layers", rows, network=repr(design), folded=folded, selected=ARCHITECTURE.read().selected)
    st.caption(
        f"Counted by torchinfo: **Mult-adds** of one image, **Memory** of the batch of {summary.batch:,}. **Receptive field** is counted in pixels of the resized image, **Stride** is the distance "
        "of neighbouring ones; to a linear layer the whole image contributes. Click a heading to sort, an arrow to fold."
    )
    with st.container(horizontal=True):
        st.download_button(
            "Text",
            summary.text,
            f"{design.arch}.txt",
            "text/plain",
            icon=":material/download:",
            key=element("arch-text"),
        )
        st.download_button(
            "CSV",
            rows_csv(summary),
            f"{design.arch}.csv",
            "text/csv",
            icon=":material/download:",
            key=element("arch-csv"),
        )


def rows_csv(summary: Summary) -> str:
    """Return one line a module, with raw numbers."""
    out = io.StringIO()
    fields = (
        "name",
        "type",
        "depth",
        "output_shape",
        "params",
        "mult_adds",
        "output_bytes",
        "kernel_size",
        "stride",
        "receptive_field",
        "receptive_stride",
    )
    writer = csv.writer(out)
    writer.writerow([*fields, "batch_size", "mult_adds_per_image"])
    for row in summary.layers:
        values = [*(getattr(row, name) for name in fields), summary.batch, row.mult_adds // summary.batch]
        writer.writerow(["x".join(map(str, v)) if isinstance(v, tuple) else v for v in values])
    return out.getvalue()


def show_graph(design: Design, summary: Summary) -> None:
    """Show the picture beside the facts of the chosen box."""
    nodes = graph_of(design)
    branched = any(len(node.inputs) > 1 for node in nodes) and len(nodes) > _LONG
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
    left, right = st.columns([3, 2], gap="large")
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
        st.info("Click a box to see its numbers here; a block opens into its layers.", icon=":material/ads_click:")
        return
    for row in rows:
        with st.container(border=True):
            st.markdown(f"**{plain(row.name)}** &nbsp; {plain(row.type)}")
            facts = [("Input", _shape(row.input_shape)), ("Output", _shape(row.output_shape))]
            if row.params:
                facts.append(("Parameters", f"{row.params:,}"))
            if row.mult_adds:
                facts.append(
                    (
                        "Mult-adds an image",
                        f"{format_count(row.mult_adds // summary.batch)} "
                        f"({format_percent(row.mult_adds / summary.total_mult_adds, digits=1)})",
                    )
                )
            if row.kernel_size:
                facts.append(("Window", f"{row.kernel_size}×{row.kernel_size}, stride {row.stride}"))
            if row.receptive_field:
                stride = f", stride {row.receptive_stride}" if row.receptive_stride else ""
                facts.append(("Receptive field", f"{row.receptive_field}×{row.receptive_field} pixels{stride}"))
            st.markdown("  \n".join(f"{label}: **{plain(value)}**" for label, value in facts))


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def show_failed(error: Any) -> None:
    """Show how far the images came, and where they did not fit."""
    picture = draw(failed_boxes(error.steps, image_size=error.steps[0].input_shape[-1]), title="Up to the failure")
    graph("arch-failed", picture.svg, network="failed", on_pick=lambda _name: None, from_end=True)


def show_comparison(design: Design, other: Design, batch: int) -> None:
    """Show two networks' totals and their layers in pairs."""
    left, right = summary_of(design, batch), summary_of(other, batch)
    facts = [
        ("Parameters", left.total_params, right.total_params, format_count),
        ("Mult-adds an image", left.mult_adds_per_image, right.mult_adds_per_image, format_count),
        (
            f"Forward/backward, batch of {batch:,}",
            left.forward_backward_bytes,
            right.forward_backward_bytes,
            format_bytes,
        ),
        ("Layers", len(_leaves(left)), len(_leaves(right)), format_count),
    ]
    with st.grid(2, min_column_width=200, key=element("arch-compared")):
        for label, a, b, words in facts:
            st.metric(label, f"{words(a)} | {words(b)}", _times(a, b), delta_color="off", delta_arrow="off")
    pairs = compare(left, right)
    here, there = _two_names(design, other)
    marks = {"same": "=", "changed": "≠ changed", "only left": "← only here", "only right": "→ only there"}
    st.dataframe(
        [
            {
                here: _line(pair.left),
                "Match": marks[pair.verdict],
                there: _line(pair.right),
                "Output": _both(*(_shape(row.output_shape[1:]) if row else "" for row in (pair.left, pair.right))),
                "Parameters": _both(_number(pair.left), _number(pair.right)),
            }
            for pair in pairs
        ],
        hide_index=True,
        width="stretch",
        height=min(len(pairs), _SHOWN_PAIRS) * _ROW_PX + _HEAD_PX,
        row_height=_ROW_PX,
        column_config={"Match": st.column_config.TextColumn(width=_MATCH_PX)},
        key=element("arch-pairs"),
        alt="Layers of both networks in pairs",
    )
    same = sum(pair.verdict == "same" for pair in pairs)
    st.caption(f"{same} of {len(pairs)} lines are the same: kind, window, output and parameters.")


def _two_names(design: Design, other: Design) -> tuple[str, str]:
    if design.arch != other.arch:
        return design.arch, other.arch
    return f"{design.arch} (left)", f"{other.arch} (right)"


def _leaves(summary: Summary) -> list[LayerRow]:
    return [row for row in summary.layers if row.is_leaf]


def _line(row: LayerRow | None) -> str:
    if row is None:
        return ""
    window = f" {row.kernel_size}×{row.kernel_size}" if row.kernel_size else ""
    return f"{row.name.removeprefix('features.')} · {row.type}{window}"


def _both(left: str, right: str) -> str:
    """Return what two layers have in one cell: once where it is the same, else beside each other; a dash for none."""
    return left if left == right else f"{left or '–'} | {right or '–'}"


def _number(row: LayerRow | None) -> str:
    return f"{row.params:,}" if row is not None and row.params else ""


def _times(a: int, b: int) -> str:
    if not a:
        return ""
    if a == b:
        return "the same"
    times = b / a
    if f"{times:.3g}" == "1":
        return f"{format_percent(times - 1, digits=2)} more" if b > a else f"{format_percent(1 - times, digits=2)} less"
    return f"{times:,.0f} times" if times >= _MANY else f"{times:.3g} times"


def show_times(design: Design, batch: int) -> None:
    """Measure one batch on this machine when asked, and show where the time goes."""
    summary = summary_of(design, batch)
    if summary.total_mult_adds > _TIME_LIMIT_MACS or summary.estimated_total_bytes > _TIME_LIMIT_BYTES:
        st.info(
            f"One batch of {plural(batch, 'image')} needs {format_count(summary.total_mult_adds)} mult-adds and about "
            f"{format_bytes(summary.estimated_total_bytes)}: too much to measure while you wait. Choose a smaller "
            "batch or input size.",
            icon=":material/hourglass_disabled:",
        )
        return
    measured = f"{design!r} {batch}"  # of this session: nobody is shown what others measured at another time
    if st.button("Measure", type="primary", icon=":material/timer:", key=element("arch-measure")):
        with st.spinner("Measuring"):
            times = {**ARCHITECTURE.read().times, measured: (measure_times(design, batch), time.time())}
            ARCHITECTURE.change(times=times)
    if measured not in ARCHITECTURE.read().times:
        st.caption(
            "Runs one batch through the network seven times on one thread of this machine's CPU and takes the median. "
            "A training uses more threads, or the GPU where there is one."
        )
        return
    timing, when = ARCHITECTURE.read().times[measured]
    st.metric(
        f"One batch of {plural(batch, 'image')} forward",
        f"{timing.total_ms:.2f} ± {timing.spread_ms:.2f} ms",
        f"{1e3 * batch / timing.total_ms:,.0f} images/s",
        delta_color="off",
        delta_arrow="off",
    )
    st.caption(plain(f"Measured on {show_moment(when)} on one thread of this machine ({describe_machine('cpu')})."))
    if timing.caution():
        st.warning(plain(timing.caution()), icon=":material/warning:")
    _time_table(summary, timing)


def _time_table(summary: Summary, timing: Timing) -> None:
    work = {row.name: row.mult_adds for row in summary.layers}
    inside = sum(layer.median_ms for layer in timing.layers)
    st.dataframe(
        [
            {
                "Layer": layer.name,
                "Type": layer.type,
                "ms": layer.median_ms,
                "Share": percent_number(layer.median_ms / inside, digits=1),
                "± ms": layer.spread_ms,
                "G mult-adds/s": work.get(layer.name, 0) / layer.median_ms / 1e6 or None,
            }
            for layer in timing.layers
        ],
        hide_index=True,
        width="stretch",
        key=element("arch-times"),
        placeholder="",
        alt="Time by layer",
        column_config={
            "ms": st.column_config.NumberColumn(format="%.3f"),
            "± ms": st.column_config.NumberColumn(format="%.3f"),
            "Share": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100),
            "G mult-adds/s": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    st.caption(
        f"Forward only, one thread of the CPU, median of {timing.repeats} passes; ± is slowest minus fastest. The layers add up to "
        f"{inside:.2f} ms, the network without looking inside took {timing.total_ms:.2f} ms."
    )
