"""Train: choose an experiment, see what it will cost, start it, watch it.

With `?run=` in the address the page is attached to that run; a link or a reload finds it again.
"""

import streamlit as st

from lab.config import RunConfig
from lab.data.load import is_present
from lab.data.registry import get_dataset_spec
from lab.errors import RunNotFoundError
from lab.runs.records import RunRecord
from pages.ui import state
from pages.ui.cost import cost_card
from pages.ui.datasets import default_dataset, fetch_offer
from pages.ui.form import train_form
from pages.ui.frame import page_frame, plain, show_errors, shows_errors
from pages.ui.lab import get_lab
from pages.ui.run_view import show_run, watch
from pages.ui.widgets import REFRESH_S, present_datasets, run_line

_NEWEST = 20  # runs among which live ones are looked for
_SHOWN = 3


def main() -> None:
    """Draw the run in the address, else the form."""
    run = _run_in_address()
    if run is not None:
        show_run(run)
        return
    page_frame("Train", "Choose a network and its settings, see what they cost, and watch the curves grow.")
    _live_runs()
    _form()


def _run_in_address() -> RunRecord | None:
    wanted = st.query_params.get("run", "")
    if not wanted:
        return None
    try:
        return get_lab().store.get(wanted)
    except RunNotFoundError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _live_runs() -> None:
    live = any(run.state.live for run in get_lab().store.list_runs(limit=_NEWEST))
    if live:
        st.fragment(_live_lines, run_every=REFRESH_S)()


@shows_errors
def _live_lines() -> None:
    live = [run for run in get_lab().store.list_runs(limit=_NEWEST) if run.state.live]
    if not live:
        st.rerun()  # nothing is left to refresh
    with st.container(border=True):
        for run in live[:_SHOWN]:
            run_line(run, key=f"live-line-{run.id}")


def _form() -> None:
    lab = get_lab()
    present = [spec.id for spec in present_datasets(lab.settings)]
    if not state.form_ready():
        state.fill_form(RunConfig(dataset=default_dataset(present)))
    left, right = st.columns([2, 1], gap="large")
    with left:
        config, _ = train_form(present)
    # The data set may be drawings of a run that was fine-tuned, which no list has.
    ready = config is not None and is_present(config.dataset, root=lab.settings.data)
    with right, st.container(key="cost-card"):
        if config is not None and not ready:
            fetch_offer(get_dataset_spec(config.dataset))
        pressed = st.button(
            "Train", type="primary", icon=":material/play_arrow:", width="stretch", key="train-button",
            disabled=not ready or lab.settings.read_only,
        )  # fmt: skip
        if pressed and config is not None:
            _start(config)
        if config is not None and (ready or get_dataset_spec(config.dataset).train_images):  # else nobody can count
            cost_card(config)
        if lab.settings.read_only:
            st.info("This lab is read-only: runs can be looked at, not started.", icon=":material/lock:")


def _start(config: RunConfig) -> None:
    with show_errors():
        lab = get_lab()
        submission = lab.submit(config)
        lab.ensure_worker()
        watch(submission.run, cached=submission.cached)


main()
