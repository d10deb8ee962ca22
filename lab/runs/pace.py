"""How often each of many processes polls the store, so that all of them together do not overload it.

A few processes poll as often as is useful. Beyond a certain number, each polls less often the more there are: of 1,000
waiting workers some worker still looks for a run 30 times a second, but each of them only every half a minute.
"""

import random
from collections.abc import Callable

LOOKS_A_SECOND = 30.0  # of all waiting workers together; each costs some 4 ms of processor time
SIGNS_A_SECOND = 200.0  # registrations renewed by all machines that joined
REQUESTS_A_SECOND = 250.0  # of all training workers, which poll for a stop request
FLUSHES_A_SECOND = 250.0  # of all training workers; each stores the points since the previous one
_JITTER = 0.5  # so that workers that started together do not poll together


def interval_s(least_s: float, *, askers: int, a_second: float, most_s: float = float("inf")) -> float:
    """Return each process's polling interval: `least_s`, or longer if all would exceed `a_second` polls per second."""
    return min(most_s, max(least_s, askers / a_second))


def look_again_s(least_s: float, *, waiting: int) -> float:
    """Return the seconds until a waiting process looks for a run again: `least_s` if few are waiting."""
    return spread_s(least_s, interval_s(least_s, askers=waiting, a_second=LOOKS_A_SECOND))


def spread_s(least_s: float, interval: float, *, draw: Callable[[float, float], float] = random.uniform) -> float:
    """Return the interval with up to 50 % random jitter; without jitter if it is not above `least_s`."""
    if interval <= least_s:
        return least_s
    return max(least_s, draw((1 - _JITTER) * interval, (1 + _JITTER) * interval))
