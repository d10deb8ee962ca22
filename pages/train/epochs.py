"""The table of a run's epochs below its curves: the same numbers as text, to read, sort and copy."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from lab.examples.catalogue import is_example
from lab.metrics import MetricSpec, list_epoch_metrics
from lab.runs.records import RunRecord
from lab.sharing.epochs import EpochRow, epoch_rows, recorded_metrics, run_steps
from pages.cache.lab import get_lab
from pages.widgets.frame import show_errors

REFRESH_S = 5.0


def show_epochs(run: RunRecord) -> None:
    """Draw the table, read again every few seconds while the run trains."""
    st.fragment(_epochs, run_every=REFRESH_S if run.state.live else None)(run.id)


def _epochs(run_id: str) -> None:
    with show_errors():
        store = get_lab().holding(run_id).store
        run = store.runs.get(run_id)
        points = store.points.read(run_id, series=tuple(metric.id for metric in list_epoch_metrics()))
        rows = epoch_rows(points)
        if not rows:
            st.caption("No epoch was evaluated yet.")
            return
        metrics = recorded_metrics(rows)
        st.dataframe(
            epoch_frame(rows, metrics, run_steps(run, points)),
            hide_index=True,
            width="stretch",
            placeholder="–",
            column_config={
                "Epoch": st.column_config.NumberColumn(format="%.9g"),
                **{metric.id: _column(metric) for metric in metrics},
                "time_s": st.column_config.NumberColumn("Training time (s)", format="%.1f"),
            },
            alt=f"Metrics of each epoch of {run.name or run.id}",
        )
        words = (
            "Epoch 0 is before training. A dash means that a value was not measured there or is not a finite number."
        )
        export = "" if is_example(run_id) else " *Export* has the table as *Epochs (CSV)*, with all digits."
        st.caption(words + export)


def epoch_frame(rows: tuple[EpochRow, ...], metrics: tuple[MetricSpec, ...], steps: int | None) -> pd.DataFrame:
    """Return the table with one column for each metric, shares in per cent. steps: per epoch, if known."""
    frame = pd.DataFrame({"Epoch": [_rounded(row.epoch(steps)) for row in rows]})
    frame["Step"] = [row.step for row in rows]
    for metric in metrics:
        scale = 100.0 if metric.quantity.is_share else 1.0
        frame[metric.id] = [scale * row.metrics.get(metric.id, float("nan")) for row in rows]
    frame["time_s"] = [row.time_s for row in rows]
    return frame


def _rounded(epoch: float | None) -> float | None:
    return None if epoch is None else round(epoch, 2)


def _column(metric: MetricSpec) -> ColumnConfig:
    title = metric.title[:1].upper() + metric.title[1:]
    return st.column_config.NumberColumn(title, format="%.2f %%" if metric.quantity.is_share else "%.4g")
