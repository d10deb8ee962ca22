"""How often each of many processes asks the store, so that all together ask no more often than it can bear.

A few ask as often as is useful. From some number on each asks the more seldom, the more there are: of 1,000 workers that
wait somebody still looks for a run 30 times a second, but each only every half a minute.
"""

import random
from collections.abc import Callable

LOOKS_A_SECOND = 30.0  # of all waiting workers together; one costs some 4 ms of a processor
SIGNS_A_SECOND = 200.0  # of all machines that joined
REQUESTS_A_SECOND = 250.0  # of all workers that train, for whether their run is to stop
FLUSHES_A_SECOND = 250.0  # of all workers that train; one stores the points since the one before
_JITTER = 0.5  # so that many which began at once do not ask at once


def interval_s(least_s: float, *, askers: int, a_second: float, most_s: float = float("inf")) -> float:
    """Return after how many seconds each of `askers` asks again: `least_s` while all ask no more than `a_second` times a second."""
    return min(most_s, max(least_s, askers / a_second))


def spread_s(least_s: float, interval: float, *, draw: Callable[[float, float], float] = random.uniform) -> float:
    """Return an interval with half of it more or less, by chance; one that is no longer than `least_s` as it is."""
    if interval <= least_s:
        return least_s
    return max(least_s, draw((1 - _JITTER) * interval, (1 + _JITTER) * interval))
