"""An event that a signal handler may set.

`threading.Event` has a lock that is not reentrant, and its `wait` holds it for moments. Python runs a signal handler
between any two instructions of the main thread: one that calls `set` while this thread is inside `wait`, or inside the
`set` of another signal's handler, waits forever for a lock that its own thread holds.
"""

import os
import select
import threading
import weakref


class SignalEvent(threading.Event):
    """An event without locks: a flag, and a pipe that becomes readable once it is set. It is never cleared."""

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._reader, self._writer = os.pipe()
        weakref.finalize(self, _close, self._reader, self._writer)

    def set(self) -> None:
        """Set the event; a signal handler may call this at any moment."""
        self._is_set = True
        os.write(self._writer, b"!")  # never read, so that all waits end, and far fewer bytes than a pipe holds

    def is_set(self) -> bool:
        """Return whether the event is set."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set or `timeout` seconds have passed; return whether it is set."""
        if not self._is_set:
            waiting = select.poll()
            waiting.register(self._reader, select.POLLIN)
            waiting.poll(None if timeout is None else 1000 * timeout)
        return self._is_set

    def clear(self) -> None:
        """Refuse: a request to end is final."""
        raise NotImplementedError


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
