"""The layers of one network: slabs, the table as a tree, and downloads."""

import csv
import io
from collections.abc import Sequence
from math import prod
from typing import Any

import streamlit as st

from lab.formatting import format_bytes, format_count, format_percent, format_shape
from lab.inspection.summary import LayerRow, Summary
from pages.architecture.slabs import show_slabs
from pages.cache.design import Design
from pages.components.layers import layer_table
from pages.state.architecture import ARCHITECTURE
from pages.state.keys import element

_LONG = 40  # with more rows than this, inner blocks start folded


def table_rows(summary: Summary) -> list[dict[str, Any]]:
    """Return the rows of the tree below the root; a group has the sums of its layers."""
    rows = [
        {
            "name": row.name,
            "short": row.name.split(".")[-1],
            "type": row.type,
            "depth": row.depth - 1,
            "leaf": row.is_leaf,
            "shape": format_shape(row.output_shape[1:]),
            "size": prod(row.output_shape),
            "field": row.receptive_field,
            "step": row.receptive_stride,
            **_numbers(summary, *_sums(summary.layers, index)),
        }
        for index, row in enumerate(summary.layers)
        if row.depth > 0
    ]
    if hidden := summary.layers[0].params:
        auxiliary = {"name": "auxiliary", "short": "auxiliary", "type": "training only", "depth": 0, "leaf": True}
        rows.append(
            {**auxiliary, "shape": "", "size": 0, "field": None, "step": None, **_numbers(summary, hidden, 0, 0)}
        )
    return rows


def _numbers(summary: Summary, params: int, mult_adds: int, held: int) -> dict[str, Any]:
    """Return a row's numbers and their texts, "" for 0. mult_adds: of the whole batch. held: bytes of the outputs."""
    one = mult_adds // summary.batch
    param_share, work_share = params / max(1, summary.total_params), mult_adds / max(1, summary.total_mult_adds)
    return {
        "params": params,
        "params_text": f"{params:,}" if params else "",
        "param_share": param_share,
        "param_share_text": format_percent(param_share, digits=1),
        "mult_adds": one,
        "mult_adds_text": format_count(one) if one else "",
        "work_share": work_share,
        "work_share_text": format_percent(work_share, digits=1),
        "bytes": held,
        "bytes_text": format_bytes(held) if held else "",
    }


def _sums(layers: Sequence[LayerRow], index: int) -> tuple[int, int, int]:
    """Return the parameters, mult-adds and output bytes of a row, summed over everything below it."""
    part = [layers[index]]
    for row in layers[index + 1 :]:
        if row.depth <= layers[index].depth:
            break
        part.append(row)
    held = sum(row.output_bytes for row in part if row.is_leaf)
    return sum(row.params for row in part), sum(row.mult_adds for row in part), held


def show_layers(design: Design, summary: Summary) -> None:
    """Show the slabs, and below them the tree and its downloads."""
    show_slabs(design)
    rows = table_rows(summary)
    folded = [r["name"] for r in rows if not r["leaf"] and r["depth"] > 0] if len(rows) > _LONG else []
    layer_table("arch-layers", rows, network=repr(design), folded=folded, selected=ARCHITECTURE.read().selected)
    st.caption(
        f"Counted by torchinfo: **Mult-adds** per image, **Memory** of the outputs for a batch of {summary.batch:,}. "
        "**Receptive field** is in pixels of the resized image, and **Stride** is the distance between neighbouring "
        "fields. The receptive field of a linear layer is the whole image. Click a heading to sort, or an arrow to fold "
        "a block."
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
