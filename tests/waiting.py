"""Waiting for a condition, with a limit that only ends a test that hangs."""

import time
from collections.abc import Callable

LIMIT_S = 300.0  # on an idle machine every awaited condition holds within moments


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s"
        time.sleep(0.005)
