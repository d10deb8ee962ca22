"""Home: what the lab is, one button that trains at once, what is at hand, and what was done last."""

import streamlit as st

from lab.data.registry import list_datasets
from lab.presets import get_preset
from pages.ui.datasets import default_dataset, fetch_button
from pages.ui.frame import PAGES_DIR, SCREENS, page_frame, page_path, show_errors, shows_errors
from pages.ui.lab import get_lab
from pages.ui.machine import describe_machine
from pages.ui.run_view import watch
from pages.ui.widgets import REFRESH_S, present_datasets, run_line

_RECENT = 6
_ROOMS = {
    "runs": "Compare curves and settings, find a run again, take results away.",
    "architecture": "Layers, shapes, parameters and what each value sees.",
    "inside": "Kernels, feature maps and mistakes, epoch by epoch.",
    "draw": "Sketch a digit: the networks read along and show why.",
}


def main() -> None:
    """Draw the page."""
    page_frame("ConvLab", "Train the networks that read handwriting, watch them learn, look inside, and draw for them.")
    lab = get_lab()
    present = [spec.id for spec in present_datasets(lab.settings)]
    _start(present, enabled=not lab.settings.read_only)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _recent()
        _rooms()
    with right:
        _machine()
        _datasets(present)


def _start(present: list[str], *, enabled: bool) -> None:
    mnist = default_dataset(present) == "mnist"
    with st.container(horizontal=True, vertical_alignment="center"):
        label = "Train LeNet-5 on MNIST" if mnist else "Train LeNet-5 on the built-in digits"
        first = st.button(label, type="primary", icon=":material/play_arrow:", key="train-lenet", disabled=not enabled)
        if first:
            _train("lenet5" if mnist else "lenet5-digits")
        if mnist:
            fast = st.button("99 % in seconds", icon=":material/bolt:", key="train-speedrun", disabled=not enabled)
            if fast:
                _train("speedrun")
        st.page_link(page_path("train"), label="Choose network and settings", icon=":material/tune:")


def _train(preset: str) -> None:
    with show_errors():
        lab = get_lab()
        submission = lab.submit(get_preset(preset).config())
        lab.ensure_worker()
        watch(submission.run, cached=submission.cached)


def _recent() -> None:
    st.subheader("Recent runs", anchor=False)
    runs = get_lab().store.list_runs(limit=_RECENT, problems=True)
    if not runs:
        with st.container(border=True):
            st.markdown("**No runs yet.** Press the button above: the first curves appear within seconds.")
        return
    live = any(run.state.live for run in runs)
    st.fragment(_recent_lines, run_every=REFRESH_S if live else None)(live=live)
    if (PAGES_DIR / "runs.py").is_file():
        st.page_link(page_path("runs"), label="All runs", icon=":material/arrow_forward:")


@shows_errors
def _recent_lines(*, live: bool) -> None:
    runs = get_lab().store.list_runs(limit=_RECENT, problems=True)
    with st.container(border=True):
        for run in runs:
            run_line(run, key=f"recent-{run.id}")
    if live and not any(run.state.live for run in runs):
        st.rerun()  # nothing is left to refresh


def _rooms() -> None:
    rooms = [(name, title, icon) for name, title, icon, _ in SCREENS if name in _ROOMS]
    with st.grid(min_column_width=220, key="rooms"):
        for name, title, icon in rooms:
            if (PAGES_DIR / f"{name}.py").is_file():
                with st.container(border=True, key=f"room-{name}"):
                    st.page_link(page_path(name), label=f"**{title}**", icon=icon)
                    st.caption(_ROOMS[name])


def _machine() -> None:
    st.subheader("This machine", anchor=False)
    with st.container(border=True):
        st.markdown(f":material/memory: &nbsp;{describe_machine(get_lab().settings.device)}")


def _datasets(present: list[str]) -> None:
    st.subheader("Data sets", anchor=False)
    with st.container(border=True):
        for spec in list_datasets():
            if spec.id in present:
                facts = f"{spec.train_images + spec.test_images:,} images, {len(spec.classes)} classes"
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
                fetch_button(spec, key="home")


main()
