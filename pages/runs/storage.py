"""The disk space that runs take, the largest ones, and what can be freed."""

import shutil
from collections.abc import Mapping
from functools import partial
from itertools import islice

import streamlit as st

from lab.formatting import format_bytes, plural
from pages.cache.lab import get_lab
from pages.state.keys import element
from pages.state.session import close_popover, flash
from pages.widgets.frame import show_errors
from pages.widgets.popover import action_popover
from pages.widgets.runs import run_title

_SHOWN = 10  # runs in the table
_FREE = element("storage-free")


def storage_box() -> None:
    """Draw the expander; its contents are computed only when it is opened."""
    with st.expander("Storage", icon=":material/hard_drive:", on_change="rerun", key=element("storage")) as box:
        if box.open:
            with show_errors():
                _usage()


def _usage() -> None:
    lab = get_lab()
    usage = lab.store.files.measure()
    with st.grid(min_column_width=160, key=element("storage-facts")):
        st.metric("Weights and checkpoints", format_bytes(usage.total))
        st.metric("Of deleted runs", format_bytes(usage.deleted))
        st.metric("Free on this disk", format_bytes(shutil.disk_usage(lab.settings.home).free))
    if usage.of_runs:
        largest = lab.store.runs.list(ids=tuple(islice(usage.of_runs, _SHOWN)), limit=None)
        titles = {run.id: run_title(run) for run in largest}
        st.dataframe(
            usage_rows(usage.of_runs, titles),
            hide_index=True,
            width="stretch",
            column_config={
                "Size": st.column_config.ProgressColumn(
                    "Size", format="%.1f MB", min_value=0, max_value=max(usage.of_runs.values()) / 1e6
                ),
                "Open": st.column_config.LinkColumn("Open", display_text="open"),
            },
            alt="The runs with the largest files",
        )
        st.caption(
            "To delete runs, tick them in the table above and press Delete. The setting “Disk budget” limits how much "
            "a run may save: with a smaller budget, the weights of fewer epochs are kept."
        )
    if usage.deleted_runs:
        count = plural(usage.deleted_runs, "deleted run")
        free = f"Free {format_bytes(usage.deleted)}"
        with action_popover(free, icon=":material/delete_forever:", disabled=lab.settings.read_only, key=_FREE):
            st.markdown("Deleted runs are removed automatically after a week. Once removed, they cannot be restored.")
            st.button(
                f"Remove {count} permanently",
                key=element("storage-purge"),
                on_click=partial(_purge, count),
            )


def usage_rows(of_runs: Mapping[str, int], titles: Mapping[str, str]) -> list[dict[str, str | float]]:
    """Return a row for each of the first runs: title, size in megabytes, link."""
    return [
        {"Run": titles.get(run, run), "Size": size / 1e6, "Open": f"train?run={run}"}
        for run, size in islice(of_runs.items(), _SHOWN)
    ]


def _purge(what: str) -> None:
    close_popover(_FREE)
    with show_errors():
        lab = get_lab()
        lab.store.removal.purge(lab.artifacts.delete, older_than_s=0.0)
        flash(f"{what} removed permanently.")
