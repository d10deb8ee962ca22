"""Train: choose an experiment, see its estimated cost, start it, watch it.

With `?run=` in the address, the page shows that run, so a link or a reload opens it again.
"""

import streamlit as st

from lab.config import FIELDS, RunConfig
from lab.data.load import is_present
from lab.data.local import list_imported
from lab.data.registry import choose_dataset, get_dataset_spec
from lab.errors import ConfigError
from pages.cache.lab import get_lab
from pages.markdown import with_code
from pages.registry import has_page, page_path
from pages.state.address import complain, find_run
from pages.state.asking import ASKING
from pages.state.keys import element
from pages.state.train import TRAIN, complain_of_link, fill_form, refuse_unknown_settings, show_link, take_link
from pages.train.cost import cost_card
from pages.train.form import train_form
from pages.train.queue import live_runs
from pages.train.run_view import show_run
from pages.widgets.datasets import fetch_offer
from pages.widgets.executors import executor_input
from pages.widgets.frame import page_frame
from pages.widgets.runs import present_datasets
from pages.widgets.start import start_training


def main() -> None:
    """Draw the run in the address, else the form."""
    run, problem = find_run(TRAIN.text("run"))
    if run is None:
        page_frame("Train", "Choose a network and its settings, see the estimated cost, and watch the curves grow.")
    if run is not None:
        TRAIN.refuse_unknown()
        show_run(run)
        return
    refuse_unknown_settings()
    if problem:
        complain(problem)
    live_runs()
    _form()


def _form() -> None:
    lab = get_lab()
    present = [spec.id for spec in present_datasets(lab.settings)]
    fresh = RunConfig(dataset=choose_dataset(present).id)
    if not TRAIN.read().ready:
        fill_form(fresh)
    take_link(fresh)
    ASKING.take("owner")
    problems = st.container()
    left, right = st.columns([2, 1], gap="medium")
    imported = [spec.id for spec in list_imported(root=lab.settings.data)]
    with left:
        config, error = train_form([*present, *imported])
    if config is not None:
        show_link(config, fresh)
    ASKING.show("owner")
    with problems:
        complain_of_link()
    with right, st.container(key=element("cost-card")):
        _card(config, error)


def _card(config: RunConfig | None, error: ConfigError | None) -> None:
    """Draw what is next to the form: the button that starts the run, its cost, and the ways on."""
    settings = get_lab().settings
    # Not the listed ones: the data set may be the drawings of a fine-tuned run, which no list contains.
    ready = config is not None and is_present(config.dataset, root=settings.data)
    if config is not None and not ready:
        fetch_offer(get_dataset_spec(config.dataset))
    executor = executor_input(TRAIN)
    pressed = _train_button(ready=ready)
    if error is not None:
        wrong = FIELDS[error.field].label if error.field in FIELDS else with_code(str(error))
        st.caption(f"Correct this first: {wrong}")
    if config is not None:
        priority, baseline = ASKING.read().priority, TRAIN.read().baseline
        start_training(config, place="train", pressed=pressed, priority=priority, executor=executor, baseline=baseline)
    # An unknown number of images has no cost.
    if config is not None and (ready or get_dataset_spec(config.dataset).train_images):
        cost_card(config)
    if has_page("sweeps"):
        st.page_link(page_path("sweeps"), label="Vary these settings in a sweep", icon=":material/grain:")
    if settings.read_only:
        st.info("This lab is read-only: runs can be viewed but not started.", icon=":material/lock:")


def _train_button(*, ready: bool) -> bool:
    with st.container(key=element("train-bar")):
        return st.button(
            "Train",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            key=element("train-button"),
            disabled=not ready or get_lab().settings.read_only,
        )


main()
