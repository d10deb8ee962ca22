"""How one value is computed: a convolution's patch, kernel, products and their sum, or the terms of a linear layer.

The value is chosen by a click on the map, or among the layer's outputs.
"""

from dataclasses import dataclass
from html import escape

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.formatting import format_shape
from lab.inspection.kernels import Kernels
from lab.inspection.plain_convolution import Window, convolve, report_e_example, take_window
from lab.inspection.weighted_sum import source_before, take_sum
from pages.cache.inspection import input_of, kernels_of, layers_of, linear_of, maps_of, traced_of
from pages.components.pixels import PixelMap, pixels
from pages.components.tiles import Tile, tiles
from pages.inside.figures import choose_layer, difference_words
from pages.inside.subject import Picture, Subject
from pages.inside.weighted import choose_unit, is_linear, show_sum
from pages.state.inside import INSIDE, fits, place_in

_EXAMPLE = "example"
_MAX = 64  # filters to choose from
_STRONGEST = -1
_TINT = 60  # largest share of colour in a cell, in per cent: with more, light text would be hard to read
_STYLE = """<style>
.cl-hand { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 0.35rem; }
.cl-hand figure { margin: 0; max-width: 100%; overflow-x: auto; }
.cl-hand figcaption { font-size: 0.8rem; opacity: 0.85; margin-bottom: 0.2rem; }
.cl-hand table { border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums; }
.cl-hand td { min-width: 1.75rem; height: 1.75rem; text-align: center; font-size: 0.7rem; border-radius: 3px;
  padding: 0; }
.cl-hand .op { font-size: 1.2rem; opacity: 0.7; }
</style>"""


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """One convolution's numbers for one image: its input `given` (C, H, W) and its output `made` (F, H', W').

    shown: the maps that are drawn, (F, H', W'), such as those after the activation. source, name: titles of the input
    and of the layer. then: what happens to the chosen value afterwards, as text. who: subject of "computed" for `made`.
    scale: colour scale of the input, "" to choose it by the values.
    """

    given: np.ndarray
    kernels: Kernels
    made: np.ndarray
    shown: np.ndarray
    source: str
    name: str
    then: str = ""
    who: str = "The network"
    scale: str = ""


def show_hand(subject: Subject, picture: Picture) -> None:
    """Draw the choice of a value of a layer's output, and show the arithmetic behind it."""
    words = {
        v.name: f"{v.name.removeprefix('features.')} · {format_shape(v.shape)}"
        for v in layers_of(*subject.key)
        if v.kind.has_kernels or is_linear(v.kind, v.shape)
    }
    words[_EXAMPLE] = "Report E's example: 4×4 image, 2×2 kernel of ones"
    layer = choose_layer("hand", words)
    if layer in {v.name for v in layers_of(*subject.key) if is_linear(v.kind, v.shape)}:
        _show_linear(subject, picture, layer)
        return
    if layer == _EXAMPLE:
        image, kernels = report_e_example()
        made = convolve(image[None], kernels.weight, kernels.bias)[0]
        taken = Convolution(image, kernels, made, made, "the image", "the result", who="The loops")
    else:
        image, kernels = input_of(*subject.key, layer, picture.pixels), kernels_of(*subject.key, layer)
        made = maps_of(*subject.key, layer, picture.pixels).values
        short = layer.removeprefix("features.")
        taken = Convolution(image, kernels, made, made, f"Input of {short}", f"Output of {short}")
    take_place(taken.shown)
    _choose_filter(taken.shown)
    show_convolution("inside-hand", taken)


def _show_linear(subject: Subject, picture: Picture, layer: str) -> None:
    """Draw the choice of a linear layer's output, and show the terms of its sum."""
    nodes = traced_of(*subject.key).nodes
    node = next(each for each in reversed(nodes) if each.name == layer)
    given = input_of(*subject.key, layer, picture.pixels)
    made = maps_of(*subject.key, layer, picture.pixels).values
    take_place(made)
    unit = chosen_place(made)[0]
    last = node is nodes[-1]
    source = source_before(nodes, node)
    choose_unit(made, unit, name=layer, names=subject.classes if last else ())
    show_sum(
        take_sum(given, linear_of(*subject.key, layer), unit=unit),
        before=source.output_shape[1:],
        source=source.name.rpartition(".")[2],
        computed=float(made[unit, 0, 0]),
    )


def take_place(shown: np.ndarray) -> None:
    """Take the place from the address; if it lies outside these maps (C, H, W), keep only its filter."""
    INSIDE.take("place", read=place_in(shown.shape))
    held = INSIDE.read().place
    if held and not fits(held, shown.shape):
        INSIDE.change(place=(min(held[0], len(shown) - 1),))
    INSIDE.show("place")


def chosen_place(shown: np.ndarray) -> tuple[int, int, int]:
    """Return filter, row and column of the chosen value: initially the strongest value of the filter's map."""
    held = INSIDE.read().place
    if len(held) == 3 and fits(held, shown.shape):
        return held[0], held[1], held[2]
    filter_ = min(held[0], len(shown) - 1) if held else 0
    strength = np.nan_to_num(np.abs(shown[filter_]))
    row, column = (int(n) for n in np.unravel_index(int(strength.argmax()), shown.shape[1:]))
    return filter_, row, column


def choose_filter(filter_: int) -> None:
    """Choose another filter, in a callback; a chosen row and column stay."""
    INSIDE.change(place=(filter_, *INSIDE.read().place[1:]))


def choose_value(shown: np.ndarray, row: int, column: int) -> None:
    """Choose another value of the chosen filter's map, in a callback."""
    INSIDE.change(place=(chosen_place(shown)[0], row, column))


def _choose_filter(shown: np.ndarray) -> None:
    if len(shown) == 1:
        return
    chosen = chosen_place(shown)[0]
    first = shown[:_MAX]
    tiles(
        "inside-filters",
        paint.pack(paint.paint(first, scale=scale_of(first))),
        [Tile(label=f"Filter {k}", one=f"#{k}") for k in range(len(first))],
        name="Filters",
        height=40,
        row=True,
        selected=chosen if chosen < len(first) else None,
        on_pick=choose_filter,
    )


def show_convolution(key: str, taken: Convolution) -> None:
    """Show the chosen filter's map next to its input, and below them the arithmetic of the chosen value."""
    filter_, row, column = chosen_place(taken.shown)
    window = take_window(taken.given, taken.kernels, filter=filter_, row=row, column=column)
    per_group = taken.kernels.weight.shape[1]
    first = filter_ // (len(taken.kernels.weight) // taken.kernels.groups) * per_group
    left, right = st.columns([3, 2], gap="medium")
    with right:
        channel = _choose_channel(window)
        _sentence(window, channel, computed=float(taken.made[filter_, row, column]), who=taken.who)
        if taken.then:
            st.markdown(taken.then)
    given, made = taken.given[first + channel], taken.shown[filter_]
    with left:
        pixels(
            key,
            PixelMap(
                given, f"{taken.source}, channel {first + channel}, {_size(given)}", taken.scale or scale_of(given)
            ),
            PixelMap(made, f"{taken.name}, filter {filter_}, {_size(made)}: click a value", scale_of(made)),
            windows=_windows(taken.kernels, rows=made.shape[0], side=given.shape[0], span=window.span),
            place=(row, column),
            on_pick=lambda r, c: choose_value(taken.shown, r, c),
        )
    _arithmetic(window, channel)


def _windows(kernels: Kernels, *, rows: int, side: int, span: int) -> list[tuple[int, int]]:
    starts = [row * kernels.stride - kernels.padding for row in range(rows)]
    return [(max(0, start), min(side, start + span) - 1) for start in starts]


def _size(values: np.ndarray) -> str:
    return f"{values.shape[0]}×{values.shape[1]}"


def scale_of(values: np.ndarray) -> str:
    """Return the colour scale of maps: one centred on zero if there are negative values."""
    return "diverging" if values.min() < 0 else "viridis"


def _choose_channel(window: Window) -> int:
    count = len(window.patches)
    sums = window.products.sum(axis=(1, 2))
    strongest = int(np.abs(sums).argmax())
    if count == 1:
        return 0
    if INSIDE.read().hand_channel >= count:
        INSIDE.change(hand_channel=_STRONGEST)
    chosen = int(
        st.selectbox(
            f"Of the {count} input channels, show",
            range(_STRONGEST, count),
            **INSIDE.widget("hand_channel"),
            format_func=lambda k: (
                f"the strongest one: {strongest}"
                if k == _STRONGEST
                else f"channel {k} (its products sum to {sums[k]:.3f})"
            ),
        )
    )
    return strongest if chosen == _STRONGEST else chosen


def _arithmetic(window: Window, channel: int) -> None:
    """Show patch, kernel and products of one input channel as tables."""
    parts: list[str] = []
    for sign, title, values in (
        ("", "Patch", window.patches),
        ("×", "Kernel", window.kernels),
        ("=", "Products", window.products),
    ):
        bound = max(float(abs(values[channel]).max()), 1e-9)
        parts += [f"<span class='op'>{sign}</span>"] if sign else []
        parts.append(_table(values[channel], bound, title))
    st.html(_STYLE + f"<div class='cl-hand'>{''.join(parts)}</div>")


def _sentence(window: Window, channel: int, *, computed: float, who: str) -> None:
    """Write the sum of the products, and the value that was computed."""
    count = len(window.patches)
    own = float(window.products[channel].sum())
    rest = "" if count == 1 else f" (this channel {own:.4f}, the other {count - 1} together {window.total - own:.4f})"
    st.markdown(
        f"Sum of the products **{window.total:.4f}**{rest} + bias **{window.bias:.4f}** = **{window.value:.4f}**  \n"
        f"{who} computed **{computed:.4f}**: a difference of {difference_words(window.value, computed)}."
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
        return f"{value:.0f}".replace("-0", "0")
    return f"{value:.2f}".replace("-0.00", "0.00")
