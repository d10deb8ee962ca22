"""The whole network as one picture, with its maps or as slabs: converts stages and values for the component.

Imports torch: pages load the views that use this module after `require_torch`.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.charts.tiles import colour_table
from lab.formatting import format_percent, format_shape
from lab.inspection.metrics import softmax
from lab.inspection.stages import NetworkValues, Stage, StageValues
from pages.components.network import network

_CLASSES = 10  # rows of the answer; of more classes, the most likely ones and the true one are shown


@dataclass(frozen=True, slots=True)
class Mark:
    """A frame on a stage's maps, in fractions of their side.

    channel: the map that has it, None for all. kind: "pixel", "window" or "field".
    """

    stage: str
    channel: int | None
    top: float
    left: float
    height: float
    width: float
    kind: str


def turn_block(opened: Sequence[str], block: str, now_open: bool) -> tuple[str, ...]:
    """Return the names of the expanded blocks after a click on one. now_open: whether the click expands it."""
    return (*opened, block) if now_open else tuple(each for each in opened if each != block)


def show_network(
    key: str,
    stages: Sequence[Stage],
    *,
    name: str,
    label: str,
    on_pick: Callable[[str, int], None] | None,
    on_block: Callable[[str, bool], None],
    values: NetworkValues | None = None,
    classes: Sequence[str] = (),
    truth: int | None = None,
    chosen: tuple[str, int] | None = None,
    marks: Sequence[Mark] = (),
    units: bool = False,
    blank: bool = False,
) -> None:
    """Show stages from left to right, with their maps if values are given, else as slabs.

    name: the network's name; when it changes, the picture scrolls back to its left edge. label: for screen readers.
    on_pick: called with the stage's id and the channel of a clicked map; None if slabs cannot be clicked. truth: index of
    the image's class, if known. chosen: id of the selected stage, and its selected channel. units: whether single outputs
    of linear layers can be selected too. blank: whether there is no image to classify, so that the classes are listed
    without probabilities.
    """
    network(
        key,
        {
            "network": name,
            "name": name,
            "label": label,
            "slabs": values is None,
            "fixed": on_pick is None,
            "units": units,
            "stages": [_stage(each, values.stages[each.box.id] if values else None) for each in stages],
            "palettes": _PALETTES if values else {},
            "answer": answer_rows(values.logits, classes, truth, blank=blank) if values else None,
            "chosen": {"stage": chosen[0], "channel": chosen[1]} if chosen else None,
            "marks": [{field: getattr(mark, field) for field in Mark.__slots__} for mark in marks],
        },
        stages=[stage.box.id for stage in stages],
        blocks=[stage.box.block for stage in stages],
        on_pick=on_pick,
        on_block=on_block,
    )


def colour_words(stages: Sequence[Stage], values: NetworkValues) -> str:
    """Return what the colours of the maps mean."""
    maps = stages[:-1]  # the last one is the answer
    signed = any(_palette(each, values.stages[each.box.id]) == "diverging" for each in maps)
    below = ", and in layers with negative values orange is above zero and blue below" if signed else ""
    return f"Each layer has its own colour scale; brighter is stronger{below}."


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


_PALETTES = {scale: _text(colour_table(scale)) for scale in ("grey", "viridis", "diverging")}


def _stage(stage: Stage, values: StageValues | None) -> dict[str, Any]:
    box = stage.box
    made: dict[str, Any] = {
        "id": box.id,
        "title": box.title if stage.closed else box.title.removeprefix(f"{box.block.rpartition('.')[2]}."),
        "detail": box.detail,
        "family": box.family,
        "shape": list(box.shape),
        "size": format_shape(box.shape),
        "inputs": list(box.inputs),
        "block": box.block,
        "closed": stage.closed,
        "count": stage.count,
        "shown": stage.count,
        "some": "",
        "channels": [],
    }
    if values is None:
        return made
    shown = len(values.channels)
    return made | {
        "shown": shown,
        "some": f"{shown} of {stage.count:,}" if shown < stage.count else "",
        "channels": values.channels.tolist(),
        "side": list(values.values.shape[1:]),
        "palette": _palette(stage, values),
        "values": _text(values.values),
        "low": values.low,
        "high": values.high,
    }


def _palette(stage: Stage, values: StageValues) -> str:
    return "grey" if stage.box.family == "input" else "diverging" if values.signed else "viridis"


def answer_rows(
    logits: np.ndarray, classes: Sequence[str], truth: int | None, *, blank: bool = False
) -> Mapping[str, Any]:
    """Return the rows of the answer: all classes in order, or the most likely ones. blank: without probabilities."""
    shares = softmax(logits[None])[0]
    best = int(shares.argmax())
    rows = list(range(len(classes)))
    if len(rows) > _CLASSES:
        rows = [int(k) for k in np.argsort(-shares, kind="stable")[:_CLASSES]]
        rows += [truth] if truth is not None and truth not in rows else []
    return {
        "classes": [classes[k] for k in rows],
        "shares": [0.0 if blank else float(shares[k]) for k in rows],
        "texts": ["–" if blank else format_percent(float(shares[k]), digits=1) for k in rows],
        "rows": rows,
        "best": None if blank else rows.index(best),
        "truth": rows.index(truth) if truth in rows else None,
    }
