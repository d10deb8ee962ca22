"""The whole network in one picture, live: grids of maps, or slabs where there are no values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pages.components.base import component, reported_value


def network(
    key: str,
    data: Mapping[str, Any],
    *,
    stages: Sequence[str],
    blocks: Sequence[str],
    on_pick: Callable[[str, int], None],
    on_block: Callable[[str, bool], None],
) -> None:
    """Show a network. data: as `pages.widgets.network_picture` makes it.

    on_pick is called with the id and the channel of a clicked map, on_block with a block's name and whether it is to be
    open, both before the page runs; stages and blocks are those that may be named.
    """

    def picked() -> None:
        told = reported_value(key, "pick")
        if told is not None and told[0] in stages:
            on_pick(str(told[0]), int(told[1]))

    def turned(name: str, opened: bool) -> None:
        block = reported_value(key, name)
        if block in blocks:
            on_block(str(block), opened)

    component("network")(
        key=key,
        data=dict(data),
        on_pick_change=picked,
        on_open_change=lambda: turned("open", True),
        on_close_change=lambda: turned("close", False),
    )
