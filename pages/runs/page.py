"""Runs: find, name and compare them; and the reports' tables next to this lab's measurements.

The whole view is part of the address, so a copied link opens the same view.
"""

from collections.abc import Sequence

import streamlit as st

from lab.examples.catalogue import is_example
from lab.runs.records import RunRecord
from pages.cache.lab import get_lab
from pages.runs.actions import actions, undo_box, watch
from pages.runs.compare import chosen_box, chosen_runs, compare, lost_runs
from pages.runs.examples import examples_box
from pages.runs.reports import reports_view
from pages.runs.storage import storage_box
from pages.runs.table import complaints_box, runs_table
from pages.state.runs import bind, read_view
from pages.state.runs_view import SHOWS, RunsView
from pages.widgets.export_panel import export_panel
from pages.widgets.frame import page_frame, show_errors


def main() -> None:
    """Draw the table and the comparison, or the reports."""
    page_frame("Runs", "Find runs, and compare them with each other and with the reports' results.")
    view, complaints = read_view()
    complaints_box(complaints)
    st.segmented_control(
        "Show",
        list(SHOWS),
        format_func=SHOWS.__getitem__,
        required=True,
        label_visibility="collapsed",
        **bind("show", view.show),
    )
    if view.show == "reports":
        reports_view(view)
    else:
        _runs(view)


def _runs(view: RunsView) -> None:
    page = runs_table(view)
    with show_errors():
        runs = chosen_runs(view)
        complaints_box(lost_runs(view, runs))
        comparison, sharing, below = st.container(), st.container(), st.container()
        with below:
            examples = examples_box(view)
        with comparison:
            _comparison(view, runs, page, examples)
        with sharing:
            own = [run for run in runs if not is_example(run.id)]
            export_panel(get_lab(), own, search=view.search if page else None)
        with below:
            storage_box()
        watch((*page, *runs))


def _comparison(
    view: RunsView, runs: Sequence[RunRecord], page: Sequence[RunRecord], examples: Sequence[RunRecord]
) -> None:
    """Draw the chosen runs and their charts; the actions and the charts' controls are below the charts.

    The offer to restore deleted runs is where the actions were: above the heading, it would be out of sight on a phone.
    """
    if not (page or runs or examples):
        undo_box()
        return
    st.header("Compare", anchor=False)
    chosen_box(view, (*page, *examples), runs)
    undo_box()
    if runs:
        compare(view, runs)
        actions(runs)
    elif not page and not view.search:
        st.caption("No runs are chosen yet. This comparison shows the examples.")
        compare(view.choose([run.id for run in examples]), examples)


main()
