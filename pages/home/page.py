"""Home: what the lab is, one button that trains at once, what is available, and what was done last."""

import streamlit as st

from lab.data.registry import list_datasets
from lab.formatting import plural
from lab.presets import get_preset
from lab.runs.records import RunRecord, RunState
from pages.cache.lab import get_lab
from pages.registry import has_page, list_pages, page_path
from pages.state.address import refuse_parameters
from pages.state.keys import element
from pages.widgets.datasets import fetch_button
from pages.widgets.frame import page_frame, shows_errors
from pages.widgets.machine import describe_machine
from pages.widgets.runs import REFRESH_S, present_datasets, run_line
from pages.widgets.start import start_training

_RECENT = 6


def main() -> None:
    """Draw the page."""
    page_frame("ConvLab", "Train the networks that read handwriting, watch them learn, look inside, and draw for them.")
    refuse_parameters()
    lab = get_lab()
    present = [spec.id for spec in present_datasets(lab.settings)]
    _start(present, enabled=not lab.settings.read_only)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _recent()
        _other_pages()
    with right:
        _machine()
        _datasets(present)


def _start(present: list[str], *, enabled: bool) -> None:
    mnist = get_preset("lenet5").config().dataset in present
    with st.container(horizontal=True, vertical_alignment="center"):
        label = "Train LeNet-5 on MNIST" if mnist else "Train LeNet-5 on the built-in digits"
        pressed = st.button(
            label, type="primary", icon=":material/play_arrow:", key=element("train-lenet"), disabled=not enabled
        )
        _train("lenet5" if mnist else "lenet5-digits", pressed=pressed)
        if mnist:
            fast = st.button(
                "99 % in seconds", icon=":material/bolt:", key=element("train-speedrun"), disabled=not enabled
            )
            _train("speedrun", pressed=fast)
        st.page_link(page_path("train"), label="Choose network and settings", icon=":material/tune:")


def _train(preset: str, *, pressed: bool) -> None:
    start_training(get_preset(preset).config(), place=f"home-{preset}", pressed=pressed)


def _recent() -> None:
    st.header("Recent runs", anchor=False)
    runs = _runs()
    if not runs:
        with st.container(border=True):
            st.markdown("**No runs yet.** Press the button above: the first curves appear within seconds.")
        return
    live = any(run.state.live for run in runs)
    st.fragment(_recent_lines, run_every=REFRESH_S if live else None)(live=live)
    if has_page("runs"):
        st.page_link(page_path("runs"), label="All runs", icon=":material/arrow_forward:")


def _runs() -> list[RunRecord]:
    """Return the runs in training, however long ago they were asked for, then the newest ones."""
    store = get_lab().store
    training = [run for run in store.queue.list(limit=_RECENT) if run.state is not RunState.QUEUED]
    shown = {run.id for run in training}
    newest = store.runs.list(limit=_RECENT, problems=True)
    return [*training, *(run for run in newest if run.id not in shown)][:_RECENT]


@shows_errors
def _recent_lines(*, live: bool) -> None:
    runs = _runs()
    with st.container(border=True):
        for run in runs:
            run_line(run, key=element("recent", run.id))
    if live and not any(run.state.live for run in runs):
        st.rerun()  # nothing is left to refresh


def _other_pages() -> None:
    with st.grid(min_column_width=220, key=element("pages")):
        for spec in list_pages():
            if spec.teaser:
                with st.container(border=True, key=element("page", spec.name)):
                    st.page_link(page_path(spec.name), label=f"**{spec.title}**", icon=spec.icon)
                    st.caption(spec.teaser)


def _machine() -> None:
    st.header("This machine", anchor=False)
    with st.container(border=True):
        st.markdown(f":material/memory: &nbsp;{describe_machine(get_lab().settings.device)}")


def _datasets(present: list[str]) -> None:
    st.header("Data sets", anchor=False)
    with st.container(border=True):
        for spec in list_datasets():
            if spec.id in present:
                facts = f"{plural(spec.train_images + spec.test_images, 'image')}, {plural(len(spec.classes), 'class', 'classes')}"
                st.markdown(f":material/check: &nbsp;**{spec.title}** &nbsp;{facts}")
    others = [spec for spec in list_datasets() if spec.id not in present]
    if others:
        with st.expander(f"Get {len(others)} more", icon=":material/download:"):
            st.caption(
                "Fetched from torchvision's addresses. Files in torchvision's layout under "
                f"`{get_lab().settings.data}` are found as well."
            )
            for spec in others:
                st.markdown(f"**{spec.title}** · {spec.download_mb} MB  \n{spec.description}")
                fetch_button(spec, key=element("home"))


main()
