"""Small components of our own (v2, no build): the epoch slider, tiles, matrix, graph, layer table and charts.

They change what they show in place, where Streamlit's own elements would be taken out and put back. Texts reach them as
data and are written as text; the one piece of markup is the graph's SVG, whose writer escapes.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from lab.charts.tiles import Sprite
from lab.formatting import format_percent
from pages.components.live import CHART_TOOLS, PLOTLY_ADDRESS
from pages.state.keys import element
from pages.state.session import reported
from pages.state.shared import SLIDER

_COARSE = 0.0995  # a rate from here on is written without decimals
_HERE = Path(__file__).parent
_CHARTS = ("scatter", "plot")  # Plotly writes its styles into the page, so they are not walled off from it


@cache
def _component(name: str) -> Any:
    def text(ending: str) -> str:
        path = _HERE / f"{name}.{ending}"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    base = (_HERE / "base.css").read_text(encoding="utf-8")
    chart = name in _CHARTS
    return st.components.v2.component(
        f"convlab_{name}",
        html=text("html") or "<span></span>",
        css=base + text("css"),
        js=(CHART_TOOLS if chart else "") + text("js"),
        isolate_styles=not chart,
    )


def _nothing() -> None:
    """Do nothing more: a callback makes the component's value available and the page run again."""


def data_url(png: bytes) -> str:
    """Return a PNG as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def epoch_slider(
    run: str,
    *,
    epochs: Sequence[int],
    names: Sequence[str],
    val: Sequence[float | None],
    test: Sequence[float | None],
    start: int,
) -> int:
    """Show the slider over a run's saved epochs and return the chosen index. start: the index chosen at first."""
    key = element("epochs", run)
    index = _index(key, len(epochs), start)
    known = [share for share in (*val, *test) if share is not None]
    _component("epochs")(
        key=key,
        data={
            "run": run,
            "epochs": list(epochs),
            "names": list(names),
            "val": list(val),
            "test": list(test),
            "index": index,
            "test_texts": [format_percent(share) for share in test],
            "range_texts": [format_percent(end(known)) for end in (min, max)] if known else [],
        },
        on_index_change=_nothing,
    )
    return index


def _index(key: str, count: int, start: int) -> int:
    told = _chosen(key, "index")
    seen = SLIDER.read().seen
    index = next_index(None if told is None else int(told), count=count, start=start, seen=seen.get(key))
    SLIDER.change(seen={**seen, key: (count, told, index)})
    return index


def next_index(told: int | None, *, count: int, start: int, seen: tuple[int, int | None, int] | None) -> int:
    """Return where the slider stands among `count` epochs; at the newest it stays at the newest when another joins.

    told: what the slider said last, None before it was touched. seen: count, told and result of the last time.
    """
    index = start if told is None else told
    if seen is not None and seen[1] == told:  # not touched since
        known, _, index = seen
        if known < count and index == known - 1:
            index = count - 1
    return min(index, count - 1)


def _chosen(key: str, name: str) -> Any:
    value = reported(key)
    return None if value is None else value.get(name)


@dataclass(frozen=True, slots=True)
class Tile:
    """Words of one tile: two short lines under it, what a screen reader says, and whether it is marked as wrong."""

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
    on_pick: Callable[[int], None] | None = None,
) -> None:
    """Show a grid of pictures `height` px high; `on_pick` is called with a clicked tile's index, before the page runs.

    cell: least width in px that a tile's words need. name: what the grid shows, for screen readers.
    """

    def picked() -> None:
        index = _chosen(key, "pick")
        if index is not None and on_pick is not None and 0 <= int(index) < len(words):
            on_pick(int(index))

    _component("tiles")(
        key=key,
        data={
            "sprite": data_url(sprite.png),
            "columns": sprite.columns,
            "tile_width": sprite.tile_width,
            "tile_height": sprite.tile_height,
            "height": height,
            "cell": cell,
            "name": name,
            "tiles": [asdict(word) for word in words],
            "selected": selected,
            "clickable": on_pick is not None,
        },
        on_pick_change=picked,
    )


def matrix(
    key: str,
    *,
    classes: Sequence[str],
    counts: list[list[int]],
    rates: list[list[float | None]],
    as_rates: bool,
    chosen: tuple[int, int] | None,
    caption: str,
    on_pick: Callable[[int, int], None],
) -> None:
    """Show a confusion matrix; `on_pick` is called with (truth, answer) of a clicked cell, before the page runs."""

    def picked() -> None:
        cell = _chosen(key, "pick")
        if cell is not None:
            on_pick(int(cell[0]), int(cell[1]))

    _component("matrix")(
        key=key,
        data={
            "classes": list(classes),
            "counts": counts,
            "rates": rates,
            "as_rates": as_rates,
            "rate_texts": [[_rate_text(rate) for rate in row] for row in rates],
            "chosen": list(chosen) if chosen else None,
            "caption": caption,
        },
        on_pick_change=picked,
    )


def _rate_text(rate: float | None) -> str:
    return format_percent(rate or 0.0, digits=1 if (rate or 0.0) < _COARSE else 0)


def graph(key: str, svg: str, *, network: str, on_pick: Callable[[str], None], from_end: bool = False) -> None:
    """Show a network's picture; `on_pick` is called with the module name of a clicked box, before the page runs.

    from_end: whether its last box is seen first.
    """

    def picked() -> None:
        name = _chosen(key, "pick")
        if name is not None:
            on_pick(str(name))

    digest = hashlib.sha256(svg.encode()).hexdigest()
    _component("graph")(
        key=key, data={"svg": svg, "digest": digest, "network": network, "end": from_end}, on_pick_change=picked
    )


def layer_table(
    key: str, rows: Sequence[Mapping[str, Any]], *, network: str, folded: Sequence[str], selected: Sequence[str]
) -> None:
    """Show the layers as a tree that folds and sorts. folded: groups closed at first. selected: rows to mark."""
    _component("layers")(
        key=key,
        data={"rows": list(rows), "network": network, "folded": list(folded), "selected": list(selected)},
    )


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
    """Show images as points (N, 2) within [-1, 1]; `on_caught` gets the indices a lasso or box caught.

    notes: what the card of a point says. method: zoom and lasso are kept while it stays the same.
    """

    def caught() -> None:
        found = _chosen(key, "caught")
        if found is not None:
            on_caught([int(index) for index in found if 0 <= int(index) < len(labels)])

    _component("scatter")(
        key=key,
        data={
            "x": points[:, 0].round(4).tolist(),
            "y": points[:, 1].round(4).tolist(),
            "labels": list(labels),
            "wrong": list(wrong),
            "notes": list(notes),
            "classes": list(classes),
            "sprite": data_url(sprite.png),
            "columns": sprite.columns,
            "method": method,
            "words": words,
            "plotly": PLOTLY_ADDRESS,
            "filename": "map-of-images",
        },
        on_caught_change=caught,
    )


def plot(key: str, figure: go.Figure, *, words: str, name: str, revision: str = "same") -> None:
    """Show a finished figure in place, with tools that save it as PNG and SVG under `name`.

    words: what it shows, for screen readers. revision: the zoom is kept while it stays the same.
    """
    figure.update_layout(template="none")
    _component("plot")(
        key=key,
        data={
            "figure": figure.to_json(),
            "height": figure.layout.height,
            "words": words,
            "filename": name,
            "revision": revision,
            "plotly": PLOTLY_ADDRESS,
        },
    )
