"""A run's lineage: a line on its origin below its title, and the tree of related runs with what was changed."""

from collections.abc import Sequence

import streamlit as st

from lab.formatting import format_percent
from lab.runs.records import RunRecord
from lab.service.lineage import FORK_STATES, MAX_RUNS, TreeRow, change_words, origin_of, origin_words
from pages.cache.lab import get_lab
from pages.components.tree import TreeNode, run_tree
from pages.markdown import plain
from pages.registry import page_path
from pages.state.keys import element
from pages.widgets.runs import run_title

_ICON = ":material/fork_right:"


def show_origin(run: RunRecord) -> None:
    """Show a run's origin, with what was changed and how a fork began; nothing for a run without a parent."""
    origin = origin_of(run)
    if origin is None:
        return
    above = get_lab().holding(run.id).lineage.parent(run)
    words = origin_words(origin, name=run_title(above) if above else origin.run)
    words = f"{words[0].upper()}{words[1:]}"
    began = FORK_STATES.get(run.environment.fork_state or "", "")
    if above is None:
        st.caption(plain(f"{words}, which is not in this lab. {began}".strip()))
        return
    label = plain(f"{words}: {change_words(above.config, run.config)}")
    help = plain(f"Open that run. {began}")
    if st.button(label, icon=_ICON, key=element("origin", run.id), type="tertiary", help=help):
        _open(above.id)


def show_tree(place: str, runs: Sequence[RunRecord], *, here: str = "") -> None:
    """Draw the trees of these runs. place: prefix of the keys. here: the run that is being shown."""
    rows = get_lab().lineage.tree(runs)
    nodes = [_node(row, here=here) for row in rows]
    run_tree(element("tree", place), nodes, name="Runs and what was changed from one to the next", on_open=_open)
    if len(rows) >= MAX_RUNS:
        st.caption(f"Only the first {MAX_RUNS} runs are drawn.")


def has_relatives(run: RunRecord) -> bool:
    """Whether a run has a parent or children in this lab."""
    lineage = get_lab().lineage
    return lineage.parent(run) is not None or bool(lineage.children(run.id))


def _node(row: TreeRow, *, here: str) -> TreeNode:
    run = row.run
    tested = run.headline.test_accuracy is not None
    result = f"{format_percent(run.headline.test_accuracy)} test" if tested else run.status
    return TreeNode(run.id, row.depth, run_title(run), row.change, result, row.difference, here=run.id == here)


def _open(run: str) -> None:
    st.switch_page(page_path("train"), query_params={"run": run})
