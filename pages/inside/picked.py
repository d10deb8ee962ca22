"""The chosen map of the whole network: the other maps of its layer, and how its chosen value is computed."""

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.inspection.graph import GraphNode
from lab.inspection.stages import Stage, input_rows
from lab.inspection.weighted_sum import shape_before, take_sum
from pages.cache.inspection import kernels_of, linear_of, network_of, outputs_of, traced_of
from pages.components.pixels import PixelMap, pixels
from pages.components.tiles import Tile, tiles
from pages.inside.hand import Convolution, choose_filter, choose_value, chosen_place, scale_of, show_convolution
from pages.inside.subject import Picture, Subject
from pages.inside.weighted import choose_unit, show_sum
from pages.markdown import plain
from pages.state.inside import INSIDE
from pages.state.keys import element

_MAX = 64  # maps of the layer that are shown


def show_picked(subject: Subject, picture: Picture, stages: tuple[Stage, ...], stage: Stage) -> None:
    """Show the chosen map's layer, the map, and the arithmetic of the chosen value."""
    nodes = {node.id: node for node in traced_of(*subject.key).nodes}
    sources = [nodes[each] for each in nodes[stage.box.nodes[0]].inputs]
    wanted = (*(source.id for source in sources), *stage.box.nodes)
    outputs = outputs_of(*subject.key, wanted, picture.pixels)
    if not stage.is_maps:
        with st.container(border=True, key=element("inside-picked")):
            _linear(subject, stages, stage, nodes, outputs)
        return
    shown = outputs[stage.box.output]
    channel, row, column = chosen_place(shown)
    with st.container(border=True, key=element("inside-picked")):
        _head(stage, channel)
        _layer(stage, shown, channel)
        steps = _steps([nodes[each] for each in stage.box.nodes], outputs, (channel, row, column), closed=stage.closed)
        if nodes[stage.box.nodes[0]].kind.has_kernels and not stage.closed:
            _convolution(subject, stages, stage, nodes, outputs, steps)
        else:
            _value(subject, stages, stage, sources, outputs)
            st.markdown(steps)


def _linear(
    subject: Subject,
    stages: tuple[Stage, ...],
    stage: Stage,
    nodes: dict[str, GraphNode],
    outputs: dict[str, np.ndarray],
) -> None:
    """Show the outputs of a linear layer, and the terms of the chosen output's sum."""
    first = nodes[stage.box.nodes[0]]
    made = outputs[first.id][:, None, None]
    shown = outputs[stage.box.output].reshape(made.shape)
    unit = chosen_place(shown)[0]
    names = subject.classes if stage is stages[-1] else ()
    _head(stage, unit, of=f"the class {names[unit]}" if names else f"unit {unit} of {stage.count}")
    choose_unit(shown, unit, name=stage.box.title, names=names)
    show_sum(
        take_sum(outputs[first.inputs[0]], linear_of(*subject.key, first.name), unit=unit),
        before=shape_before(tuple(nodes.values()), first),
        source=_source(stages, stage).box.title,
        computed=float(made[unit, 0, 0]),
        then=_steps([nodes[each] for each in stage.box.nodes], outputs, (unit,), closed=False),
    )


def _head(stage: Stage, channel: int, *, of: str = "") -> None:
    """Draw the heading with the stage, the chosen map or value, and a close button. of: replaces the channel."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        of = of or ("" if stage.count == 1 else f"channel {channel} of {stage.count}")
        st.markdown(f"**{plain(', '.join(filter(None, (stage.box.title, of))))}** &nbsp; {plain(stage.box.detail)}")
        st.button(
            "Close",
            icon=":material/close:",
            on_click=INSIDE.change,
            kwargs={"stage": "", "place": ()},
            key=element("inside-picked-close"),
        )


def _layer(stage: Stage, shown: np.ndarray, channel: int) -> None:
    """Show the layer's maps with the chosen one selected."""
    if len(shown) == 1:
        return
    index = list(range(min(len(shown), _MAX)))
    if channel not in index:
        index[-1] = channel
    tiles(
        "inside-picked-maps",
        paint.pack(paint.paint(shown[index], scale=scale_of(shown))),
        [Tile(label=f"Channel {k} of {stage.box.title}", one=f"#{k}") for k in index],
        name=f"Maps of {stage.box.title}",
        height=40,
        row=True,
        selected=index.index(channel),
        on_pick=lambda place: choose_filter(index[place]),
    )
    if len(shown) > len(index):
        st.caption(f"{len(index)} of {len(shown)} channels.")


def _convolution(
    subject: Subject,
    stages: tuple[Stage, ...],
    stage: Stage,
    nodes: dict[str, GraphNode],
    outputs: dict[str, np.ndarray],
    steps: str,
) -> None:
    first = nodes[stage.box.nodes[0]]
    source = _source(stages, stage)
    show_convolution(
        "inside-picked-value",
        Convolution(
            given=outputs[first.inputs[0]],
            kernels=kernels_of(*subject.key, first.name),
            made=outputs[first.id],
            shown=outputs[stage.box.output],
            source=source.box.title,
            name=stage.box.title,
            then=steps,
            scale="grey" if source.box.family == "input" else "",
        ),
    )


def _source(stages: tuple[Stage, ...], stage: Stage) -> Stage:
    """Return the stage that produces a stage's first input."""
    return next(each for each in stages if each.box.id == stage.box.inputs[0])


def _value(
    subject: Subject,
    stages: tuple[Stage, ...],
    stage: Stage,
    sources: list[GraphNode],
    outputs: dict[str, np.ndarray],
) -> None:
    """Show the map of a stage that is no convolution, next to its input."""
    shown = outputs[stage.box.output]
    channel, row, column = chosen_place(shown)
    windows = input_rows(traced_of(*subject.key), network_of(*subject.key).network, stage)
    title = f"{stage.box.title}, channel {channel}, {shown.shape[1]}×{shown.shape[2]}: click a value"
    given = None
    if sources and windows is not None and len(outputs[sources[0].id]) == len(shown):
        source = _source(stages, stage)
        before = outputs[sources[0].id][channel]
        given = PixelMap(
            before, f"{source.box.title}, channel {channel}, {before.shape[0]}×{before.shape[1]}", scale_of(before)
        )
    pixels(
        "inside-picked-value",
        given,
        PixelMap(shown[channel], title, scale_of(shown[channel])),
        windows=windows or [],
        place=(row, column),
        on_pick=lambda r, c: choose_value(shown, r, c),
    )
    if stage.closed:
        st.caption(
            f"The block's {plain(stage.box.detail)} lie between its input and this map. Expand it with the **+** above "
            "it."
        )
    elif stage.box.family == "join" and given is not None:
        terms = [float(outputs[each.id][channel, row, column]) for each in sources]
        st.markdown(f"{plain(' + '.join(f'{term:.4f}' for term in terms))} = **{sum(terms):.4f}**")


def _steps(nodes: list[GraphNode], outputs: dict[str, np.ndarray], place: tuple[int, ...], *, closed: bool) -> str:
    """Return the value after each step of the stage, "" if the stage has a single step."""
    if closed or len(nodes) < 2 or nodes[0].kind.family == "input":
        return ""
    # Dropout is off in evaluation mode, and a shortcut passes its input on.
    changing = [node for node in nodes if not node.kind.passes_on]
    return " → ".join(f"{plain(node.kind.label)} **{float(outputs[node.id][place]):.4f}**" for node in changing)
