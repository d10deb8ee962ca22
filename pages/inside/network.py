"""The whole network in one picture, with its maps at this epoch; a click on a map shows how a value is computed."""

import streamlit as st

from lab.inspection.stages import Rows, Stage, image_rows, input_rows
from pages.cache.inspection import network_of, outputs_of, stages_of, traced_of, values_of
from pages.inside.hand import chosen_place, take_place
from pages.inside.picked import show_picked
from pages.inside.subject import Picture, Subject
from pages.markdown import plain
from pages.state.codec import one_of, several_of
from pages.state.inside import INSIDE
from pages.widgets.network_picture import Mark, colour_words, show_network, turn_block


def show_whole_network(subject: Subject, picture: Picture) -> None:
    """Show every stage's maps for the image, and below them the layer of the chosen map."""
    opened = _opened(subject)
    stages = stages_of(*subject.key, opened)
    _take_stage(stages)
    values = values_of(*subject.key, opened, picture.pixels, subject.answering.digest, subject.run.config.dataset)
    stage = next((each for each in stages if each.box.id == INSIDE.read().stage), None)
    place = None if stage is None else _place(subject, picture, stage)
    if place is None:
        INSIDE.leave("place")
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
        units=True,
        on_pick=_pick,
        on_block=_turn,
    )
    if stage is None or place is None:
        blocks = " A **+** expands a block." if any(each.closed for each in stages) else ""
        st.caption(
            f"Feature maps for {plain(picture.name)}, {subject.moment.words}. {colour_words(stages, values)} "
            f"**Click a map, a value or an answer** to see how it is computed.{blocks}"
        )
    else:
        show_picked(subject, picture, stages, stage)


def _pick(stage: str, channel: int) -> None:
    """Choose a map with its strongest value; a click on the chosen map closes it."""
    state = INSIDE.read()
    if state.stage == stage and state.place[:1] == (channel,):
        INSIDE.change(stage="", place=())
    else:
        INSIDE.change(stage=stage, place=(channel,))


def _turn(block: str, opened: bool) -> None:
    INSIDE.change(opened=turn_block(INSIDE.read().opened, _short(block), opened))


def _short(block: str) -> str:
    """Return the part of a block's name that is used in the address, such as "inception4a"."""
    return block.rpartition(".")[2]


def _opened(subject: Subject) -> tuple[str, ...]:
    """Return the expanded blocks, from the address if it has changed; blocks of another network are dropped."""
    blocks = {_short(stage.box.block): stage.box.block for stage in stages_of(*subject.key, ()) if stage.closed}
    INSIDE.take("opened", read=several_of(blocks))
    held = INSIDE.read().opened
    known = tuple(name for name in held if name in blocks)
    if known != held:
        INSIDE.change(opened=known)
    INSIDE.show("opened")
    return tuple(blocks[name] for name in known)


def _take_stage(stages: tuple[Stage, ...]) -> None:
    """Take the chosen stage from the address; drop one that this network does not have."""
    names = [stage.box.id for stage in stages]
    INSIDE.take("stage", read=one_of(names))
    if INSIDE.read().stage not in ("", *names):
        INSIDE.change(stage="", place=())
    INSIDE.show("stage")


def _place(subject: Subject, picture: Picture, stage: Stage) -> tuple[int, int, int] | None:
    """Return channel, row and column of the chosen value, (unit, 0, 0) for a linear layer, None for other vectors."""
    if not stage.is_maps and stage.box.family != "linear":
        return None
    shown = outputs_of(*subject.key, stage.box.nodes, picture.pixels)[stage.box.output]
    shown = shown.reshape(len(shown), *(shown.shape[1:] or (1, 1)))
    take_place(shown)
    return chosen_place(shown)


def _marks(subject: Subject, stages: tuple[Stage, ...], stage: Stage, place: tuple[int, int, int]) -> list[Mark]:
    """Return the frames of the chosen value, of its inputs, and of the part of the image that it depends on."""
    traced, network = traced_of(*subject.key), network_of(*subject.key).network
    channel, row, column = place
    if not stage.is_maps:
        return [Mark(stage.box.id, channel, 0.0, 0.0, 1.0, 1.0, "pixel")]
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
