"""Where a run came from and what came from it: a line below its title, and the tree of what was changed."""

from collections.abc import Sequence

import streamlit as st

from lab.formatting import format_percent
from lab.runs.records import RunRecord
from lab.service.lineage import FORK_STATES, MOST_RUNS, TreeRow, change_words, origin_of, origin_words
from pages.cache.lab import get_lab
from pages.components.tree import TreeNode, run_tree
from pages.markdown import plain
from pages.registry import page_path
from pages.state.keys import element
from pages.widgets.runs import run_title

_ICON = ":material/fork_right:"


def show_origin(run: RunRecord) -> None:
    """Draw where a run came from, with what was changed and how a fork began; nothing for a run that began by itself."""
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
    if st.button(label, icon=_ICON, key=element("origin", run.id), type="tertiary", help=plain(f"Open it. {began}")):
        _open(above.id)


def show_tree(place: str, runs: Sequence[RunRecord], *, here: str = "") -> None:
    """Draw the trees of these runs. place: begins the keys; here: the run that is shown already."""
    rows = get_lab().lineage.tree(runs)
    nodes = [_node(row, here=here) for row in rows]
    run_tree(element("tree", place), nodes, name="Runs and what was changed from one to the next", on_open=_open)
    if len(rows) >= MOST_RUNS:
        st.caption(f"Only the first {MOST_RUNS} runs are drawn.")


def has_relatives(run: RunRecord) -> bool:
    """Whether a run came from another one of this lab, or another one from it."""
    lineage = get_lab().lineage
    return lineage.parent(run) is not None or bool(lineage.children(run.id))


def _node(row: TreeRow, *, here: str) -> TreeNode:
    run = row.run
    tested = run.headline.test_accuracy is not None
    result = f"{format_percent(run.headline.test_accuracy)} test" if tested else run.status
    return TreeNode(run.id, row.depth, run_title(run), row.change, result, row.difference, here=run.id == here)


def _open(run: str) -> None:
    st.switch_page(page_path("train"), query_params={"run": run})
