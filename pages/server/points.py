"""Caches the points of watched runs in memory, so that a poll reads only new points from the store."""

import threading
from collections import OrderedDict
from typing import Protocol

import numpy as np

from lab.charts.live import series_groups
from lab.runs.records import RunRecord, Series

_RUNS = 16  # runs in the cache; 100,000 steps take 5 MB


def attempt(run: RunRecord) -> int:
    """Return a number that changes when points read earlier may no longer be valid.

    A resumed run has a new lease; when it starts, it discards the points beyond its checkpoint and reports its step.
    """
    return 2 * run.lease + (run.progress.step is not None)


class PointReader(Protocol):
    """The part of `RunStore.points` that the cache uses."""

    def read(self, run: str, *, series: tuple[str, ...] | None = None, after_step: int = -1) -> dict[str, Series]:
        """Return the run's points after a step."""
        ...


class PointCache:
    """Points by run and attempt: a resumed run may write steps again, so its points are read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[tuple[str, int], dict[str, Series]] = OrderedDict()

    def read(self, points: PointReader, run: RunRecord) -> dict[str, Series]:
        """Return all points of the charts' series, reading only steps that are not cached from the store."""
        key = (run.id, attempt(run))
        with self._lock:
            known = self._runs.get(key, {})
        # Values of one step may arrive one after another, so each group is read from its slowest series on.
        for group in series_groups():
            after = min(_last_step(known, name) for name in group)
            known = known | {
                name: _joined(known.get(name), new)
                for name, new in points.read(run.id, series=group, after_step=after).items()
            }
        with self._lock:
            self._runs[key] = known
            self._runs.move_to_end(key)
            while len(self._runs) > _RUNS:
                self._runs.popitem(last=False)
        return known


def _last_step(known: dict[str, Series], name: str) -> int:
    return int(known[name].step[-1]) if name in known and len(known[name].step) else -1


def _joined(old: Series | None, new: Series) -> Series:
    if old is None or not len(old.step):
        return new
    fresh = new.step > old.step[-1]
    if not fresh.any():
        return old
    return Series(
        name=new.name,
        step=np.concatenate([old.step, new.step[fresh]]),
        value=np.concatenate([old.value, new.value[fresh]]),
        time_s=np.concatenate([old.time_s, new.time_s[fresh]]),
    )
