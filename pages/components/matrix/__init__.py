"""A confusion matrix whose cells can be clicked."""

from collections.abc import Callable, Sequence

from lab.formatting import format_percent
from pages.components.base import component, reported_value

_COARSE = 0.0995  # rates from here on are written without decimals


def matrix(
    key: str,
    *,
    classes: Sequence[str],
    counts: list[list[int]],
    rates: list[list[float | None]],
    as_rates: bool,
    chosen: tuple[int, int] | None,
    caption: str,
    on_pick: Callable[[int, int], None],
) -> None:
    """Show a confusion matrix; `on_pick` is called with (truth, answer) of a clicked cell, before the page reruns."""

    def picked() -> None:
        cell = reported_value(key, "pick")
        if cell is not None:
            on_pick(int(cell[0]), int(cell[1]))

    component("matrix")(
        key=key,
        data={
            "classes": list(classes),
            "counts": counts,
            "rates": rates,
            "as_rates": as_rates,
            "rate_texts": [[_rate_text(rate) for rate in row] for row in rates],
            "chosen": list(chosen) if chosen else None,
            "caption": caption,
        },
        on_pick_change=picked,
    )


def _rate_text(rate: float | None) -> str:
    return format_percent(rate or 0.0, digits=1 if (rate or 0.0) < _COARSE else 0)
