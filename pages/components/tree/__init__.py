"""Related runs as a tree, with what was changed from one to the next."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from pages.components.base import component, nothing, reported_value


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A run of the tree. depth: 0 for a run without a parent. here: whether it is the run being shown.

    change: what was changed from its parent. result: of the run. difference: to the result of its parent.
    """

    run: str
    depth: int
    title: str
    change: str
    result: str
    difference: str
    here: bool = False


def run_tree(key: str, nodes: Sequence[TreeNode], *, name: str, on_open: Callable[[str], None]) -> None:
    """Show runs in depth-first order; `on_open` is called with the id of a clicked run, while the page is drawn.

    name: what the tree shows, for screen readers.
    """
    data = {"nodes": [asdict(node) for node in nodes], "name": name}
    component("tree")(key=key, data=data, on_open_change=nothing)
    run = reported_value(key, "open")
    if run is not None and any(node.run == run for node in nodes):
        on_open(str(run))
