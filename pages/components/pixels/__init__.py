"""A map whose values can be selected, next to its input map, which shows the window that a value depends on."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.charts.tiles import colour, limits
from pages.components.base import component, reported_value


@dataclass(frozen=True, slots=True)
class PixelMap:
    """Values (H, W) to draw, and the title above them. scale: a colour scale of `lab.charts.tiles`."""

    values: np.ndarray
    title: str
    scale: str


def pixels(
    key: str,
    given: PixelMap | None,
    made: PixelMap,
    *,
    windows: Sequence[tuple[int, int]],
    place: tuple[int, int],
    on_pick: Callable[[int, int], None],
) -> None:
    """Show both maps; `on_pick` is called with row and column of a clicked value of `made`, before the page reruns.

    windows: for each row of `made`, the first and last row of `given` that it depends on; the same holds for columns.
    place: the chosen row and column.
    """

    def picked() -> None:
        chosen = place_of(reported_value(key, "pick"), made.values.shape)
        if chosen is not None:
            on_pick(*chosen)

    component("pixels")(
        key=key,
        data={
            "given": None if given is None else _drawn(given),
            "made": _drawn(made),
            "texts": [[f"{value:.4g}" for value in row] for row in made.values.tolist()],
            "windows": [list(window) for window in windows],
            "place": list(place),
        },
        on_pick_change=picked,
    )


def place_of(reported: Any, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the row and column of a report on a map (H, W), None if there is no report or it is out of range."""
    if reported is None:
        return None
    row, column = int(reported[0]), int(reported[1])
    return (row, column) if 0 <= row < shape[0] and 0 <= column < shape[1] else None


def _drawn(map: PixelMap) -> dict[str, object]:
    low, high = limits(map.values, signed=map.scale == "diverging")
    rgb = colour(map.values, low=low, high=high, scale=map.scale)
    return {
        "rgb": base64.b64encode(np.ascontiguousarray(rgb).tobytes()).decode(),
        "side": list(map.values.shape),
        "title": map.title,
    }
