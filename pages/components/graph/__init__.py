"""A network's graph as SVG whose boxes can be clicked. The only component that gets markup; its writer escapes it."""

import hashlib
from collections.abc import Callable

from pages.components.base import component, reported_value


def graph(key: str, svg: str, *, network: str, on_pick: Callable[[str], None], from_end: bool = False) -> None:
    """Show a network's graph; `on_pick` is called with the module name of a clicked box, before the page reruns.

    from_end: whether the view starts at the last box.
    """

    def picked() -> None:
        name = reported_value(key, "pick")
        if name is not None:
            on_pick(str(name))

    digest = hashlib.sha256(svg.encode()).hexdigest()
    component("graph")(
        key=key, data={"svg": svg, "digest": digest, "network": network, "end": from_end}, on_pick_change=picked
    )
