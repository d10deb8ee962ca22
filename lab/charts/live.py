"""What a live chart is sent: the newest part of a run's curves as strict JSON values, and where it may go on from.

The position (`since`) is opaque to the reader: the run's lease and one `Cursor` a series. A resumed run has a new lease
and may write steps again, so its readers are sent everything once. NaN and infinities are not JSON: a value that is not
finite travels as null in `value` (a gap) and by name in `odd` (a marker).
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.charts.thinning import START, Cursor, Thinned, thin
from lab.errors import InputError
from lab.runs.records import Series

DENSE = ("batch/loss", "batch/accuracy")  # one point a step
SPARSE = ("val/loss", "val/accuracy", "test/loss", "test/accuracy", "lr")  # one point an evaluation
SHOWN = DENSE + SPARSE
_DIGITS = 6  # significant digits of a value: a chart shows three
_LEASE = re.compile(r"[0-9]{1,15}")  # str.isdigit also takes "²", which int() refuses


def live_payload(points: Mapping[str, Series], *, since: str, lease: int, complete: bool) -> dict[str, Any]:
    """Return `{"since", "replace", "total", "shown", "series"}` for a reader who has seen up to `since` ("" is nothing).

    `series` has only what is new; with `replace` the reader drops all it has. `total` counts the steps of the run,
    `shown` the points of its thinned loss curve. A `since` that this function did not write raises `InputError`.
    """
    known = _read_position(since, lease=lease)
    present = {name: points[name] for name in SHOWN if name in points and len(points[name].step)}
    parts = {name: thin(series, known.get(name, START), complete=complete) for name, series in present.items()}
    replace = not known or any(again for _, again in parts.values())
    if replace:
        parts = {name: thin(series, complete=complete) for name, series in present.items()}
    loss = points.get("batch/loss")
    return {
        "since": _write_position(parts, lease=lease),
        "replace": replace,
        "total": 0 if loss is None else len(loss.step),
        "series": {name: _values(part) for name, (part, _) in parts.items() if len(part.step) or replace},
    }


def _read_position(since: str, *, lease: int) -> dict[str, Cursor]:
    if not since:
        return {}
    owner, *cursors = since.split("_")
    if not _LEASE.fullmatch(owner) or len(cursors) != len(SHOWN):
        raise InputError(f"The position {since[:40]!r} is not one this lab gave out: ask without `since`.")
    known = dict(zip(SHOWN, map(Cursor.parse, cursors)))
    return known if int(owner) == lease else {}


def _write_position(parts: Mapping[str, tuple[Thinned, bool]], *, lease: int) -> str:
    cursors = [Cursor(parts[n][0].width, parts[n][0].until) if n in parts else START for n in SHOWN]
    return "_".join([str(lease), *(cursor.text() for cursor in cursors)])


def _values(part: Thinned) -> dict[str, Any]:
    odd = ~np.isfinite(part.value)
    values: dict[str, Any] = {
        "step": part.step.tolist(),
        "value": json_numbers(part.value),
        "time": json_numbers(np.round(part.time_s, 3)),
        "width": part.width,
    }
    if odd.any():
        values["odd"] = [[int(s), number_name(v)] for s, v in zip(part.step[odd], part.value[odd])]
    if part.width > 1:  # at width 1 the points are their own means
        values["mean"] = {
            "step": json_numbers(part.mean_step),
            "value": json_numbers(part.mean),
            "time": json_numbers(np.round(part.mean_time_s, 3)),
        }
    return values


def json_numbers(values: np.ndarray) -> list[float | None]:
    """Return values with six significant digits, None where they are not finite."""
    return [float(f"{v:.{_DIGITS}g}") if math.isfinite(v) else None for v in values.tolist()]


def number_name(value: float) -> str:
    """Return "NaN", "Infinity" or "-Infinity"."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
