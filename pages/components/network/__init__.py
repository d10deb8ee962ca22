"""The whole network in one picture, live: grids of maps, or slabs if there are no values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pages.components.base import component, reported_value


def network(
    key: str,
    data: Mapping[str, Any],
    *,
    stages: Sequence[str],
    blocks: Sequence[str],
    on_pick: Callable[[str, int], None] | None,
    on_block: Callable[[str, bool], None],
) -> None:
    """Show a network. data: as built by `pages.widgets.network_picture`.

    stages, blocks: ids and names that are accepted in reports. on_pick: called with the stage's id and the channel of a
    clicked map, None if none can be clicked. on_block: called with a block's name and whether to expand it. Both are called before the page reruns.
    """

    def picked() -> None:
        found = reported_value(key, "pick")
        if on_pick is not None and found is not None and found[0] in stages:
            on_pick(str(found[0]), int(found[1]))

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
