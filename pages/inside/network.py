"""The whole network in one picture: its maps at this epoch, and a click from one of them down to one value."""

import streamlit as st

from lab.inspection.stages import Rows, Stage, image_rows, input_rows
from pages.cache.inspection import network_of, outputs_of, stages_of, traced_of, values_of
from pages.inside.hand import chosen_place
from pages.inside.picked import show_picked
from pages.inside.subject import Picture, Subject
from pages.markdown import plain
from pages.state.inside import INSIDE
from pages.widgets.network_picture import Mark, show_network


def show_whole_network(subject: Subject, picture: Picture) -> None:
    """Show every stage's maps for the image, and below them the chosen one's layer."""
    opened = INSIDE.read().opened
    stages = stages_of(*subject.key, opened)
    values = values_of(*subject.key, opened, picture.pixels, subject.answering.digest, subject.run.config.dataset)
    stage = next((each for each in stages if each.box.id == INSIDE.read().stage), None)
    place = None if stage is None else _place(subject, picture, stage)
    show_network(
        "inside-network",
        stages,
        name=subject.run.id,
        label=f"{subject.run.config.arch} reading {picture.name}, {subject.moment.words}",
        values=values,
        classes=subject.classes,
        truth=picture.label,
        chosen=None if stage is None or place is None else (stage.box.id, place[0]),
        marks=[] if stage is None or place is None else _marks(subject, stages, stage, place),
        on_pick=_pick,
        on_block=_turn,
    )
    if stage is None or place is None:
        blocks = " A **+** opens a block." if any(each.closed for each in stages) else ""
        st.caption(
            f"{plain(picture.name)} on its way through the network, {subject.moment.words}. Each layer has its own colour "
            f"scale: the brighter, the stronger. **Click a map** to see what it is made of.{blocks}"
        )
    else:
        show_picked(subject, picture, stages, stage)


def _pick(stage: str, channel: int) -> None:
    """Choose a map, and on it the strongest value; the chosen one again closes it."""
    state = INSIDE.read()
    if (state.stage, state.place.get("filter")) == (stage, channel):
        INSIDE.change(stage="")
    else:
        INSIDE.change(stage=stage, place={"filter": channel})


def _turn(block: str, opened: bool) -> None:
    held = INSIDE.read().opened
    INSIDE.change(opened=(*held, block) if opened else tuple(each for each in held if each != block))


def _place(subject: Subject, picture: Picture, stage: Stage) -> tuple[int, int, int] | None:
    """Return channel, row and column of the chosen value; None where the stage has no maps."""
    if not stage.is_maps:
        return None
    return chosen_place(outputs_of(*subject.key, stage.box.nodes, picture.pixels)[stage.box.output])


def _marks(subject: Subject, stages: tuple[Stage, ...], stage: Stage, place: tuple[int, int, int]) -> list[Mark]:
    """Return frames of the chosen value, of what it was made from, and of the part of the image it depends on."""
    traced, network = traced_of(*subject.key), network_of(*subject.key).network
    channel, row, column = place
    here = tuple((k, k) for k in range(stage.box.shape[-1]))
    marks = [_mark(stage, channel, here, row, column, "pixel")]
    before = input_rows(traced, network, stage)
    image = image_rows(traced, stage, stages[0])
    for each in stages:
        if before is not None and each.box.id in stage.box.inputs:
            marks.append(_mark(each, None, before, row, column, "window"))
        elif image is not None and each is stages[0]:
            marks.append(_mark(each, None, image, row, column, "field"))
    return marks


def _mark(stage: Stage, channel: int | None, rows: Rows, row: int, column: int, kind: str) -> Mark:
    side = stage.box.shape[-1]
    (top, bottom), (left, right) = rows[row], rows[column]
    return Mark(
        stage=stage.box.id,
        channel=channel,
        top=top / side,
        left=left / side,
        height=(bottom + 1 - top) / side,
        width=(right + 1 - left) / side,
        kind=kind,
    )
