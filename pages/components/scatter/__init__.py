"""Images as points, with a lasso."""

from collections.abc import Callable, Sequence

import numpy as np

from lab.charts.data_url import png_url
from lab.charts.tiles import Sprite
from pages.components.base import component, reported_value
from pages.components.live import PLOTLY_ADDRESS


def scatter(
    key: str,
    points: np.ndarray,
    sprite: Sprite,
    *,
    labels: Sequence[int],
    wrong: Sequence[bool],
    notes: Sequence[str],
    classes: Sequence[str],
    method: str,
    words: str,
    on_caught: Callable[[list[int]], None],
) -> None:
    """Show images as points (N, 2) within [-1, 1]; `on_caught` is called with the indices selected by lasso or box.

    notes: text on the card of each point. method: zoom and lasso are kept while it does not change.
    """

    def caught() -> None:
        found = reported_value(key, "caught")
        if found is not None:
            on_caught([int(index) for index in found if 0 <= int(index) < len(labels)])

    component("scatter", isolate_styles=False)(
        key=key,
        data={
            "x": points[:, 0].round(4).tolist(),
            "y": points[:, 1].round(4).tolist(),
            "labels": list(labels),
            "wrong": list(wrong),
            "notes": list(notes),
            "classes": list(classes),
            "sprite": png_url(sprite.png),
            "columns": sprite.columns,
            "method": method,
            "words": words,
            "plotly": PLOTLY_ADDRESS,
            "filename": "map-of-images",
        },
        on_caught_change=caught,
    )
