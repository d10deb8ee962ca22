"""The pad on Home: a network that ships with the lab reads the drawing without torch, and its maps are shown."""

from functools import cache
from html import escape

import numpy as np
import streamlit as st

from lab.charts.data_url import png_url
from lab.charts.tiles import encode, image_tiles, paint, sheet
from lab.examples.reader import DrawingReader, Reading, drawing_reader
from lab.formatting import format_percent, unbroken
from lab.sketch.render import POLYLINES, Hand, place_strokes
from lab.sketch.sketch import dump_strokes
from pages.state.draw import draw_page
from pages.state.home import HOME
from pages.widgets.frame import show_errors
from pages.widgets.pad import demo_sketch, live_pad, sketch_of

_SHOWN_DIGIT = "3"  # while nothing is drawn; the pad draws it by itself at the first visit


@st.fragment
def reading_pad() -> None:
    """Show the pad, what the network reads and its feature maps. Only this fragment reruns while the user draws."""
    with show_errors():
        left, right = st.columns([5, 8], gap="medium", vertical_alignment="center")
        page = draw_page()
        with left:
            line = st.container()  # above the pad, where a finger does not cover it
            sketch = live_pad(page, demo=_strokes_of(_SHOWN_DIGIT))
            st.pills("Or pick a digit", list(POLYLINES), width="stretch", **HOME.widget("sample", then=_draw_sample))
        reader = drawing_reader()
        what, own = "your drawing", not sketch.blank
        if not own:
            sketch, what = demo_sketch(), "this drawing"
        reading = None if sketch.blank else reader.read(sketch)
        line.html(line_html(reading, announced=own or reading is None))
        with right:
            st.html(flow_html(reader, reading, what=what) if reading else idle_html(reader))


@cache
def _strokes_of(digit: str) -> str:
    return dump_strokes(place_strokes(POLYLINES[digit], Hand()))


@cache
def idle_html(reader: DrawingReader) -> str:
    """Return the feature maps of a sample digit, faded: a preview while the pad is empty."""
    reading = reader.read(sketch_of(_strokes_of(_SHOWN_DIGIT)))
    return f'<div class="cl-pale">{flow_html(reader, reading, what=f"a drawn {_SHOWN_DIGIT}")}</div>'


def _draw_sample() -> None:
    digit = HOME.read().sample
    if digit:
        page = draw_page()
        page.clear()
        page.strokes = _strokes_of(digit)
        HOME.change(sample=None)


def line_html(reading: Reading | None, *, announced: bool = True) -> str:
    """Return the line with the answer, always of the same height; `data-answer` has the answer for scripts.

    announced: whether screen readers read out the answer. Those to a drawing that is not the user's would only disturb.
    """
    if reading is None:
        return '<p class="cl-read" role="status"><span>Draw a digit: a trained network reads it as you draw.</span></p>'
    probability = escape(unbroken(format_percent(float(reading.probabilities.max()), digits=1)))
    words = f"It reads <b>{escape(reading.label)}</b> &nbsp;with {probability}"
    if reading.verdict.unsure:
        words = f"<b>Unsure</b>: {escape(reading.verdict.reasons[0])}"
    style = "cl-read unsure" if reading.verdict.unsure else "cl-read"
    role = ' role="status"' if announced else ""
    return f'<p class="{style}"{role} data-answer="{escape(reading.label)}"><span>{words}</span></p>'


def flow_html(reader: DrawingReader, reading: Reading, *, what: str) -> str:
    """Return the network's input, the maps of its layers and the ten probabilities, from left to right."""
    figures = [_figure("Input", image_tiles(reading.image[None])[0], f"{reader.recipe.side}×{reader.recipe.side}")]
    for (title, (channels, tall, wide)), values in zip(reader.layers, reading.maps, strict=True):
        shown = sheet(paint(values), columns=_columns(channels))
        figures.append(_figure(title, shown, f"{channels} maps, {tall}×{wide}"))
    caption = f'<p class="cl-what">What this network\'s layers make of {escape(what)}</p>'
    return f'{caption}<div class="cl-flow">{"".join(figures)}</div>{_shares(reader, reading)}'


def _columns(count: int) -> int:
    return int(np.ceil(np.sqrt(count)))


def _figure(title: str, picture: np.ndarray, small: str) -> str:
    shown = f'<img decoding="sync" alt="{escape(title)}" src="{png_url(encode(picture))}">'
    return f"<figure>{shown}<figcaption>{escape(title)}<small>{escape(small)}</small></figcaption></figure>"


def _shares(reader: DrawingReader, reading: Reading) -> str:
    best = int(reading.probabilities.argmax())
    bars = []
    for index, name in enumerate(reader.class_names):
        share = float(reading.probabilities[index])
        first = ' class="first"' if index == best else ""
        bars.append(f'<div{first}><i style="--share: {share:.3f}"></i>{escape(name)}</div>')
    return f'<div class="cl-shares" role="group" aria-label="Probabilities of the ten digits">{"".join(bars)}</div>'
