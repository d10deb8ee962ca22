"""Feature maps of a layer: the channels for the image, one enlarged and over the image, and the first five images."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.formatting import format_percent
from lab.inspection.observe import FeatureMaps, LayerView
from lab.inspection.receptive_field import ReceptiveField
from pages.cache.inspection import layers_of, maps_of
from pages.components.tiles import Tile, tiles
from pages.inside.channel import show_channel
from pages.inside.figures import choose_layer, framed, layer_words, legend, side_by_side
from pages.inside.subject import Picture, Subject
from pages.markdown import plain
from pages.state.codec import whole
from pages.state.inside import INSIDE
from pages.state.keys import element

_MAX = 256  # tiles shown at once
_MAX_OF_FIVE = 32  # channels of each of the five images
_SORTS = {"index": "By number", "activation": "Strongest first"}


def show_maps(subject: Subject, picture: Picture) -> None:
    """Show the grid of a layer's channels; a click enlarges one."""
    layers = [layer for layer in layers_of(*subject.key) if layer.has_maps and not layer.kind.prepares_input]
    if not layers:
        st.info(
            "No layer of this network has feature maps: it has linear layers only. *Whole network* shows their values."
        )
        return
    layer, order, each = _choose(layers)
    maps = maps_of(*subject.key, layer, picture.pixels)
    index = np.argsort(-maps.mean, kind="stable") if order == "activation" else np.arange(len(maps.mean))
    shown = index[:_MAX]
    scale = "diverging" if maps.values.min() < 0 else "viridis"
    _take_channel(maps)
    _enlarge_chosen(subject, picture, maps, scale)
    _grid(maps, shown, scale=scale, each=each)
    if not each:
        legend(*paint.limits(maps.values, signed=scale == "diverging"), scale)
    more = f" The first {_MAX} of {len(index)} channels are shown." if len(index) > _MAX else ""
    st.caption(
        f"{len(index)} channels of {plain(layer)} for {plain(picture.name)}, {subject.moment.words}, each with its "
        f"mean and its share of zeros. Click a channel to enlarge it.{more}"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "PNG",
            lambda: paint.grid(paint.paint(maps.values[shown], scale=scale, each=each), enlarge=4),
            f"{subject.run.id}-epoch{subject.moment.epoch}-{layer}.png",
            "image/png",
            icon=":material/download:",
            key=element("inside-maps-png"),
        )
        five = st.toggle(
            "First five test images",
            **INSIDE.widget("five"),
            help="Shows the same layer for the first five images of the test set, as in report C.",
        )
    if five:
        _first_five(subject, layer)


def _choose(layers: Sequence[LayerView]) -> tuple[str, str, bool]:
    """Return the chosen layer, order, and whether each channel has its own colour scale."""
    grid = st.grid(2, min_column_width=150, vertical_alignment="bottom")
    with grid.cell():
        chosen = choose_layer(
            "layer",
            {v.name: layer_words(v.name, v.type, v.shape) for v in layers},
            first=next((v.name for v in layers if v.kind.is_activation), ""),
        )
    with grid.cell():
        order = st.selectbox("Order", list(_SORTS), format_func=_SORTS.__getitem__, **INSIDE.widget("order"))
    each = st.toggle(
        "Per-channel scale",
        **INSIDE.widget("each"),
        help="Off: one colour scale for the layer, so that channels can be compared. On: one for each channel.",
    )
    return chosen, str(order), bool(each)


def _take_channel(maps: FeatureMaps) -> None:
    """Take the enlarged channel from the address; drop one that this layer does not have."""
    INSIDE.take("channel", read=whole(0, len(maps.mean) - 1))
    if (INSIDE.read().channel or 0) >= len(maps.mean):
        INSIDE.change(channel=None)
    INSIDE.show("channel")


def _grid(maps: FeatureMaps, shown: np.ndarray, *, scale: str, each: bool) -> None:
    words = [
        Tile(
            label=f"Channel {k}, mean {maps.mean[k]:.3f}, {format_percent(float(maps.sparsity[k]), digits=0)} zeros",
            one=f"#{k}",
            two=f"{maps.mean[k]:.2f} · {format_percent(float(maps.sparsity[k]), digits=0)} zero",
        )
        for k in shown
    ]
    places = {int(k): place for place, k in enumerate(shown)}
    channel = INSIDE.read().channel
    tiles(
        "inside-maps",
        paint.pack(paint.paint(maps.values[shown], scale=scale, each=each)),
        words,
        name=f"Feature maps of {maps.layer.name}",
        height=_tile_height(maps.values.shape[-1], 84),
        cell=92,
        selected=None if channel is None else places.get(channel),
        on_pick=lambda place: INSIDE.change(channel=int(shown[place])),
    )


def _tile_height(side: int, near: int) -> int:
    """Return a tile height in px close to `near`, a whole multiple of the map's side if the map is smaller."""
    return side * max(1, round(near / side)) if side <= near else near


def _first_five(subject: Subject, layer: str) -> None:
    data = subject.dataset
    for number in range(min(5, len(data.test_images))):
        maps = maps_of(*subject.key, layer, data.test_images[number])
        values = maps.values[:_MAX_OF_FIVE]
        scale = "diverging" if values.min() < 0 else "viridis"
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            with st.container(width=84):
                st.image(
                    paint.encode(paint.image_tiles(data.test_images[number][None])[0].repeat(3, 0).repeat(3, 1)),
                    alt=f"Test image {number}",
                    caption=plain(subject.classes[data.test_labels[number]]),
                )
            with st.container(width="stretch"):
                tiles(
                    f"inside-five-{number}",
                    paint.pack(paint.paint(values, scale=scale)),
                    [Tile(label=f"Channel {k}") for k in range(len(values))],
                    height=_tile_height(values.shape[-1], 56),
                    name=f"{layer} for test image {number}",
                )


def _enlarge_chosen(subject: Subject, picture: Picture, maps: FeatureMaps, scale: str) -> None:
    channel = INSIDE.read().channel
    if channel is not None:
        read_side = next((v.shape[-1] for v in layers_of(*subject.key) if v.type == "Resize"), picture.pixels.shape[-1])
        with st.container(border=True, key=element("inside-enlarged")):
            _heading(channel, len(maps.values))
            _enlarged(picture, maps.values[channel], maps.layer.field, channel, scale=scale, read_side=read_side)
            show_channel(subject, maps.layer.name, channel, maps.layer.field, read_side=read_side)


def _enlarged(
    picture: Picture, values: np.ndarray, field: ReceptiveField | None, channel: int, *, scale: str, read_side: int
) -> None:
    """Show one channel next to and over the image. read_side: side of the image after the network's own resize."""
    row, column = (int(n) for n in np.unravel_index(int(np.abs(values).argmax()), values.shape))
    side = picture.pixels.shape[-1]
    seen = None
    if field is not None:
        seen = (*field.pixels(row), *field.pixels(column))
    strongest = f"strongest value, {values[row, column]:.2f} at row {row}, column {column}"
    note = f"the frame is the receptive field of the {strongest}" if seen else f"the {strongest}, depends on all pixels"
    placed = _placed(values, field, side=side, read_side=read_side)
    pictures = [
        framed(paint.image_tiles(picture.pixels[None])[0], f"The image; {note}", box=seen, of=read_side),
        framed(
            paint.paint(values[None], scale=scale)[0],
            f"Channel {channel}, {values.shape[0]}×{values.shape[1]}",
            box=(row, row, column, column),
        ),
        framed(paint.blend(picture.pixels, placed, scale=scale), "The channel over the image"),
    ]
    side_by_side(pictures)


def _heading(channel: int, count: int) -> None:
    """Draw the number of the enlarged channel, and buttons for its neighbours, which the grid below may hide."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Channel {channel}**", width="stretch")
        for label, icon, other, disabled in (
            ("Previous", "chevron_left", channel - 1, channel == 0),
            ("Next", "chevron_right", channel + 1, channel + 1 >= count),
            ("Close", "close", None, False),
        ):
            st.button(
                label,
                icon=f":material/{icon}:",
                disabled=disabled,
                on_click=INSIDE.change,
                kwargs={"channel": other},
                key=element("inside-channel", label),
            )


def _placed(values: np.ndarray, field: ReceptiveField | None, *, side: int, read_side: int) -> np.ndarray:
    """Return a map at the image's size: each value over the pixels it is centred on, 0 elsewhere."""
    places = np.arange(side)
    if field is None:
        index = places * values.shape[0] // side
        return np.asarray(values[index[:, None], index[None]])
    rows = np.arange(-1, len(values) + 1)  # with one row before and one after the map, which have no values
    index = np.interp((places + 0.5) * read_side / side - 0.5, [field.middle(int(row)) for row in rows], rows)
    index = np.round(index).astype(int)
    inside = (index >= 0) & (index < len(values))
    index = index.clip(0, len(values) - 1)
    return np.where(inside[:, None] & inside[None], values[index[:, None], index[None]], 0.0)
