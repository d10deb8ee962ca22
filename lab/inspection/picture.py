"""A network's graph at three levels of detail: every layer, layers with their activations, or blocks.

This module only decides on boxes and arrows; `layout` assigns coordinates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.architectures.shapes import ShapeStep
from lab.formatting import plural
from lab.inspection.graph import GraphNode
from lab.inspection.layer_kinds import kind_named

DETAILS = ("blocks", "layers", "everything")


@dataclass(frozen=True, slots=True)
class Box:
    """One box of the picture.

    names: the modules in it; a click selects the first. inputs: ids of the boxes before it. family: "input",
    "convolution", "linear", "pooling", "join", "block" or "other". failed: its input does not fit. nodes: ids of the
    graph's nodes in it; the last one's output leaves the box. block: the block it lies in or stands for, "" for none.
    """

    id: str
    title: str
    detail: str
    family: str
    shape: tuple[int, ...]
    params: int
    names: tuple[str, ...]
    inputs: tuple[str, ...]
    failed: bool = False
    nodes: tuple[str, ...] = ()
    block: str = ""

    @property
    def output(self) -> str:
        """Id of the node whose output leaves the box."""
        return self.nodes[-1]


def boxes(nodes: Sequence[GraphNode], *, detail: str = "layers", opened: frozenset[str] = frozenset()) -> list[Box]:
    """Return the boxes of a traced graph. detail: one of `DETAILS`. opened: blocks to show as their layers anyway."""
    groups = _group(nodes, detail=detail, opened=opened)
    place = {node.id: group[0].id for group in groups for node in group}
    return [_box(group, place, detail=detail, opened=opened) for group in groups]


def _group(nodes: Sequence[GraphNode], *, detail: str, opened: frozenset[str]) -> list[list[GraphNode]]:
    readers: dict[str, int] = {}
    for node in nodes:
        for source in node.inputs:
            readers[source] = readers.get(source, 0) + 1
    groups: list[list[GraphNode]] = []
    home: dict[str, list[GraphNode]] = {}
    blocks: dict[str, list[GraphNode]] = {}
    for node in nodes:
        block = _block(node.name) if detail == "blocks" else ""
        before = home[node.inputs[0]] if len(node.inputs) == 1 else None
        if block and block not in opened:
            group = blocks.get(block)
        elif detail != "everything" and node.kind.folds and before is not None and readers[node.inputs[0]] == 1:
            group = before
        else:
            group = None
        if group is None:
            group = []
            groups.append(group)
        if block and block not in opened:
            blocks[block] = group
        group.append(node)
        home[node.id] = group
    return groups


def _block(name: str) -> str:
    """Return the block of a module, "" if it is in none.

    A block is a child of `features` with children of its own, such as "features.inception3a" for
    "features.inception3a.branch1.conv".
    """
    parts = name.split(".")
    if len(parts) < 3 or parts[0] != "features":
        return ""
    return ".".join(parts[:2])


def _box(group: list[GraphNode], place: dict[str, str], *, detail: str, opened: frozenset[str]) -> Box:
    first, last = group[0], group[-1]
    inside = {node.id for node in group}
    inputs = tuple(dict.fromkeys(place[i] for node in group for i in node.inputs if i not in inside))
    block = _block(first.name) if detail == "blocks" else ""
    if block and block not in opened:
        title, words, family = block.split(".")[-1], plural(len(group), "operation"), "block"
        names: tuple[str, ...] = (block, *(node.name for node in group))
    else:
        title = _title(first)
        words = " · ".join(dict.fromkeys(node.kind.label for node in group))
        family = first.kind.family
        names = tuple(node.name for node in group)
    params = sum(node.params for node in group)
    shape = last.output_shape[1:]
    ids = tuple(node.id for node in group)
    return Box(first.id, title, words, family, shape, params, names, inputs, nodes=ids, block=block)


def _title(node: GraphNode) -> str:
    """Return the last two parts of a name, which identify a layer within its block."""
    if node.type == "Input":
        return "image"
    parts = node.name.removeprefix("features.").removeprefix("classifier.").split(".")
    return " ".join(parts[-2:]) if parts[-1] == "+" else ".".join(parts[-2:])


def failed_boxes(steps: Sequence[ShapeStep]) -> list[Box]:
    """Return a chain of boxes: the image, the layers that ran before one failed, and the failing layer, marked."""
    chain = [Box("image", "image", "input", "input", steps[0].input_shape[1:], 0, ("image",), ())]
    for index, step in enumerate(steps):
        shape = step.output_shape or step.input_shape
        title = step.name.removeprefix("features.")
        kind = kind_named(step.type)
        failed = step.output_shape is None
        place = (shape[1:], 0, (step.name,), (chain[-1].id,))
        chain.append(Box(f"s{index}", title, kind.label, kind.family, *place, failed))
    return chain
