"""What the Draw page remembers of a session: the choices of its widgets, the drawing itself, and the guess game."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.sketch.normalise import STEPS
from pages.state.address import address, write_address
from pages.state.codec import one_of, param, split, write
from pages.state.keys import ElementKey, element
from pages.state.page_state import PageState
from pages.state.session import put, value_of

_KEY = "draw.page"
LIVE_PAD = "draw.live"
MODES = ("Draw", "Photo", "Guess game", "My drawings")
VIEWS = ("Network", "Why", "Inside", "Nearest neighbours", "Keep")
VIEW_TITLES = {"Keep": "Save"}  # of those that are called otherwise in addresses, which outlive a title


@dataclass(frozen=True, slots=True)
class DrawState:
    """The choices of the page's widgets.

    runs: networks that are tested, which the address carries. training, failed: a first run that was started here, and
    why it gave no weights. source: which picture came last, "uploaded" or "pasted". label, doomed: the class of a drawing to be saved, drawings
    to be deleted. pen: width chosen for the standard canvas, 0 for the drawing's own. layer: by run. opened: blocks of the whole
    network that are shown as their layers.
    """

    runs: tuple[str, ...] = ()
    training: str = ""
    failed: str = ""
    mode: str = param("Draw", one_of(MODES))
    live_ink: bool = True
    pen: int = 0
    view: str = param("Network", one_of(VIEWS))
    opened: tuple[str, ...] = ()
    steps: tuple[str, ...] = STEPS
    source: str = ""
    label: str | None = None
    doomed: tuple[str, ...] = ()
    parent: str = ""
    inside_run: str = ""
    similar_run: str = ""
    layer: Mapping[str, str] = field(default_factory=dict)


DRAW = PageState(DrawState, key="draw")


def requested_runs() -> tuple[str, ...]:
    """Return the ids in the address: `?runs=a.b`, older links `?runs=a,b`, or `?run=a`."""
    asked = address()
    text = asked.get("runs") or asked.get("run") or ""
    return tuple(dict.fromkeys(filter(None, split(text))))


def show_runs(runs: Iterable[str]) -> None:
    """Have the address name these runs, beside mode and view, and nothing else."""
    text = write(tuple(runs))
    kept = {name: value for name, value in address().items() if name in ("mode", "view")}
    write_address(({"runs": text} if text else {}) | kept)


@dataclass(slots=True)
class Game:
    """The guess game: digits to draw, the round (0 before the first), and right answers by run.

    drawn: what was asked and read in each round; pictures: PNGs of that round, the drawing and what each network was given;
    understood: rounds in which most networks read what was asked.
    """

    digits: tuple[str, ...] = ()
    round: int = 0
    scores: dict[str, int] = field(default_factory=dict)
    drawn: list[dict[str, str]] = field(default_factory=list)
    pictures: list[tuple[bytes, ...]] = field(default_factory=list)
    understood: int = 0

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
    game: Game = field(default_factory=Game)

    def clear(self) -> None:
        """Empty both pads."""
        self.strokes, self.canvas, self.canvas_start, self.png = "[]", None, None, b""
        self.version += 1


def canvas_key(version: int) -> ElementKey:
    """Return the key of the standard canvas; with another version of the drawing it is another canvas."""
    return element("draw-canvas", version)


def draw_page() -> DrawPage:
    """Return this session's record."""
    page = value_of(_KEY)
    if not isinstance(page, DrawPage):
        page = DrawPage()
        put(_KEY, page)
    return page
