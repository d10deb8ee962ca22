"""A network as a small picture: its layers as slabs from left to right.

The height of a slab shows the size of the feature maps, its thickness the number of channels.
"""

from typing import NamedTuple

from lab.architectures.outline import FAMILY_COLOURS, Outline, OutlineStage

WIDTH, HEIGHT = 150, 50  # pixels
_TALLEST, _LOWEST = 30.0, 7.0  # pixels of a slab's front
_THICKEST, _THINNEST = 11.0, 2.5
_DEPTH = 0.42  # of a slab's height, towards the upper right
_GAP = (1.5, 9.0)  # pixels between slabs


class Slab(NamedTuple):
    """One slab in pixels: the upper left corner of its front, the front's width and height, and its depth."""

    family: str
    x: float
    y: float
    w: float
    h: float
    deep: float


def outline_slabs(outline: Outline) -> tuple[Slab, ...]:
    """Return the slabs, within WIDTH × HEIGHT pixels, in drawing order."""
    sizes = [_size(stage, outline) for stage in outline.stages]
    deepest = max(deep for *_, deep in sizes)
    spare = WIDTH - deepest - sum(thick for thick, *_ in sizes)
    gap = min(_GAP[1], max(_GAP[0], spare / max(1, len(sizes) - 1)))
    whole = sum(thick for thick, *_ in sizes) + gap * (len(sizes) - 1) + deepest
    narrow = min(1.0, WIDTH / whole)
    x = (WIDTH - whole * narrow) / 2
    slabs = []
    for stage, (thick, tall, deep) in zip(outline.stages, sizes, strict=True):
        slabs.append(Slab(stage.family, x, (HEIGHT - tall + deep) / 2, thick * narrow, tall, deep))
        x += (thick + gap) * narrow
    return tuple(slabs)


def _size(stage: OutlineStage, outline: Outline) -> tuple[float, float, float]:
    """Return the thickness, height and depth of a stage; square roots, so that both 1 and 512 channels are visible."""
    like = [each for each in outline.stages if (each.side > 1) == (stage.side > 1)]
    most = max(each.channels for each in like)
    share = (stage.channels / most) ** 0.5
    if stage.side == 1:
        return 4.0, _LOWEST + (_TALLEST - _LOWEST) * share, 3.0
    tall = _LOWEST + (_TALLEST - _LOWEST) * (stage.side / max(each.side for each in like)) ** 0.5
    return _THINNEST + (_THICKEST - _THINNEST) * share, tall, _DEPTH * tall


def outline_svg(outline: Outline) -> str:
    """Return the picture as an SVG document, in colours visible on both themes."""
    shapes = "".join(_slab(slab) for slab in outline_slabs(outline))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<g stroke="#fff" stroke-opacity="0.55" stroke-width="0.6" stroke-linejoin="round">{shapes}</g></svg>'
    )


def _slab(slab: Slab) -> str:
    colour = FAMILY_COLOURS.get(slab.family, FAMILY_COLOURS["other"])
    left, top, right, bottom = slab.x, slab.y, slab.x + slab.w, slab.y + slab.h
    over, up = slab.deep * 0.6, slab.deep * 0.6
    front = [(left, top), (right, top), (right, bottom), (left, bottom)]
    lid = [(left, top), (left + over, top - up), (right + over, top - up), (right, top)]
    face = [(right, top), (right + over, top - up), (right + over, bottom - up), (right, bottom)]
    return _polygon(lid, colour, 0.6) + _polygon(face, colour, 0.8) + _polygon(front, colour, 1.0)


def _polygon(points: list[tuple[float, float]], colour: str, opacity: float) -> str:
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{corners}" fill="{colour}" fill-opacity="{opacity}"/>'
