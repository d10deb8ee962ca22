"""What the Draw page remembers of a session: one record, kept behind `state`. It can be pickled."""

from dataclasses import dataclass, field
from typing import Any

from lab.sketch.normalise import STEPS
from pages.state import session as state

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
    page = state.value_of(_KEY)
    if not isinstance(page, DrawPage):
        page = DrawPage()
        state.put(_KEY, page)
    return page
