"""The two drawing pads and the one `Sketch` both give.

`streamlit-drawable-canvas` reports after the stroke; our own component (`pad/`) sends its strokes while they are drawn.
Both start from the session's drawing, so it survives a page switch and a change of pad.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

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
)
from pages.state.draw import DRAW, DrawPage, canvas_key
from pages.state.keys import element
from pages.state.session import reported
from pages.widgets.pad import sketch_of, take_newest

INK_COLOR = "#2f86cf"  # 3:1 or better on both themes' canvases; only the alpha of a stroke is read


def drawn(page: DrawPage) -> Sketch:
    """Return what is on the pads by now, for a callback: the newest message came with the press that called it."""
    take_newest(page)
    return _sketch(page)


def standard_pad(page: DrawPage) -> Sketch:
    """Show streamlit-drawable-canvas and return what is on it; it reports 200 ms after each stroke."""
    width = st.slider("Pen width", 4, 40, **DRAW.widget("pen", value=DRAW.read().pen or page.pen))
    key = canvas_key(page.version)
    if reported(key) is None:  # changing this while it is shown would load the canvas anew
        page.canvas_start = page.canvas
    # Its import registers a component, which needs a running Streamlit.
    result = load("streamlit_drawable_canvas:st_canvas")(
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
    return _sketch(page)


def _sketch(page: DrawPage) -> Sketch:
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
