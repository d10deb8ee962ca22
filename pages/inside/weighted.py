"""One output of a linear layer as the sum of its terms: bars for the largest ones, the others summed up.

If the inputs were maps, all terms are also shown as maps: which positions raise the output, and which lower it.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.inspection.layer_kinds import LayerKind
from lab.inspection.weighted_sum import WeightedSum
from pages.components.tiles import Tile, tiles
from pages.inside.figures import difference_words, legend
from pages.markdown import plain
from pages.state.inside import INSIDE

_TERMS = 10
_MAX_UNITS = 128
_MAX_MAPS = 64
_RAISES, _LOWERS = "#e0861a", "#3b8fd4"  # as in the maps of the terms
_STYLE = """<style>
.cl-sum { display: grid; grid-template-columns: auto minmax(4rem, 1fr) auto; gap: 0.25rem 0.7rem; align-items: center;
  font-size: 0.82rem; font-variant-numeric: tabular-nums; }
.cl-sum .axis { display: block; position: relative; height: 0.95rem; border-radius: 3px;
  background: linear-gradient(90deg, transparent calc(50% - 0.5px), currentColor calc(50% - 0.5px),
  currentColor calc(50% + 0.5px), transparent calc(50% + 0.5px)), color-mix(in srgb, currentColor 7%, transparent); }
.cl-sum .axis i { position: absolute; top: 2px; bottom: 2px; border-radius: 2px; }
.cl-sum .num { text-align: right; white-space: nowrap; } .cl-sum .num small { margin-right: 0.3rem; opacity: 0.8;
  font-size: 0.75rem; }
</style>"""


def is_linear(kind: LayerKind, shape: Sequence[int]) -> bool:
    """Whether a layer's outputs, of a shape without the batch, are weighted sums of all its inputs."""
    return kind.family == "linear" and len(shape) == 1


def choose_unit(shown: np.ndarray, unit: int, *, name: str, names: Sequence[str]) -> None:
    """Show a layer's outputs (N, 1, 1); a click chooses one. names: class names of the last layer's outputs."""
    index = list(range(min(len(shown), _MAX_UNITS)))
    if unit not in index:
        index[-1] = unit
    scale = "diverging" if shown.min() < 0 else "viridis"
    tiles(
        "inside-units",
        paint.pack(paint.paint(shown[index], scale=scale)),
        [
            Tile(
                label=f"Output {k} of {name}, {shown[k, 0, 0]:.3f}",
                one=names[k] if names else f"#{k}",
                two=f"{shown[k, 0, 0]:.2f}",
            )
            for k in index
        ],
        name=f"Outputs of {name}",
        height=28,
        cell=44,
        row=True,
        selected=index.index(unit),
        on_pick=lambda place: INSIDE.change(place=(index[place],)),
    )
    if len(shown) > len(index):
        st.caption(f"{len(index)} of {len(shown):,} outputs.")


def show_sum(sum_: WeightedSum, *, before: Sequence[int], source: str, computed: float, then: str = "") -> None:
    """Show the terms of an output's sum. before: shape of the inputs before flattening, (C, H, W) or (N,).

    source: name of the layer that produces the inputs. computed: the network's own value. then: what happens to the
    value afterwards, as text.
    """
    maps = len(before) == 3 and tuple(before[1:]) != (1, 1)
    left, right = st.columns([3, 2], gap="medium")
    with right:
        _sentence(sum_, computed)
        if then:
            st.markdown(then)
    with left:
        if maps:
            _maps(sum_, before, source)
        _terms(sum_, before if maps else (len(sum_.inputs),), source)


def _sentence(sum_: WeightedSum, computed: float) -> None:
    difference = difference_words(sum_.value, computed)
    st.markdown(
        f"Sum of the {len(sum_.products):,} products **{sum_.total:.4f}** + bias **{sum_.bias:.4f}** = "
        f"**{sum_.value:.4f}**  \nThe network computed **{computed:.4f}**: a difference of {difference}."
    )
    raised, lowered = sum_.products[sum_.products > 0], sum_.products[sum_.products < 0]
    st.caption(
        f"{len(raised):,} terms raise it by {raised.sum():.2f} in total, {len(lowered):,} lower it by "
        f"{-lowered.sum():.2f}."
    )


def _maps(sum_: WeightedSum, before: Sequence[int], source: str) -> None:
    """Show the products at the positions of their inputs; of many maps only those that contribute most."""
    products = sum_.products.reshape(before)
    strength = np.abs(np.nan_to_num(products)).sum((1, 2))
    index = np.sort(np.argsort(-strength, kind="stable")[:_MAX_MAPS])
    shown = products[index]
    some = f", {len(index)} of {before[0]:,} maps" if len(index) < before[0] else ""
    st.markdown(f"**Input × weight**, at the positions of the inputs in {plain(source)}{some}")
    tiles(
        "inside-terms",
        paint.pack(paint.paint(shown, scale="diverging")),
        [
            Tile(
                label=f"Map {k} of {source}, its terms add up to {products[k].sum():.3f}",
                one=f"#{k}",
                two=f"{products[k].sum():+.2f}",
            )
            for k in index
        ],
        name=f"Terms of the sum, by map of {source}",
        height=before[1] * max(1, round(44 / before[1])),
        cell=54,
    )
    legend(*paint.limits(shown, signed=True), "diverging")


def _terms(sum_: WeightedSum, before: Sequence[int], source: str) -> None:
    """Draw the largest terms as bars from zero, and below them the sum of the others and the bias as numbers."""
    largest = sum_.largest(_TERMS)
    rows = [
        (
            f"{source} {_where(int(k), before)}",
            float(sum_.products[k]),
            f"{sum_.inputs[k]:.2f} × {sum_.weights[k]:.3f} =",
        )
        for k in largest
    ]
    others = len(sum_.products) - len(largest)
    if others:
        rest = sum_.total - float(sum_.products[largest].sum())
        rows.append((f"the other {others:,}", rest, ""))
    rows.append(("bias", sum_.bias, ""))
    bound = max(abs(float(sum_.products[largest[0]])), 1e-12)
    st.html(_STYLE + f"<div class='cl-sum'>{''.join(_row(*row, bound=bound) for row in rows)}</div>")


def _where(index: int, before: Sequence[int]) -> str:
    """Return the position of an input, such as "#3, row 2, col 0"."""
    place = [int(n) for n in np.unravel_index(index, tuple(before))]
    return f"#{place[0]}" if len(place) == 1 else f"#{place[0]}, row {place[1]}, col {place[2]}"


def _row(label: str, value: float, how: str, *, bound: float) -> str:
    if not how:
        return f"<span>{escape(label)}</span><span></span><span class='num'>{value:.3f}</span>"
    share = 50 * min(1.0, abs(value) / bound) if np.isfinite(value) else 0.0
    left = 50.0 if value >= 0 else 50 - share
    colour = _RAISES if value >= 0 else _LOWERS
    return (
        f"<span>{escape(label)}</span><span class='axis'>"
        f"<i style='left:{left:.1f}%;width:{share:.1f}%;background:{colour}'></i></span>"
        f"<span class='num'><small>{how}</small>{value:.3f}</span>"
    )
