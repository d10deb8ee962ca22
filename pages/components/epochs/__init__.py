"""The slider over the saved epochs of a run, with its accuracy above it."""

from collections.abc import Sequence

from lab.formatting import format_percent
from pages.components.base import component, nothing, reported_value
from pages.state.keys import element
from pages.state.shared import SLIDER


def epoch_slider(
    run: str,
    *,
    epochs: Sequence[int],
    names: Sequence[str],
    val: Sequence[float | None],
    test: Sequence[float | None],
    start: int,
) -> int:
    """Show the slider over a run's saved epochs and return the chosen index. start: the initial index."""
    key = element("epochs", run)
    index = _index(key, len(epochs), start)
    known = [share for share in (*val, *test) if share is not None]
    component("epochs")(
        key=key,
        data={
            "run": run,
            "epochs": list(epochs),
            "names": list(names),
            "val": list(val),
            "test": list(test),
            "index": index,
            "test_texts": [format_percent(share) for share in test],
            "range_texts": [format_percent(end(known)) for end in (min, max)] if known else [],
        },
        on_index_change=nothing,
    )
    return index


def _index(key: str, count: int, start: int) -> int:
    reported = reported_value(key, "index")
    seen = SLIDER.read().seen
    index = next_index(None if reported is None else int(reported), count=count, start=start, seen=seen.get(key))
    SLIDER.change(seen={**seen, key: (count, reported, index)})
    return index


def next_index(reported: int | None, *, count: int, start: int, seen: tuple[int, int | None, int] | None) -> int:
    """Return the slider's index among `count` epochs; a slider at the newest epoch follows when another is added.

    reported: the index that the slider reported last, None before its first report. seen: count, reported index and
    result of the last call.
    """
    index = start if reported is None else reported
    if seen is not None and seen[1] == reported:  # not moved since
        known, _, index = seen
        if known < count and index == known - 1:
            index = count - 1
    return min(index, count - 1)
