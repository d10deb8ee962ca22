"""Export and import of runs: a menu of all export formats, and an uploader for bundles.

A file is written on request, and errors are shown as their message; the download itself needs no rerun.
"""

import re
from collections.abc import Mapping, Sequence

import streamlit as st

from lab.errors import InputError
from lab.formatting import plural
from lab.lazy import load
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing.formats import ExportFormat, export_runs, find_runs, list_formats, zip_files
from pages.cache.torch_import import require_torch
from pages.markdown import plain
from pages.state.keys import element
from pages.state.session import close_popover, flash
from pages.state.shared import SHARE
from pages.widgets.frame import show_errors
from pages.widgets.popover import action_popover
from pages.widgets.runs import run_title

MAX_FOUND = 200  # runs of a search in one file, which is written in the server's memory; the command has no limit
_LARGEST_MB = 1024  # limit of an uploaded bundle
_CHOSEN, _FOUND = "chosen", "found"
_IMPORT = element("share-import-box")


def export_panel(lab: Lab, runs: Sequence[RunRecord], *, search: str | None = None, take_in: bool = True) -> None:
    """Draw "Export" for these runs, if there are any, and next to it "Import" for a bundle if `take_in`.

    search: offers to export all runs that this search finds; "" finds all, None offers nothing.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if runs or search is not None:
            with st.popover("Export", icon=":material/download:"):
                _export(lab, tuple(runs), search)
        if take_in:
            with action_popover("Import", icon=":material/upload:", disabled=lab.settings.read_only, key=_IMPORT):
                _import(lab)


@st.fragment
def _export(lab: Lab, runs: tuple[RunRecord, ...], search: str | None) -> None:
    found = _of_search(runs, search)
    several = found or len(runs) > 1
    formats = {f.id: f for f in list_formats() if f.many or not several}
    field = "several" if several else "format"
    chosen = formats[
        st.selectbox(
            "Format",
            list(formats),
            format_func=lambda name: formats[name].title,
            help="Weights, networks and code are exported for one run at a time; the other formats hold several runs too.",
            **SHARE.widget(field, value=getattr(SHARE.read(), field) or next(iter(formats))),
        )
    ]
    st.caption(plain(chosen.help))
    if not st.button("Write the file", key=element("share-write"), type="primary"):
        return
    with show_errors():
        with st.spinner("Writing…"):
            require_torch()
            runs = _found_runs(lab, search or "") if found else runs
            files = export_runs(lab, runs, format=chosen.id)
        for name, data in downloads(files, chosen, file_stem(runs)).items():
            st.download_button(
                name,
                data,
                name,
                _mime(name, chosen),
                icon=":material/download:",
                on_click="ignore",
                key=element("share-download", name),
            )


def _of_search(runs: Sequence[RunRecord], search: str | None) -> bool:
    """Ask whether to export the chosen runs or all that the search finds, if both are possible; True for all found."""
    if search is None or not runs:
        return search is not None
    words = {
        _CHOSEN: f"{plural(len(runs), 'chosen run')}",
        _FOUND: "All runs found" if search else "All runs",
    }
    asked = st.segmented_control(
        "Runs", list(words), format_func=words.__getitem__, required=True, **SHARE.widget("which")
    )
    return bool(asked == _FOUND)


def _found_runs(lab: Lab, search: str) -> tuple[RunRecord, ...]:
    runs = find_runs(lab.store.runs, search, limit=MAX_FOUND + 1)
    if len(runs) > MAX_FOUND:
        raise InputError(
            f"More than {MAX_FOUND} runs were found: narrow the search, or use `convlab export --filter`, which has "
            "no limit."
        )
    return runs


def _mime(name: str, format: ExportFormat) -> str:
    if name.endswith(".zip"):
        return "application/zip"
    return format.mime if name.endswith(format.suffix) else "text/markdown"


def file_stem(runs: Sequence[RunRecord]) -> str:
    """Return a file name without its suffix: ASCII letters, digits and dashes, whatever the runs are called."""
    if len(runs) > 1:
        return f"convlab-{len(runs)}-runs"
    words = re.sub(r"[^A-Za-z0-9]+", "-", runs[0].name or runs[0].config.arch).strip("-")[:40]
    return f"{words or 'run'}-{runs[0].id}"


def downloads(files: Mapping[str, bytes], format: ExportFormat, stem: str) -> dict[str, bytes]:
    """Return the downloads by file name; a format with a folder becomes one zip."""
    if not format.folder and not format.main:
        return {stem + (ending or format.suffix): data for ending, data in files.items()}
    return {f"{stem}-{format.id}.zip": zip_files(files, format, stem=stem)}


def _import(lab: Lab) -> None:
    number = SHARE.read().upload
    upload = st.file_uploader(
        "Bundle (.zip)", ["zip"], key=element("share-upload", number), max_upload_size=_LARGEST_MB
    )
    st.caption("A bundle is checked completely before anything is stored, and nothing in it is ever executed.")
    if not st.button("Import the bundle", key=element("share-import"), disabled=upload is None) or upload is None:
        return
    with show_errors():
        with st.spinner("Checking and importing…"):
            require_torch()
            arrived = load("lab.sharing.bundle.read:import_bundle")(lab, upload)
        SHARE.change(upload=number + 1)  # a fresh, empty uploader
        close_popover(_IMPORT)
        names = ", ".join(map(run_title, arrived[:5]))
        flash(f"Imported {plural(len(arrived), 'run')}: {plain(names)}.")
        st.rerun()
