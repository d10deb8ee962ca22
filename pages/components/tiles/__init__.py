"""A grid of small pictures, updated in place."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from lab.charts.data_url import png_url
from lab.charts.tiles import Sprite
from pages.components.base import component, reported_value


@dataclass(frozen=True, slots=True)
class Tile:
    """Texts of one tile: a label for screen readers and two short lines below the picture. bad: marked as wrong."""

    label: str
    one: str = ""
    two: str = ""
    bad: bool = False


def tiles(
    key: str,
    sprite: Sprite,
    words: Sequence[Tile],
    *,
    name: str,
    height: int,
    cell: int = 0,
    selected: int | None = None,
    row: bool = False,
    on_pick: Callable[[int], None] | None = None,
) -> None:
    """Show a grid of pictures `height` px high; `on_pick` gets the index of a clicked tile, before the page reruns.

    cell: minimum width of a tile in px, for its texts. row: whether all tiles are in one row, which scrolls to the
    selected one. name: what the grid shows, for screen readers.
    """

    def picked() -> None:
        index = reported_value(key, "pick")
        if index is not None and on_pick is not None and 0 <= int(index) < len(words):
            on_pick(int(index))

    component("tiles")(
        key=key,
        data={
            "sprite": png_url(sprite.png),
            "columns": sprite.columns,
            "tile_width": sprite.tile_width,
            "tile_height": sprite.tile_height,
            "height": height,
            "cell": cell,
            "name": name,
            "tiles": [asdict(word) for word in words],
            "selected": selected,
            "row": row,
            "clickable": on_pick is not None,
        },
        on_pick_change=picked,
    )
