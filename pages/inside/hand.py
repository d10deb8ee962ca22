"""A convolution taken apart: the patch, the kernel, their products, the sum, and what the network really computed."""

from html import escape

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.inspection.kernels import Kernels
from lab.inspection.plain_convolution import Window, convolve, report_e_example, take_window
from pages.cache.inspection import input_of, kernels_of, layers_of, maps_of
from pages.inside.figures import choose_layer, framed, side_by_side
from pages.inside.subject import Picture, Subject
from pages.state.inside import INSIDE

_EXAMPLE = "example"
_TINT = 60  # per cent of a cell's colour at most: more would hide light text
_STYLE = """<style>
.cl-hand { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 0.6rem; }
.cl-hand figure { margin: 0; max-width: 100%; overflow-x: auto; } .cl-hand figcaption { font-size: 0.8rem; opacity: 0.85; margin-bottom: 0.2rem; }
.cl-hand table { border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums; }
.cl-hand td { min-width: 2.15rem; height: 1.75rem; text-align: center; font-size: 0.72rem; border-radius: 3px; padding: 0 0.1rem; }
.cl-hand .op { font-size: 1.5rem; opacity: 0.7; }
</style>"""


def show_hand(subject: Subject, picture: Picture) -> None:
    """Let a window slide over a layer's input and show the arithmetic of one output value."""
    words = {
        v.name: f"{v.name.removeprefix('features.')} · {'×'.join(map(str, v.shape))}"
        for v in layers_of(*subject.key)
        if v.kind.has_kernels
    }
    words[_EXAMPLE] = "Report E's example: 4×4 image, 2×2 kernel of ones"
    if INSIDE.read().hand not in words:
        INSIDE.change(hand=next(iter(words)))
    layer = choose_layer("hand", words)
    if layer == _EXAMPLE:
        image, kernels = report_e_example()
        output = convolve(image[None], kernels.weight, kernels.bias)[0]
    else:
        image, kernels = input_of(*subject.key, layer, picture.pixels), kernels_of(*subject.key, layer)
        output = maps_of(*subject.key, layer, picture.pixels).values
    place = _choose_place(output)
    window = take_window(image, kernels, filter=place[0], row=place[1], column=place[2])
    channel = _choose_channel(window)
    _pictures(image, output, kernels, window, place, channel)
    who = "The loops" if layer == _EXAMPLE else "The network"
    _arithmetic(window, channel, computed=float(output[place]), who=who)


def _choose_place(output: np.ndarray) -> tuple[int, int, int]:
    columns = st.columns(3)
    values = []
    for column, (name, label), size in zip(
        columns, (("filter", "Filter"), ("row", "Row"), ("column", "Column")), output.shape
    ):
        held = INSIDE.read().place
        start = min(held.get(name, size // 2 if name != "filter" else 0), size - 1)
        INSIDE.change(place={**held, name: start})
        with column:
            if size > 1:
                values.append(int(st.slider(label, 0, size - 1, **INSIDE.widget("place", item=name))))
            else:
                values.append(0)
                st.caption(f"{label}: only one")
    return values[0], values[1], values[2]


def _choose_channel(window: Window) -> int:
    count = len(window.patches)
    if count == 1:
        return 0
    sums = window.products.sum(axis=(1, 2))
    INSIDE.change(hand_channel=min(INSIDE.read().hand_channel, count - 1))
    return int(
        st.selectbox(
            f"Of the {count} input channels, show",
            range(count),
            **INSIDE.widget("hand_channel"),
            format_func=lambda k: f"channel {k} (its products sum to {sums[k]:.3f})",
        )
    )


def _pictures(
    image: np.ndarray, output: np.ndarray, kernels: Kernels, window: Window, place: tuple[int, int, int], channel: int
) -> None:
    per_group = kernels.weight.shape[1]
    first = place[0] // (len(kernels.weight) // kernels.groups) * per_group
    source, result = image[first + channel], output[place[0]]
    height, width = source.shape
    box = (
        max(0, window.row),
        min(height, window.row + window.span) - 1,
        max(0, window.column),
        min(width, window.column + window.span) - 1,
    )
    given = f"What the layer is given, channel {first + channel}, {height}×{width}"
    made = f"What it makes, filter {place[0]}, {result.shape[0]}×{result.shape[1]}"
    side_by_side(
        [
            framed(_painted(source), given, box=box),
            framed(_painted(result), made, box=(place[1], place[1], place[2], place[2])),
        ]
    )


def _painted(values: np.ndarray) -> np.ndarray:
    scale = "diverging" if values.min() < 0 else "viridis"
    return np.asarray(paint.paint(values[None], scale=scale)[0])


def _arithmetic(window: Window, channel: int, *, computed: float, who: str) -> None:
    bound = max(abs(window.patches[channel]).max(), 1e-9)
    kernel_bound, product_bound = (max(abs(a[channel]).max(), 1e-9) for a in (window.kernels, window.products))
    parts = [
        _table(window.patches[channel], float(bound), "Patch"),
        "<span class='op'>×</span>",
        _table(window.kernels[channel], float(kernel_bound), "Kernel"),
        "<span class='op'>=</span>",
        _table(window.products[channel], float(product_bound), "Products"),
    ]
    st.html(_STYLE + f"<div class='cl-hand'>{''.join(parts)}</div>")
    count = len(window.patches)
    own = float(window.products[channel].sum())
    rest = "" if count == 1 else f" (this channel {own:.4f}, the other {count - 1} together {window.total - own:.4f})"
    st.markdown(
        f"Sum of the products **{window.total:.4f}**{rest} + bias **{window.bias:.4f}** = **{window.value:.4f}**  \n"
        f"{who} computed **{computed:.4f}**: a difference of {abs(window.value - computed):.1g}."
    )


def _table(values: np.ndarray, bound: float, caption: str) -> str:
    rows = []
    for row in values:
        cells = "".join(
            f"<td style='background:color-mix(in srgb, {'#e0861a' if v > 0 else '#3b8fd4'} "
            f"{_TINT * min(1.0, abs(v) / bound):.0f}%, transparent)'>{_number(float(v))}</td>"
            for v in row
        )
        rows.append(f"<tr>{cells}</tr>")
    return f"<figure><figcaption>{escape(caption)}</figcaption><table>{''.join(rows)}</table></figure>"


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1000:
        return f"{value:.0f}"
    return f"{value:.2f}".replace("-0.00", "0.00")
