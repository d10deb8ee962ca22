"""Waits for a store that is busy or unreachable, so that whoever writes to it need not fail.

`call` repeats an operation until it is answered. Operations of the store may be repeated: an answer that was lost with
the connection leaves them done, and doing them again changes nothing.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from lab.errors import StoreBusyError

WAIT_S = 300.0  # a store that is away for longer pauses the run: its points would fill the memory
RETRY_S = 0.5
_T = TypeVar("_T")


class Outage:
    """What one worker knows of its store's silence.

    limit_s: how long a run waits before it is paused. ending: set when the process is asked to end, which ends every
    wait. say: is given a sentence when an outage begins and when it is over.
    """

    def __init__(
        self,
        *,
        limit_s: float = WAIT_S,
        ending: threading.Event | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.limit_s = limit_s
        self.longest_s = 0.0  # of the outages so far, the present one included
        self._ending = ending or threading.Event()
        self._say = say
        self._since: float | None = None

    @property
    def exceeded(self) -> bool:
        """Whether the store has been away for longer than the limit, and still is."""
        return self._since is not None and time.monotonic() - self._since > self.limit_s

    @property
    def hopeless(self) -> bool:
        """Whether waiting is over: the limit has passed, or the process is asked to end."""
        return self.exceeded or self._ending.is_set()

    def refused(self, error: StoreBusyError) -> None:
        """Note that an operation was not answered."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._say(str(error))
        self.longest_s = max(self.longest_s, now - self._since)

    def answered(self) -> None:
        """Note that an operation was answered."""
        if self._since is not None:
            self.longest_s = max(self.longest_s, time.monotonic() - self._since)
            self._say(f"the store answers again after {time.monotonic() - self._since:.0f} s")
            self._since = None

    def wait(self) -> None:
        """Wait for the next try, or until the process is asked to end."""
        self._ending.wait(RETRY_S)

    def call(self, operation: Callable[[], _T], *, patient: bool = False) -> _T:
        """Return what the operation returns, tried again while the store is away.

        patient: wait beyond the limit. Raises `StoreBusyError` where waiting is over.
        """
        while True:
            try:
                value = operation()
            except StoreBusyError as error:
                self.refused(error)
                if self._ending.is_set() or (self.exceeded and not patient):
                    raise
                self.wait()
            else:
                self.answered()
                return value
