"""The live pad, which sends its strokes while they are drawn. Home and Draw share it and the session's drawing."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lab.errors import InputError
from lab.sketch.sketch import MAX_PEN, MIN_PEN, Sketch, parse_strokes, sketch_from_strokes
from pages.components.base import component, nothing
from pages.state.draw import LIVE_PAD, DrawPage
from pages.state.session import reported


def live_pad(page: DrawPage, *, demo: str = "") -> Sketch:
    """Show the pad and return what is drawn on it. Raises `InputError` if the pad's message is malformed.

    demo: strokes (JSON) that an empty pad draws by itself at the first visit. They never become the drawing.
    """
    take_newest(page)
    component("pad")(
        key=LIVE_PAD,
        data={
            "version": page.version,
            "ink": page.strokes,
            "pen": page.pen,
            "pens": [MIN_PEN, MAX_PEN],
            "answered": page.answered,
            "demo": demo,
        },
        on_ink_change=nothing,
    )
    return sketch_of(page.strokes)


def demo_sketch() -> Sketch:
    """Return what the pad has drawn by itself so far, blank unless its newest message is of that kind."""
    newest = read_message(reported(LIVE_PAD))
    return sketch_of(newest["strokes"] if newest and newest["demo"] else "[]")


def take_newest(page: DrawPage) -> None:
    """Apply the pad's newest message, unless the drawing was cleared or replaced after the pad sent it."""
    newest = read_message(reported(LIVE_PAD))
    if newest is None or newest["seq"] <= page.answered:
        return
    page.answered = newest["seq"]
    if newest["version"] == page.version and not newest["demo"]:
        page.strokes, page.pen = newest["strokes"], newest["pen"]


def read_message(value: Any) -> dict[str, Any] | None:
    """Return the pad's newest message, checked, None before the first.

    It has `seq`, `version`, `pen`, `strokes` (JSON) and `demo`, whether the pad drew the strokes by itself.
    """
    text = value.get("ink") if isinstance(value, Mapping) else None
    if not text:
        return None
    try:
        message = json.loads(text)
        seq, version, pen = (int(message[name]) for name in ("seq", "version", "pen"))
        strokes = json.dumps(message["strokes"], allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise InputError(f"The pad's message cannot be read ({error}): reload the page.") from error
    pen = min(max(pen, MIN_PEN), MAX_PEN)
    return {"seq": seq, "version": version, "pen": pen, "strokes": strokes, "demo": message.get("demo") is True}


@lru_cache(maxsize=64)
def sketch_of(strokes: str) -> Sketch:
    """Return the drawing of the strokes in a pad's JSON text. Raises `InputError`."""
    return sketch_from_strokes(parse_strokes(strokes))
