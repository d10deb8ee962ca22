"""The layers of a network as a tree that folds and sorts."""

from collections.abc import Mapping, Sequence
from typing import Any

from pages.components.base import component


def layer_table(
    key: str, rows: Sequence[Mapping[str, Any]], *, network: str, folded: Sequence[str], selected: Sequence[str]
) -> None:
    """Show the layers as a tree that folds and sorts. folded: initially folded groups. selected: highlighted rows."""
    component("layers")(
        key=key,
        data={"rows": list(rows), "network": network, "folded": list(folded), "selected": list(selected)},
    )
