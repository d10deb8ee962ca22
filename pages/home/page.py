"""Home: a pad with live recognition, the next steps, the most recent runs, this machine and its data sets."""

import streamlit as st

from lab.data.local import list_imported
from lab.data.registry import list_datasets
from lab.formatting import plural
from lab.presets import get_preset
from pages.cache.lab import get_lab
from pages.home.reading import reading_pad
from pages.home.recent import recent
from pages.markdown import plain
from pages.registry import has_page, list_pages, page_path
from pages.state.address import refuse_parameters
from pages.state.keys import element
from pages.widgets.datasets import fetch_button
from pages.widgets.frame import page_frame
from pages.widgets.machine import describe_machine
from pages.widgets.runs import local_title, present_datasets
from pages.widgets.start import start_training

_STEPS = ("draw", "runs")  # pages that the three steps lead to


def main() -> None:
    """Draw the page."""
    page_frame(
        "ConvLab",
        "Train networks that read handwriting, watch them learn, look inside, and test them with a drawing.",
    )
    refuse_parameters()
    lab = get_lab()
    reading_pad()
    present = [spec.id for spec in present_datasets(lab.settings)]
    _steps(present, enabled=not lab.settings.read_only)
    left, right = st.columns([3, 2], gap="large")
    with left:
        recent()
    with right:
        _machine()
        _datasets(present)
    _other_pages()


def _steps(present: list[str], *, enabled: bool) -> None:
    """Draw the three steps: draw, train, compare."""
    with st.grid(3, min_column_width=240, key=element("steps")):
        with st.container(border=True, height="stretch", key=element("step-draw")):
            st.markdown("**1 · Draw**")
            st.caption("Draw above. The Draw page shows what several networks make of your drawing, and why.")
            if has_page("draw"):
                st.page_link(page_path("draw"), label="Continue with this drawing", icon=":material/draw:")
        with st.container(border=True, height="stretch", key=element("step-train")):
            st.markdown("**2 · Train your own**")
            _start(present, enabled=enabled)
        with st.container(border=True, height="stretch", key=element("step-compare")):
            st.markdown("**3 · Compare**")
            st.caption("Curves, settings and results of several runs, side by side.")
            if has_page("runs"):
                st.page_link(page_path("runs"), label="Compare runs", icon=":material/table_rows:")


def _start(present: list[str], *, enabled: bool) -> None:
    mnist = get_preset("lenet5").config().dataset in present
    label = f"Train a LeNet on {'MNIST' if mnist else 'the built-in digits'}"
    pressed = st.button(
        label,
        type="primary",
        icon=":material/play_arrow:",
        key=element("train-lenet"),
        width="stretch",
        disabled=not enabled,
    )
    _train("lenet5" if mnist else "lenet5-digits", pressed=pressed)
    if mnist:
        fast = st.button("99 % in seconds", icon=":material/bolt:", key=element("train-speedrun"), disabled=not enabled)
        _train("speedrun", pressed=fast)
    st.page_link(page_path("train"), label="Choose network and settings", icon=":material/tune:")


def _train(preset: str, *, pressed: bool) -> None:
    start_training(get_preset(preset).config(), place=f"home-{preset}", pressed=pressed, short=True)


def _other_pages() -> None:
    pages = [spec for spec in list_pages() if spec.teaser and spec.name not in _STEPS]
    with st.grid(max(1, len(pages)), min_column_width=220, key=element("pages")):
        for spec in pages:
            with st.container(border=True, height="stretch", key=element("page", spec.name)):
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
                images = plural(spec.train_images + spec.test_images, "image")
                classes = plural(len(spec.classes), "class", "classes")
                st.markdown(f":material/check: &nbsp;**{spec.title}** &nbsp;{images}, {classes}")
        for spec in list_imported(root=get_lab().settings.data):
            st.markdown(f":material/check: &nbsp;**{plain(local_title(spec))}** &nbsp;from a file")
    others = [spec for spec in list_datasets() if spec.id not in present]
    if others:
        rest = f" and {len(others) - 1} more" if others[1:] else ""
        with st.expander(f"Get {others[0].title}{rest}", icon=":material/download:"):
            st.caption(
                "Downloaded from torchvision's sources. Files already in torchvision's layout under "
                f"`{get_lab().settings.data}` are found too."
            )
            for spec in others:
                st.markdown(f"**{spec.title}** · {spec.download_mb} MB  \n{spec.description}")
                fetch_button(spec, key=element("home"))


main()
