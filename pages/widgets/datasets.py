"""Data sets on the pages: why one is not available, and the button that fetches it."""

import streamlit as st

from lab.data.fetch import fetch_dataset
from lab.data.registry import built_in_dataset
from lab.data.spec import DatasetSpec
from lab.formatting import format_bytes
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.state.keys import element
from pages.state.train import set_field
from pages.widgets.frame import show_errors


def fetch_offer(spec: DatasetSpec) -> None:
    """Show that a data set is not downloaded, and offer to fetch it if it can be downloaded."""
    st.info(plain(absent_words(spec)), icon=":material/download:")
    st.button(
        "Use the built-in digits",
        icon=":material/database:",
        key=element("use-digits"),
        on_click=set_field,
        args=("dataset", built_in_dataset().id),
    )
    if spec.remote:
        fetch_button(spec, key=element("offer"))


def absent_words(spec: DatasetSpec) -> str:
    """Return why a data set is not available, and which one is."""
    if spec.remote:
        absent = f"is not on this machine yet ({spec.download_mb} MB)"
    elif spec.local:
        absent = f"are not on this machine: {spec.local}"
    else:
        absent = "is not on this machine: put its files in the data folder"
    return f"{spec.title} {absent}. The built-in digits need no download."


def fetch_button(spec: DatasetSpec, *, key: str) -> None:
    """Draw a button that fetches a data set with a progress bar. A failure is shown as its message."""
    lab = get_lab()
    pressed = st.button(
        f"Fetch {spec.title}",
        icon=":material/download:",
        key=element("fetch", key, spec.id),
        disabled=lab.settings.read_only,
    )
    if not pressed:
        return
    bar = st.progress(0.0, text=f"Fetching {spec.title}")

    def show(name: str, done: int, total: int) -> None:
        share, words = fetched_words(name, done, total)
        bar.progress(share, text=plain(words))

    with show_errors():
        fetch_dataset(spec.id, root=lab.settings.data, progress=show)
        st.rerun()
    bar.empty()


def fetched_words(name: str, done: int, total: int) -> tuple[float, str]:
    """Return how much of a file has arrived, as a share and as text. total: its bytes, 0 if the server does not say."""
    if not total:
        return 0.0, f"{name}: {format_bytes(done)}"
    return min(1.0, done / total), f"{name}: {format_bytes(done)} of {format_bytes(total)}"
