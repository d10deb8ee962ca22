"""torchinfo's totals of one network."""

import streamlit as st

from lab.formatting import format_bytes, format_count, unbroken
from lab.inspection.summary import Summary
from pages.state.keys import element


def show_totals(summary: Summary) -> None:
    """Show torchinfo's totals."""
    frozen = summary.total_params - summary.trainable_params
    facts = [
        ("Parameters", f"{summary.total_params:,}", f"{frozen:,} of them are not trained." if frozen else None),
        (
            "Mult-adds per image",
            format_count(summary.mult_adds_per_image),
            "Multiply-add operations of the forward pass. torchinfo and the reports count them for a whole batch.",
        ),
        (
            f"Mult-adds, batch of {summary.batch:,}",
            format_count(summary.total_mult_adds),
            None,
        ),
        (
            "Forward/backward",
            format_bytes(summary.forward_backward_bytes),
            f"Outputs of the layers that have parameters, for a batch of {summary.batch:,}, counted twice: for the "
            "forward and the backward pass.",
        ),
        ("Parameter size", format_bytes(summary.params_bytes), None),
        (
            "Estimated total",
            format_bytes(summary.estimated_total_bytes),
            f"Input, outputs and parameters for a batch of {summary.batch:,}.",
        ),
    ]
    with st.grid(3, min_column_width=150, key=element("arch-totals")):
        for label, value, words in facts:
            st.metric(label, unbroken(value), help=words)
