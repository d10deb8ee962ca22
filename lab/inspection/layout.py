"""Lays out boxes in layers from top to bottom and renders them as SVG, without Graphviz.

Layers are assigned by longest path and ordered by the mean position of their predecessors (Sugiyama, Tagawa, Toda
1981). An arrow has a waypoint on every layer it crosses, so that shortcuts run next to the boxes and not through them.
All text is escaped. Colours are CSS variables of the page with fixed fallbacks, so the SVG file also works on its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from lab.architectures.outline import FAMILY_COLOURS
from lab.inspection.picture import Box

_WIDTH, _HEIGHT = 264, 46  # of a box
_GAP_X, _GAP_Y = 22, 26
_LANE = 14  # width of a waypoint
_MARGIN = 12
_PAD, _BETWEEN = (16, 10), 8  # left and right of a box's texts, and between the two texts of a line
_TITLE, _SHAPE, _SMALL = 7.2, 6.7, 5.7  # px of a letter in a title, a shape and the second line, on average at most
_SWEEPS = 4
_FAILED = "#d1495b"


@dataclass(slots=True)
class _Cell:
    """A box, or a waypoint (box None), on its layer; x is its centre."""

    rank: int
    above: list["_Cell"]
    below: list["_Cell"]
    box: Box | None = None
    x: float = 0.0

    @property
    def width(self) -> float:
        return _WIDTH if self.box else _LANE


@dataclass(frozen=True, slots=True)
class Picture:
    """SVG text and its size in pixels."""

    svg: str
    width: int
    height: int


def draw(boxes: Sequence[Box], *, selected: str = "", title: str = "Network") -> Picture:
    """Return the picture; the box of the module named `selected` is highlighted."""
    layers, cells = _layers(boxes)
    _place(layers)
    left = min(cell.x - cell.width / 2 for layer in layers for cell in layer) - _MARGIN
    right = max(cell.x + cell.width / 2 for layer in layers for cell in layer) + _MARGIN
    height = _MARGIN * 2 + len(layers) * _HEIGHT + (len(layers) - 1) * _GAP_Y
    parts = [_arrow(start, end) for cell in cells.values() for start, end in _runs(cell)]
    parts += [_drawn(cell, selected=selected) for cell in cells.values()]
    width = round(right - left)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} 0 {width} {height}" width="{width}" '
        f'height="{height}" role="group" aria-label="{escape(title)}" font-family="var(--st-font, sans-serif)">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
    return Picture(svg, width, height)


def _layers(boxes: Sequence[Box]) -> tuple[list[list[_Cell]], dict[str, _Cell]]:
    cells: dict[str, _Cell] = {}
    for box in boxes:
        rank = max((cells[i].rank + 1 for i in box.inputs), default=0)
        cells[box.id] = _Cell(rank, [], [], box)
    layers: list[list[_Cell]] = [[] for _ in range(max(cell.rank for cell in cells.values()) + 1)]
    for box in boxes:
        end = cells[box.id]
        layers[end.rank].append(end)
        for source in box.inputs:
            _connect(cells[source], end, layers)
    return layers, cells


def _connect(start: _Cell, end: _Cell, layers: list[list[_Cell]]) -> None:
    """Connect two cells through a waypoint on every layer between them."""
    before = start
    for rank in range(start.rank + 1, end.rank):
        point = _Cell(rank, [before], [])
        before.below.append(point)
        layers[rank].append(point)
        before = point
    before.below.append(end)
    end.above.append(before)


def _place(layers: list[list[_Cell]]) -> None:
    for layer in layers:
        _spread(layer, centre=0.0)
    for _ in range(_SWEEPS):
        for layer in layers[1:]:
            layer.sort(key=lambda cell: _mean(cell.above))
            _settle(layer)


def _mean(cells: list[_Cell]) -> float:
    return sum(cell.x for cell in cells) / len(cells) if cells else 0.0


def _settle(layer: list[_Cell]) -> None:
    """Place every cell below its inputs, shifted only as far as needed to avoid overlaps."""
    targets = [_mean(cell.above) for cell in layer]
    for index, cell in enumerate(layer):
        before = layer[index - 1] if index else None
        clear = before.x + (before.width + cell.width) / 2 + _GAP_X if before else targets[index]
        cell.x = max(targets[index], clear)
    shift = sum(target - cell.x for target, cell in zip(targets, layer)) / len(layer)
    for cell in layer:
        cell.x += shift


def _spread(layer: list[_Cell], *, centre: float) -> None:
    total = sum(cell.width for cell in layer) + _GAP_X * (len(layer) - 1)
    x = centre - total / 2
    for cell in layer:
        cell.x = x + cell.width / 2
        x += cell.width + _GAP_X


def _runs(cell: _Cell) -> list[tuple[_Cell, _Cell]]:
    """Return the segments of all arrows that leave a box, from waypoint to waypoint."""
    steps = []
    for below in cell.below:
        start, end = cell, below
        steps.append((start, end))
        while end.box is None:
            start, end = end, end.below[0]
            steps.append((start, end))
    return steps


def _top(rank: int) -> float:
    return _MARGIN + rank * (_HEIGHT + _GAP_Y)


def _arrow(start: _Cell, end: _Cell) -> str:
    y1, y2 = _top(start.rank) + _HEIGHT, _top(end.rank)
    middle = (y1 + y2) / 2
    through = f" V{_top(end.rank) + _HEIGHT:.0f}" if end.box is None else ""
    head = (
        ""
        if end.box is None
        else f'<path d="M{end.x - 4:.0f} {y2 - 6:.0f} L{end.x:.0f} {y2:.0f} L{end.x + 4:.0f} {y2 - 6:.0f}"/>'
    )
    return (
        '<g fill="none" stroke="var(--st-text-color, #1a2330)" stroke-opacity="0.45" stroke-width="1.4">'
        f'<path d="M{start.x:.0f} {y1:.0f} C{start.x:.0f} {middle:.0f} {end.x:.0f} {middle:.0f} {end.x:.0f} {y2:.0f}'
        f'{through}"/>{head}</g>'
    )


def _drawn(cell: _Cell, *, selected: str) -> str:
    box = cell.box
    assert box is not None  # only boxes have an id
    x, y = cell.x - _WIDTH / 2, _top(cell.rank)
    colour = _FAILED if box.failed else FAMILY_COLOURS[box.family]
    marked = bool(selected) and selected in box.names
    frame = colour if marked or box.failed else "var(--st-border-color, #d9e0e8)"
    side = "×".join(str(n) for n in box.shape)
    shown, facts = ("", f"does not fit: {side}") if box.failed else (side, f"{box.params:,} params" * bool(box.params))
    title = _cut(box.title, _room(len(shown) * _SHAPE, _TITLE))
    detail = _cut(box.detail, _room(len(facts) * _SMALL * box.failed, _SMALL))
    fits = len(detail) <= _room(len(facts) * _SMALL, _SMALL)
    # In the order of the visible lines.
    label = ", ".join(text for text in (box.title, shown, box.detail, facts) if text)
    if (title, detail) != (box.title, box.detail):  # the accessible name must begin with the visible text
        label = f"{' '.join(text for text in (title, shown, detail) if text)}: {label}"
    left, right = x + _PAD[0], x + _WIDTH - _PAD[1]
    texts = (
        _text(left, y + 19, title, weight=600),
        _text(right, y + 19, shown, size=12, anchor="end"),
        _text(left, y + 36, detail, size=11, opacity=0.75),
        _text(right, y + 36, facts if fits else "", size=11, opacity=0.75, anchor="end"),
    )
    return (
        f'<g class="box" data-name="{escape(box.names[0])}" role="button" tabindex="0" aria-label="{escape(label)}">'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" '
        f'fill="var(--st-secondary-background-color, #f3f6f9)" stroke="{frame}" stroke-width="{2.5 if marked else 1.2}"/>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="6" height="{_HEIGHT}" rx="3" fill="{colour}"/>'
        + " ".join(texts)
        + "</g>"
    )


def _text(
    x: float, y: float, text: str, *, size: int = 13, weight: int = 400, opacity: float = 1.0, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="var(--st-text-color, #1a2330)" fill-opacity="{opacity}">{escape(text)}</text>'
    )


def _room(beside: float, letter: float) -> int:
    """Return how many letters of a width in px fit in front of a text of `beside` px."""
    return int((_WIDTH - sum(_PAD) - (_BETWEEN + beside if beside else 0)) / letter)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
