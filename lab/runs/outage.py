"""Waits while the store, or the location of the saved files, is busy or unreachable, so that callers need not fail.

`call` repeats an operation until it succeeds. Operations of the store are idempotent: if the response was lost with the
connection, the operation was done, and repeating it changes nothing. The two locations can be unreachable at different
times, so each outage is timed separately.
"""

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias, TypeVar

from lab.errors import ArtifactsUnreachableError, StoreBusyError

WAIT_S = 300.0  # a longer outage pauses the run: its unwritten points would fill the memory
RETRY_S = 0.5
_T = TypeVar("_T")
Away: TypeAlias = StoreBusyError | ArtifactsUnreachableError


class Place(StrEnum):
    """What may be unreachable, in the words shown to users."""

    STORE = "store"
    FILES = "place of the saved files"

    @classmethod
    def of(cls, error: Away) -> "Place":
        """Return which of them did not respond."""
        return cls.FILES if isinstance(error, ArtifactsUnreachableError) else cls.STORE


class Outage:
    """The outages that one worker observes, of its store and of the location of its saved files.

    limit_s: how long a run waits before it is paused. ending: set when the process is asked to exit, which ends every
    wait. say: receives a sentence when an outage begins and when it ends.
    """

    def __init__(
        self,
        *,
        limit_s: float = WAIT_S,
        ending: threading.Event | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.limit_s = limit_s
        self._longest_s = dict.fromkeys(Place, 0.0)
        self._ending = ending or threading.Event()
        self._say = say
        self._since: dict[Place, float] = {}

    @property
    def longest_s(self) -> float:
        """The longest outage so far, including a current one."""
        return max(self._longest_s.values())

    @property
    def longest(self) -> Place:
        """The location with the longest outage."""
        return max(Place, key=self._longest_s.__getitem__)

    @property
    def exceeded(self) -> bool:
        """Whether a current outage of either location has exceeded the limit."""
        now = time.monotonic()
        return any(now - since > self.limit_s for since in self._since.values())

    @property
    def hopeless(self) -> bool:
        """Whether waiting has ended: the limit is exceeded, or the process was asked to exit."""
        return self.exceeded or self._ending.is_set()

    def refused(self, error: Away) -> None:
        """Record that an operation failed with an outage."""
        now, place = time.monotonic(), Place.of(error)
        if place not in self._since:
            self._since[place] = now
            self._say(str(error))
        self._note(place, now - self._since[place])

    def answered(self, place: Place = Place.STORE) -> None:
        """Record that an operation succeeded."""
        since = self._since.pop(place, None)
        if since is not None:
            lasted_s = time.monotonic() - since
            self._note(place, lasted_s)
            self._say(f"the {place} answers again after {lasted_s:.0f} s")

    def _note(self, place: Place, lasted_s: float) -> None:
        self._longest_s[place] = max(self._longest_s[place], lasted_s)

    def wait(self) -> None:
        """Wait until the next try, or until the process is asked to exit."""
        self._ending.wait(RETRY_S)

    def call(self, operation: Callable[[], _T], *, patient: bool = False) -> _T:
        """Return the result of an operation, repeated while the store or the saved files are unreachable.

        patient: wait beyond the limit. Raises `StoreBusyError` or `ArtifactsUnreachableError` when waiting has ended.
        """
        asked = {Place.STORE}
        while True:
            try:
                value = operation()
            except (StoreBusyError, ArtifactsUnreachableError) as error:
                self.refused(error)
                asked.add(Place.of(error))
                if self._ending.is_set() or (self.exceeded and not patient):
                    raise
                self.wait()
            else:
                for place in asked:
                    self.answered(place)
                return value
