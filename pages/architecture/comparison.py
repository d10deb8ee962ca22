"""Two networks side by side: their totals, and their layers in pairs."""

import streamlit as st

from lab.architectures.registry import arch_title
from lab.formatting import format_bytes, format_count, format_percent, format_shape
from lab.inspection.compare import compare
from lab.inspection.summary import LayerRow, Summary
from pages.cache.design import Design
from pages.cache.inspection import summary_of
from pages.state.keys import element

_MATCH_PX = 105  # fits the longest word of the column
_SHOWN_PAIRS = 20  # rows visible without scrolling
_ROW_PX, _HEAD_PX = 36, 40
_MANY = 100  # ratios from here on are written without decimals


def show_comparison(design: Design, other: Design, batch: int) -> None:
    """Show two networks' totals and their layers in pairs."""
    left, right = summary_of(design, batch), summary_of(other, batch)
    _show_totals(left, right, batch)
    pairs = compare(left, right)
    here, there = _two_names(design, other)
    marks = {"same": "=", "changed": "≠ changed", "only left": "← only here", "only right": "→ only there"}
    st.dataframe(
        [
            {
                here: _line(pair.left),
                "Match": marks[pair.verdict],
                there: _line(pair.right),
                "Output": _both(
                    *(format_shape(row.output_shape[1:]) if row else "" for row in (pair.left, pair.right))
                ),
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
    st.caption(f"{same} of {len(pairs)} rows match in layer type, kernel size, output shape and parameters.")


def _show_totals(left: Summary, right: Summary, batch: int) -> None:
    facts = [
        ("Parameters", left.total_params, right.total_params, format_count),
        ("Mult-adds per image", left.mult_adds_per_image, right.mult_adds_per_image, format_count),
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


def _two_names(design: Design, other: Design) -> tuple[str, str]:
    if design.arch != other.arch:
        return arch_title(design.arch), arch_title(other.arch)
    return f"{arch_title(design.arch)} (left)", f"{arch_title(other.arch)} (right)"


def _leaves(summary: Summary) -> list[LayerRow]:
    return [row for row in summary.layers if row.is_leaf]


def _line(row: LayerRow | None) -> str:
    if row is None:
        return ""
    window = f" {row.kernel_size}×{row.kernel_size}" if row.kernel_size else ""
    return f"{row.name.removeprefix('features.')} · {row.type}{window}"


def _both(left: str, right: str) -> str:
    """Return one cell for two layers: their common value, or both values with a dash for a missing one."""
    return left if left == right else f"{left or '–'} | {right or '–'}"


def _number(row: LayerRow | None) -> str:
    return f"{row.params:,}" if row is not None and row.params else ""


def _times(a: int, b: int) -> str:
    if not a or not b:
        return ""
    if a == b:
        return "the same"
    times = b / a
    if f"{times:.3g}" == "1":
        return f"{format_percent(times - 1, digits=2)} more" if b > a else f"{format_percent(1 - times, digits=2)} less"
    sign, fold = ("×", times) if b > a else ("÷", 1 / times)
    return f"{sign} {fold:,.0f}" if fold >= _MANY else f"{sign} {fold:.3g}"
