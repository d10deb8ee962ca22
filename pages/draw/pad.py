"""The two drawing pads and the one `Sketch` both give.

`streamlit-drawable-canvas` reports after the stroke; our own component (`pad/`) tells its strokes while they are drawn.
Both start from the session's drawing, so it survives a page switch and a change of pad.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import streamlit as st

from lab.errors import InputError
from lab.lazy import load
from lab.sketch.sketch import (
    CANVAS,
    MAX_BRUSH,
    MIN_BRUSH,
    Sketch,
    Stroke,
    dump_strokes,
    parse_strokes,
    sketch_from_png,
    sketch_from_strokes,
)
from pages.components.pad import pad_component
from pages.state.draw import DRAW, LIVE_PAD, DrawPage, canvas_key
from pages.state.keys import element
from pages.state.session import reported

INK_COLOR = "#2f86cf"  # 3:1 or better on both themes' canvases; only the alpha of a stroke is read


def live_pad(page: DrawPage) -> Sketch:
    """Show our pad and return what is on it now. Raises `InputError` for a message no pad sends."""
    take_newest(page)
    pad_component()(
        key=LIVE_PAD,
        data={"version": page.version, "ink": page.strokes, "pen": page.pen, "answered": page.answered},
        on_ink_change=_nothing,
    )
    return sketch_of(page.strokes)


def take_newest(page: DrawPage) -> None:
    """Take over the live pad's newest message, unless the drawing was cleared or replaced since the pad saw it."""
    message = _checked_message(reported(LIVE_PAD))
    if message is None or message["seq"] <= page.answered:
        return
    page.answered = message["seq"]
    if message["version"] == page.version:
        page.strokes, page.pen = message["strokes"], message["pen"]


def drawn(page: DrawPage) -> Sketch:
    """Return what is on the pads by now, for a callback: the newest message came with the press that called it."""
    take_newest(page)
    return sketch_from_png(page.png) if page.png else sketch_of(page.strokes)


def _checked_message(value: Any) -> dict[str, Any] | None:
    """Return the pad's newest message, checked: `seq`, `version`, `pen`, `strokes` (text); None before the first."""
    text = value.get("ink") if isinstance(value, Mapping) else None
    if not text:
        return None
    try:
        message = json.loads(text)
        seq, version, pen = (int(message[name]) for name in ("seq", "version", "pen"))
        strokes = json.dumps(message["strokes"], allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise InputError(f"The pad's message cannot be read ({error}): reload the page.") from error
    return {"seq": seq, "version": version, "pen": round(min(max(pen, MIN_BRUSH), MAX_BRUSH)), "strokes": strokes}


def _nothing() -> None:
    """Do nothing more: with a callback the component's new state runs the fragment again."""


@lru_cache(maxsize=64)
def sketch_of(strokes: str) -> Sketch:
    """Draw the strokes of a pad's text; raises `InputError`."""
    return sketch_from_strokes(parse_strokes(strokes))


def standard_pad(page: DrawPage) -> Sketch:
    """Show streamlit-drawable-canvas and return what is on it; it reports 200 ms after each stroke."""
    width = st.slider("Pen width", 4, 40, **DRAW.widget("pen", value=DRAW.read().pen or page.pen))
    key = canvas_key(page.version)
    if reported(key) is None:  # changing this while it is shown would load the canvas anew
        page.canvas_start = page.canvas
    result = load(
        "streamlit_drawable_canvas:st_canvas"
    )(  # its import registers a component, which needs a running Streamlit
        stroke_width=width,
        stroke_color=INK_COLOR,
        background_color="",
        height=CANVAS,
        width=CANVAS,
        initial_drawing=page.canvas_start,
        return_image_data=True,
        key=key,
    )
    st.button("Clear", key=element("draw-clear"), on_click=page.clear)
    png = result.image_bytes
    if png is not None and result.json_data is not None:
        page.canvas, page.png, page.pen = dict(result.json_data), png, width
        page.strokes = strokes_of_canvas(page.canvas)
    return sketch_from_png(page.png) if page.png else sketch_of(page.strokes)


def strokes_of_canvas(drawing: Mapping[str, Any]) -> str:
    """Return the free-hand paths of Fabric's JSON as our pad's text; other shapes are left out."""
    strokes = []
    for item in drawing.get("objects", ()):
        if str(item.get("type", "")).lower() != "path":
            continue
        ends = [command[-2:] for command in item.get("path", ()) if len(command) >= 3]
        points = tuple((float(x), float(y)) for x, y in ends)
        if points:
            width = min(max(float(item.get("strokeWidth", 16)), MIN_BRUSH), MAX_BRUSH)
            strokes.append(Stroke(points, width))
    return dump_strokes(strokes)


def canvas_of_strokes(text: str) -> dict[str, Any]:
    """Return our pad's strokes as Fabric's JSON, for the standard pad to start from; raises `InputError`."""
    return {"version": "7.1.0", "objects": [_fabric_path(stroke) for stroke in parse_strokes(text)]}


def _fabric_path(stroke: Stroke) -> dict[str, Any]:
    points = stroke.points if len(stroke.points) > 1 else (*stroke.points, *stroke.points)
    (first_x, first_y), *rest = points
    return {
        "type": "Path",
        "path": [["M", first_x, first_y], *(["L", x, y] for x, y in rest)],
        "fill": None,
        "stroke": INK_COLOR,
        "strokeWidth": stroke.width,
        "strokeLineCap": "round",
        "strokeLineJoin": "round",
        "originX": "left",
        "originY": "top",
        "left": min(x for x, _ in points) - stroke.width / 2,
        "top": min(y for _, y in points) - stroke.width / 2,
    }


def switch_pad(page: DrawPage) -> None:
    """Carry the drawing over to the other pad."""
    page.canvas = canvas_of_strokes(page.strokes)
    page.png = b""
    page.version += 1
