"""Thin a metric to what a screen can show without losing its spikes.

Steps are divided into buckets on a fixed grid whose width is a power of two, so a complete bucket never changes when
more points arrive. A bucket contributes its lowest and highest values (the raw line) and its mean (the smoothed line).
The first point of a series is always included, and the last one once the series is complete.
A `Cursor` is a reader's position. The reader is sent new complete buckets only, or everything again if the width has
changed or a resumed run rewrote its steps. This module handles numbers only: no figures, no JSON, no store.
"""

import re
from dataclasses import dataclass

import numpy as np

from lab.errors import InputError
from lab.runs.records import Series

MAX_BUCKETS = 1000  # two points each: the resolution of a chart 1,000 to 2,000 pixels wide
MAX_POINTS = 2 * MAX_BUCKETS
_PART = re.compile(r"(\d{1,2})-(-?\d{1,15})")


@dataclass(frozen=True, slots=True)
class Thinned:
    """Part of one series. `step`, `value`, `time_s` are the selected points by step; values may be NaN or infinite.

    `mean_step`, `mean`, `mean_time_s` have one entry per bucket (`mean` over its finite values); at width 1 they are
    the selected points. `total` counts the points of the whole series. `until` is the last step covered.
    """

    step: np.ndarray  # int64 (n,)
    value: np.ndarray  # float64 (n,)
    time_s: np.ndarray  # float64 (n,)
    mean_step: np.ndarray  # float64 (b,)
    mean: np.ndarray  # float64 (b,)
    mean_time_s: np.ndarray  # float64 (b,)
    width: int  # steps per bucket
    total: int
    until: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """A reader's position in one series: the bucket width it has, and the last step it was sent."""

    width: int
    until: int

    def text(self) -> str:
        """Return the short form used in addresses."""
        return f"{self.width.bit_length() - 1}-{self.until}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Return the cursor of a short form. Raises `InputError` for any other text."""
        match = _PART.fullmatch(text)
        if match is None or int(match[1]) > 40:
            raise unknown_position(text)
        return cls(width=1 << int(match[1]), until=int(match[2]))


def unknown_position(text: str) -> InputError:
    """Return the error for a position that this lab did not issue."""
    return InputError(f"The position {text[:40]!r} was not issued by this lab: request without `since`.")


START = Cursor(width=1, until=-1)


def bucket_width(series: Series) -> int:
    """Return the steps per bucket: 1 as long as every point fits, else the smallest power of two that fits."""
    count = len(series.step)
    if count <= MAX_POINTS:
        return 1
    first, last = int(series.step[0]), int(series.step[-1])
    width = 2
    while last // width - first // width + 1 > MAX_BUCKETS:
        width *= 2
    return width


def thin(series: Series, since: Cursor = START, *, complete: bool) -> tuple[Thinned, bool]:
    """Return what a reader at `since` lacks, and whether it must discard what it has.

    complete: whether the series has ended, in which case the last bucket is included even if it is not full.
    """
    width = bucket_width(series)
    last = int(series.step[-1]) if len(series.step) else -1
    replace = since.width != width or since.until > last or _inside_bucket(since, complete=complete, last=last)
    after = -1 if replace else since.until
    until = last if complete or width == 1 else (last + 1) // width * width - 1
    low, high = np.searchsorted(series.step, [after, until], side="right")
    part = series[low:high]
    ends = [0] * int(low == 0) + [int(high - low) - 1] * int(complete)
    return _buckets(part, ends, width=width, total=len(series.step), until=max(until, after)), replace


def thin_log(series: Series) -> Series:
    """Return the points that a logarithmic step axis can resolve, from buckets of equal width on that axis."""
    if len(series.step) <= MAX_POINTS:
        return series
    place = np.log(np.maximum(series.step, 1))
    place = (place - place[0]) / (place[-1] - place[0])
    group = np.unique(np.minimum(place * MAX_BUCKETS, MAX_BUCKETS - 1).astype(np.int64), return_inverse=True)[1]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    selected = np.union1d(_selected_indices(series.value, group, starts), [0, len(series.step) - 1])
    return series[selected]


def _inside_bucket(since: Cursor, *, complete: bool, last: int) -> bool:
    """Whether the reader was sent a partial bucket (of a run that had ended) that has grown since."""
    return (since.until + 1) % since.width != 0 and not (complete and since.until == last)


def _buckets(part: Series, ends: list[int], *, width: int, total: int, until: int) -> Thinned:
    if width == 1 or not len(part.step):
        step = part.step.astype(np.float64)
        return Thinned(part.step, part.value, part.time_s, step, part.value, part.time_s, width, total, until)
    starts = np.flatnonzero(np.diff(part.step // width, prepend=-1))
    counts = np.diff(starts, append=len(part.step))
    group = np.repeat(np.arange(len(starts)), counts)
    selected = np.union1d(_selected_indices(part.value, group, starts), np.array(ends, dtype=np.int64))
    finite = np.isfinite(part.value)
    with np.errstate(invalid="ignore"):  # the mean of a bucket without finite values is NaN
        mean = np.bincount(group, np.where(finite, part.value, 0.0)) / np.bincount(group, finite)
    return Thinned(
        step=part.step[selected],
        value=part.value[selected],
        time_s=part.time_s[selected],
        mean_step=np.bincount(group, part.step) / counts,
        mean=mean,
        mean_time_s=np.bincount(group, part.time_s) / counts,
        width=width,
        total=total,
        until=until,
    )


def _selected_indices(value: np.ndarray, group: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return, in order, the indices of each bucket's lowest, highest and first non-finite value."""
    finite = np.isfinite(value)
    found = [_first_of_each(np.flatnonzero(~finite), group)]
    for extreme, other in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        filled = np.where(finite, value, other)
        best = extreme.reduceat(filled, starts)
        found.append(_first_of_each(np.flatnonzero(finite & (filled == best[group])), group))
    return np.unique(np.concatenate(found))


def _first_of_each(index: np.ndarray, group: np.ndarray) -> np.ndarray:
    return index[np.flatnonzero(np.diff(group[index], prepend=-1))]
