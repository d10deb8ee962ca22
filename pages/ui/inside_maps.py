"""Feature maps of a layer for the image, one channel enlarged over it, and kernels with what training changed."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from pages.ui.frame import plain
from pages.ui.inside_subject import Picture, Subject
from pages.ui.looking import IMAGE_SIZE, INITIAL, kernels_of, layers_of, maps_of
from pages.ui.parts import Tile, data_url, tiles
from pages.ui.state import put, value_of

if TYPE_CHECKING:
    from lab.inspection.receptive import Field

_CHANNEL = "inside.channel"
_MOST = 256  # tiles at once
_SORTS = {"index": "By number", "activation": "Strongest first"}
_KERNEL_VIEWS = {"now": "Weights", "change": "Change since the start", "before": "Before training"}
_SIDE = 206  # px of an enlarged picture
_LEGEND = (
    "<div style='display:flex;align-items:center;gap:.5rem;font-size:.8rem'><span>{low:.3g}</span>"
    "<span style='width:9rem;height:.7rem;border-radius:.2rem;background:linear-gradient(90deg,{stops})'></span>"
    "<span>{high:.3g}</span><span style='opacity:.75'>{words}</span></div>"
)


def show_maps(subject: Subject, picture: Picture) -> None:
    """Show the grid of a layer's channels; a click enlarges one."""
    layers = [layer for layer in layers_of(*subject.key) if layer.has_maps and layer.type not in ("Resize", "Crop")]
    names = {layer.name: layer for layer in layers}
    columns = st.columns([2, 1, 1], vertical_alignment="bottom")
    with columns[0]:
        chosen = choose_layer("inside.layer", {n: _layer_words(n, v.type, v.shape) for n, v in names.items()})
    with columns[1]:
        order = st.selectbox("Order", list(_SORTS), format_func=_SORTS.__getitem__, key="inside.order",
                             persist_state="session")  # fmt: skip
    with columns[2]:
        each = st.toggle("Own scales", key="inside.each", persist_state="session",
                         help="Off: one colour scale for the layer, so channels can be compared. On: each its own.")  # fmt: skip
    maps = maps_of(*subject.key, chosen, picture.pixels)
    index = np.argsort(-maps.mean, kind="stable") if order == "activation" else np.arange(len(maps.mean))
    shown = index[:_MOST]
    scale = "diverging" if maps.values.min() < 0 else "viridis"
    words = [
        Tile(
            label=f"Channel {k}, mean {maps.mean[k]:.3f}, {100 * maps.sparsity[k]:.0f} per cent zeros",
            one=f"#{k}", two=f"{maps.mean[k]:.2f} · {100 * maps.sparsity[k]:.0f} % zero",
        )
        for k in shown
    ]  # fmt: skip
    channel = value_of(_CHANNEL)
    channel = int(channel) if channel is not None and int(channel) < len(maps.mean) else None
    if channel is not None:
        read_side = next((v.shape[-1] for v in layers_of(*subject.key) if v.type == "Resize"), IMAGE_SIZE)
        _enlarged(picture, maps.values[channel], maps.layer.field, channel, scale=scale, read_side=read_side)
    tiles(
        "inside-maps", paint.pack(paint.paint(maps.values[shown], scale=scale, each=each)), words,
        name=f"Feature maps of {chosen}", height=_tile_height(maps.values.shape[-1]), cell=92,
        selected=None if channel is None else int(np.flatnonzero(shown == channel)[0]) if channel in shown else None,
        on_pick=lambda place: put(_CHANNEL, int(shown[place])),
    )  # fmt: skip
    if not each:
        legend(*paint.limits(maps.values, signed=scale == "diverging"), scale)
    more = f" The first {_MOST} of {len(index)} channels are shown." if len(index) > _MOST else ""
    st.caption(
        f"{len(index)} channels of {plain(chosen)} for {plain(picture.name)}, {subject.moment.words}: under each its "
        f"mean and the share of zeros. Click one to enlarge it.{more}"
    )
    st.download_button(
        "PNG", paint.grid(paint.paint(maps.values[shown], scale=scale, each=each), enlarge=4),
        f"{subject.run.id}-epoch{subject.moment.epoch}-{chosen}.png", "image/png", icon=":material/download:",
        key="inside-maps-png",
    )  # fmt: skip


def choose_layer(key: str, words: dict[str, str]) -> str:
    """Return the chosen layer; the first activation at first, and again for a network without the one chosen."""
    names = list(words)
    if value_of(key) not in words:
        put(key, next((n for n in names if "ReLU" in words[n]), names[0]))
    return str(st.selectbox("Layer", names, format_func=words.__getitem__, key=key, persist_state="session"))


def _layer_words(name: str, type_: str, shape: tuple[int, ...]) -> str:
    return f"{name.removeprefix('features.')} · {type_} · {'×'.join(map(str, shape))}"


def _tile_height(side: int) -> int:
    """Return a height in px that enlarges a map by a whole number, near 84 px."""
    return side * max(1, round(84 / side)) if side <= 84 else 84


def legend(low: float, high: float, scale: str) -> None:
    """Show which colour stands for which number."""
    steps = np.linspace(low, high, 9) if high > low else np.zeros(9)
    stops = ", ".join(f"rgb({r},{g},{b})" for r, g, b in paint.colour(steps, low=low, high=high, scale=scale))
    words = "zero is white" if scale == "diverging" else ""
    st.html(_LEGEND.format(low=low, high=high, stops=stops, words=words))


def _enlarged(
    picture: Picture, values: np.ndarray, field: "Field | None", channel: int, *, scale: str, read_side: int
) -> None:
    """Show one channel beside and over the image. read_side: side of the image after the network's own resize."""
    row, column = (int(n) for n in np.unravel_index(int(np.abs(values).argmax()), values.shape))
    side = picture.pixels.shape[-1]
    seen = None
    if field is not None:
        seen = (*field.pixels(row, image_size=read_side), *field.pixels(column, image_size=read_side))
    strongest = f"strongest value, {values[row, column]:.2f} at row {row}, column {column}"
    sees = f"the frame is what the {strongest}, can see" if seen else f"the {strongest}, sees all of it"
    placed = _placed(values, field, side=side, read_side=read_side)
    pictures = [
        framed(paint.digits(picture.pixels[None])[0], f"The image; {sees}", box=seen, of=read_side),
        framed(
            paint.paint(values[None], scale=scale)[0],
            f"Channel {channel}, {values.shape[0]}×{values.shape[1]}",
            box=(row, row, column, column),
        ),
        framed(paint.blend(picture.pixels, placed, scale=scale), "The channel over the image"),
    ]
    with st.container(border=True, key="inside-enlarged"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**Channel {channel}**")
            st.button("Close", icon=":material/close:", on_click=put, args=(_CHANNEL, None), key="inside-close")
        side_by_side(pictures)


def _placed(values: np.ndarray, field: "Field | None", *, side: int, read_side: int) -> np.ndarray:
    """Return a map at the image's size: each value over the pixels it is centred on, 0 where no value is."""
    places = np.arange(side)
    if field is None:
        index = places * values.shape[0] // side
        return np.asarray(values[index[:, None], index[None]])
    middle = (field.first + field.last) / 2
    index = np.round(((places + 0.5) * read_side / side - 0.5 - middle) / field.step).astype(int)
    inside = (index >= 0) & (index < len(values))
    index = index.clip(0, len(values) - 1)
    return np.where(inside[:, None] & inside[None], values[index[:, None], index[None]], 0.0)


def framed(
    rgb: np.ndarray, caption: str, *, box: tuple[int, int, int, int] | None = None, of: int | None = None
) -> str:
    """Return a picture enlarged in HTML. box: first and last row, first and last column of a frame, on a grid of
    `of`×`of` cells (the picture's own pixels if None)."""
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
        f"<figure style='margin:0;width:min({_SIDE}px, 46%)'><span style='position:relative;display:block'>"
        f"<img src='{data_url(paint.encode(rgb))}' alt='{escape(caption)}' style='width:100%;display:block;"
        f"image-rendering:pixelated;border-radius:4px'>{frame}</span>"
        f"<figcaption style='font-size:.8rem;opacity:.85;margin-top:.3rem'>{escape(caption)}</figcaption></figure>"
    )


def side_by_side(figures: Sequence[str]) -> None:
    """Show figures made by `framed` in a row that wraps."""
    st.html(f"<div style='display:flex;flex-wrap:wrap;gap:1rem'>{''.join(figures)}</div>")


def show_kernels(subject: Subject) -> None:
    """Show one convolution's filters as they are, were, or changed."""
    from lab.inspection.kernels import kernel_change

    words = {
        layer.name: _layer_words(layer.name, layer.type, layer.shape)
        for layer in layers_of(*subject.key)
        if layer.type == "Conv2d"
    }
    columns = st.columns([2, 2, 1], vertical_alignment="bottom")
    with columns[0]:
        chosen = choose_layer("inside.kernel", words)
    now, before = kernels_of(*subject.key, chosen), kernels_of(subject.run.id, INITIAL, chosen)
    change = kernel_change(now, before)
    with columns[1]:
        put("inside.kernel.view", value_of("inside.kernel.view", "now"))
        view = st.selectbox("Show", list(_KERNEL_VIEWS), format_func=_KERNEL_VIEWS.__getitem__,
                            key="inside.kernel.view", persist_state="session")  # fmt: skip
    with columns[2]:
        source = _input_channel(now.weight.shape[1])
    values = {"now": now.weight, "change": change.difference, "before": before.weight}[str(view)][:, source]
    shown = values[:_MOST]
    labels = [
        Tile(
            label=f"Filter {k}, moved by {100 * change.relative[k]:.0f} per cent of its length",
            one=f"#{k}", two=f"moved {_percent(change.relative[k])}",
        )
        for k in range(len(shown))
    ]  # fmt: skip
    tiles(
        "inside-kernels", paint.pack(paint.paint(shown, scale="diverging")), labels, name=f"Filters of {chosen}",
        height=now.weight.shape[-1] * max(1, round(70 / now.weight.shape[-1])), cell=92,
    )  # fmt: skip
    legend(*paint.limits(shown, signed=True), "diverging")
    st.caption(_kernel_words(change.relative, change.cosine, len(now.weight), now.weight.shape, subject))


def _input_channel(count: int) -> int:
    if count == 1:
        st.number_input("Input channel", 0, 0, 0, disabled=True, key="inside.kernel.only")
        return 0
    put("inside.kernel.source", min(int(value_of("inside.kernel.source", 0)), count - 1))
    return int(st.number_input("Input channel", 0, count - 1, key="inside.kernel.source", persist_state="session"))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "from zero"


def _kernel_words(
    relative: np.ndarray, cosine: np.ndarray, count: int, shape: tuple[int, ...], subject: Subject
) -> str:
    side = f"{shape[-2]}×{shape[-1]}"
    first = f"{count} filters of {side}, {shape[1]} input channel{'s' if shape[1] > 1 else ''} each. "
    if subject.moment.digest == INITIAL:
        return first + "Nothing has moved yet: move the slider to see training change them."
    if not relative.any():
        return first + "This layer is frozen: training did not touch it."
    finite = np.where(np.isfinite(relative), relative, 0)
    return (
        f"{first}Since the start they moved by {_percent(float(finite.mean()))} of their length on average, most of "
        f"all #{int(finite.argmax())} ({_percent(float(finite.max()))}); mean cosine to the start {np.nanmean(cosine):.2f}."
    )
