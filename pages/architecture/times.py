"""Measured times of one network's layers on this machine."""

import time

import streamlit as st

from lab.formatting import format_bytes, format_count, percent_number, plural
from lab.inspection.summary import Summary
from lab.inspection.timing import Timing
from pages.cache.design import Design
from pages.cache.inspection import measure_times, summary_of
from pages.markdown import plain
from pages.state.architecture import ARCHITECTURE
from pages.state.keys import element
from pages.widgets.machine import describe_machine
from pages.widgets.runs import show_moment

_TIME_LIMIT_MACS, _TIME_LIMIT_BYTES = 60e9, 1.5e9  # about half a minute on one core; the memory of a small machine


def show_times(design: Design, batch: int) -> None:
    """Measure one batch on this machine on request, and show where the time goes."""
    summary = summary_of(design, batch)
    if summary.total_mult_adds > _TIME_LIMIT_MACS or summary.estimated_total_bytes > _TIME_LIMIT_BYTES:
        st.info(
            f"One batch of {plural(batch, 'image')} needs {format_count(summary.total_mult_adds)} mult-adds and about "
            f"{format_bytes(summary.estimated_total_bytes)}: too much to measure while you wait. Choose a smaller "
            "batch or input size.",
            icon=":material/hourglass_disabled:",
        )
        return
    measured = f"{design!r} {batch}"  # kept in this session only: other sessions measured at other times
    if st.button("Measure", type="primary", icon=":material/timer:", key=element("arch-measure")):
        with st.spinner("Measuring"):
            times = {**ARCHITECTURE.read().times, measured: (measure_times(design, batch), time.time())}
            ARCHITECTURE.change(times=times)
    if measured not in ARCHITECTURE.read().times:
        st.caption(
            "Runs one batch through the network seven times on one CPU thread of this machine and takes the median. "
            "Training uses more threads, or the GPU if there is one."
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
    st.caption(plain(f"Measured on {show_moment(when)} on one CPU thread of this machine ({describe_machine('cpu')})."))
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
        f"Forward pass only, one CPU thread, median of {timing.repeats} passes; ± is slowest minus fastest. The layers "
        f"add up to {inside:.2f} ms; the whole network without timing hooks took {timing.total_ms:.2f} ms."
    )
