"""What the Draw page remembers of a session: one record, reached through this door only. It can be pickled."""

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from lab.sketch.normalise import STEPS

_KEY = "draw.page"


@dataclass(slots=True)
class Game:
    """The guess game: digits to draw, the round (0 before the first), and right answers by run."""

    digits: tuple[str, ...] = ()
    round: int = 0
    scores: dict[str, int] = field(default_factory=dict)
    drawn: list[dict[str, str]] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether there is a digit to draw."""
        return 0 < self.round <= len(self.digits)


@dataclass(slots=True)
class DrawPage:
    """The drawing and the page's choices.

    strokes: the live pad's text. answered: its newest message that was answered. canvas, png: the standard pad's
    Fabric objects and picture. version: raised whenever the server changes the drawing, so that the pads take it over.
    """

    strokes: str = "[]"
    pen: int = 16
    answered: int = 0
    canvas: dict[str, Any] | None = None
    canvas_start: dict[str, Any] | None = None
    png: bytes = b""
    version: int = 0
    steps: tuple[str, ...] = STEPS
    game: Game = field(default_factory=Game)

    def clear(self) -> None:
        """Empty both pads."""
        self.strokes, self.canvas, self.canvas_start, self.png = "[]", None, None, b""
        self.version += 1


def draw_page() -> DrawPage:
    """Return this session's record."""
    if not isinstance(st.session_state.get(_KEY), DrawPage):
        st.session_state[_KEY] = DrawPage()
    page: DrawPage = st.session_state[_KEY]
    return page


def is_mounted(key: str) -> bool:
    """Whether a widget with this key was on the page in the run before."""
    return key in st.session_state


def forget(key: str) -> None:
    """Drop a widget's value, so that it starts from its default again."""
    st.session_state.pop(key, None)


def put(key: str, value: object) -> None:
    """Give a widget a value before it is made."""
    st.session_state[key] = value


def value_of(key: str, default: Any = None) -> Any:
    """Return a widget's value."""
    return st.session_state.get(key, default)
