"""The two drawing pads, which both produce a `Sketch`.

`streamlit-drawable-canvas` reports after each stroke; our own component (`pages/components/pad`) sends strokes while
they are drawn. Both start from the session's drawing, so it survives a page switch and a change of pad.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lab.lazy import load
from lab.sketch.sketch import (
    CANVAS,
    MAX_BRUSH,
    MAX_PEN,
    MIN_BRUSH,
    MIN_PEN,
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

INK_COLOR = "#2f86cf"  # contrast of at least 3:1 in both themes; only the alpha channel of a stroke is read


def drawn(page: DrawPage) -> Sketch:
    """Return the current drawing, for a callback: the pad's newest message arrives with the press that triggers it."""
    take_newest(page)
    return _sketch(page)


def standard_pad(page: DrawPage) -> Sketch:
    """Show streamlit-drawable-canvas, which reports 200 ms after each stroke, and return what is drawn on it."""
    width = st.slider("Pen width", MIN_PEN, MAX_PEN, **DRAW.widget("pen", value=DRAW.read().pen or page.pen))
    key = canvas_key(page.version)
    if reported(key) is None:  # a change while the canvas is shown would reload it
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
    """Return the free-hand paths of Fabric.js's JSON as our pad's JSON text; other shapes are left out."""
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
    """Return our pad's strokes as Fabric.js's JSON, from which the standard pad starts. Raises `InputError`."""
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
    """Transfer the drawing to the other pad."""
    page.canvas = canvas_of_strokes(page.strokes)
    page.png = b""
    page.version += 1
