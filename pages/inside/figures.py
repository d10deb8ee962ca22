"""Parts that the Inside page's views share: the choice of a layer, pictures in HTML with frames, the colour legend.

All markup consists of numbers, pictures that the lab encoded, and escaped captions.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.charts.data_url import png_url
from lab.formatting import format_shape
from pages.state.codec import one_of
from pages.state.inside import INSIDE

_SIDE, _MIN = 206, 100  # side of an enlarged picture in px, and of one of three in a narrow row
_HYPHEN = "\u2011"  # non-breaking
_LEGEND = (
    "<div style='display:flex;align-items:center;gap:.5rem;font-size:.8rem'><span>{low:.3g}</span>"
    "<span style='width:9rem;height:.7rem;border-radius:.2rem;background:linear-gradient(90deg,{stops})'></span>"
    "<span>{high:.3g}</span><span style='opacity:.75'>{words}</span></div>"
)


def choose_layer(field: str, words: dict[str, str], *, first: str = "") -> str:
    """Return the layer chosen for a field of the page's state.

    words: title of each layer by its name. first: the initial choice, also if the network lacks the chosen layer.
    """
    names = list(words)
    INSIDE.take(field, read=one_of(names))
    held = getattr(INSIDE.read(), field)
    if held and held not in words:
        INSIDE.change(**{field: ""})
    INSIDE.show(field)
    shown = held if held in words else first or names[0]
    return str(st.selectbox("Layer", names, format_func=words.__getitem__, **INSIDE.widget(field, value=shown)))


def layer_words(name: str, type_: str, shape: tuple[int, ...]) -> str:
    """Return a layer's title in lists: name, type and output shape."""
    return f"{name.removeprefix('features.')} · {type_} · {format_shape(shape)}"


def difference_words(ours: float, theirs: float) -> str:
    """Return the absolute difference of two numbers, such as "2e-07", as text that does not wrap."""
    return f"{abs(ours - theirs):.1g}".replace("-", _HYPHEN)


def legend(low: float, high: float, scale: str, *, of: str = "") -> None:
    """Show the colour scale with its lowest and highest value. of: what it is the scale of, if there are several."""
    steps = np.linspace(low, high, 9) if high > low else np.zeros(9)
    stops = ", ".join(f"rgb({r},{g},{b})" for r, g, b in paint.colour(steps, low=low, high=high, scale=scale))
    words = "zero is white" if scale == "diverging" else ""
    words = ": ".join(filter(None, (of, words)))
    st.html(_LEGEND.format(low=low, high=high, stops=stops, words=words))


def framed(
    rgb: np.ndarray, caption: str, *, box: tuple[int, int, int, int] | None = None, of: int | None = None
) -> str:
    """Return a picture enlarged in HTML, with a frame if `box` is given.

    box: first and last row, first and last column of the frame. of: cells per side of the grid that they count on, the
    picture's own pixels if None.
    """
    frame = ""
    if box is not None:
        height, width = (of, of) if of else rgb.shape[:2]
        top, left = 100 * box[0] / height, 100 * box[2] / width
        tall, wide = 100 * (box[1] + 1 - box[0]) / height, 100 * (box[3] + 1 - box[2]) / width
        frame = (
            f"<span style='position:absolute;top:{top:.2f}%;left:{left:.2f}%;width:{wide:.2f}%;height:{tall:.2f}%;"
            "box-shadow:0 0 0 2px #f2a33a, 0 0 0 3px #10151c;border-radius:2px'></span>"
        )
    return (
        f"<figure style='margin:0;flex:1 1 {_MIN}px;max-width:{_SIDE}px'>"
        f"<span style='position:relative;display:block'>"
        f"<img src='{png_url(paint.encode(rgb))}' alt='{escape(caption)}' "
        f"style='width:100%;display:block;image-rendering:pixelated;border-radius:4px'>{frame}</span>"
        f"<figcaption style='font-size:.8rem;opacity:.85;margin-top:.3rem'>{escape(caption)}</figcaption></figure>"
    )


def side_by_side(figures: Sequence[str]) -> None:
    """Show figures of `framed` in a row that wraps."""
    st.html(f"<div style='display:flex;flex-wrap:wrap;gap:1rem'>{''.join(figures)}</div>")
