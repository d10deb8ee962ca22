"""Sparkline: a curve as a small SVG picture next to a run's name, without axes or numbers."""

from collections.abc import Sequence

import numpy as np

WIDTH, HEIGHT = 84, 22  # pixels
_EDGE = 2.0  # pixels that the stroke and the last dot need
COLOUR = "#2f86cf"
_MAX = 60  # points; the picture cannot resolve more


def spark_points(values: Sequence[float] | np.ndarray) -> tuple[tuple[float, float], ...]:
    """Return the line's points (x, y) in pixels, y downwards, in order, without non-finite values.

    A single value, or equal values, lie at half height.
    """
    numbers = np.asarray(values, np.float64)
    places = np.linspace(_EDGE, WIDTH - _EDGE, len(numbers)) if len(numbers) > 1 else np.full(len(numbers), WIDTH / 2)
    finite = np.flatnonzero(np.isfinite(numbers))
    if not finite.size:
        return ()
    kept = finite[np.unique(np.linspace(0, finite.size - 1, min(_MAX, finite.size)).round().astype(int))]
    low, high = float(numbers[kept].min()), float(numbers[kept].max())
    share = (numbers[kept] - low) / (high - low) if high > low else np.full(kept.size, 0.5)
    heights = HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE)
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in zip(places[kept], heights, strict=True))


def sparkline(values: Sequence[float] | np.ndarray, *, colour: str = COLOUR) -> str:
    """Return the curve as an SVG document, by default in a blue visible on both themes; "" if no value is finite."""
    points = spark_points(values)
    if not points:
        return ""
    line = " ".join(f"{x},{y}" for x, y in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linejoin="round"/>'
        f'<circle cx="{points[-1][0]}" cy="{points[-1][1]}" r="2" fill="{colour}"/></svg>'
    )
