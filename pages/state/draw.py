"""The state of the Draw page: the values of its widgets, the drawing, and the guess game."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.runs.sketches import SavedSketch
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
VIEW_TITLES = {
    "Why": "Preprocessing",
    "Keep": "Save",
}  # titles that differ from the name in addresses, which outlive a title


@dataclass(frozen=True, slots=True)
class DrawState:
    """The values of the page's widgets.

    runs: networks that are tested, part of the address. training, failed: a first run that was started here, and why it
    has no weights. source: which picture came last, "uploaded" or "pasted". label: class of a drawing to be saved.
    doomed: chosen drawings, to be deleted or labelled. relabel: their new label. deleted: those deleted last. pen: width chosen for the standard canvas, 0 for the drawing's own. layer: chosen
    layer by run. opened: blocks of the whole network that are expanded into their layers.
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
    relabel: str | None = None
    deleted: tuple[SavedSketch, ...] = ()
    parent: str = ""
    inside_run: str = ""
    similar_run: str = ""
    layer: Mapping[str, str] = field(default_factory=dict)


DRAW = PageState(DrawState, key="draw")


def requested_runs() -> tuple[str, ...]:
    """Return the run ids in the address: `?runs=a.b`, `?runs=a,b` in older links, or `?run=a`."""
    asked = address()
    text = asked.get("runs") or asked.get("run") or ""
    return tuple(dict.fromkeys(filter(None, split(text))))


def show_runs(runs: Iterable[str]) -> None:
    """Write these runs to the address, and keep only mode and view of the rest."""
    text = write(tuple(runs))
    kept = {name: value for name, value in address().items() if name in ("mode", "view")}
    write_address(({"runs": text} if text else {}) | kept)


@dataclass(slots=True)
class Game:
    """The guess game: digits to draw, the round (0 before the first), and correct answers by run.

    drawn: what was asked and read in each round. pictures: PNGs of each round, the drawing and each network's input.
    understood: rounds in which most networks read what was asked. inks: the drawings as they are saved. dataset: data
    set of the digits. saved: whether the drawings were saved.
    """

    digits: tuple[str, ...] = ()
    round: int = 0
    scores: dict[str, int] = field(default_factory=dict)
    drawn: list[dict[str, str]] = field(default_factory=list)
    pictures: list[tuple[bytes, ...]] = field(default_factory=list)
    understood: int = 0
    inks: list[bytes] = field(default_factory=list)
    dataset: str = ""
    saved: bool = False

    @property
    def running(self) -> bool:
        """Whether there is a digit to draw."""
        return 0 < self.round <= len(self.digits)


@dataclass(slots=True)
class DrawPage:
    """The drawing, as both pads have it, and the game.

    strokes: the live pad's JSON text. answered: number of its newest message that was answered. canvas, png: the
    standard pad's Fabric.js objects and picture. version: increased whenever the server changes the drawing, so that
    the pads load it.
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
    """Return the key of the standard canvas; each version of the drawing has its own canvas."""
    return element("draw-canvas", version)


def draw_page() -> DrawPage:
    """Return this session's record."""
    page = value_of(_KEY)
    if not isinstance(page, DrawPage):
        page = DrawPage()
        put(_KEY, page)
    return page
