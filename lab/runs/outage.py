"""Waits for a store that is busy or unreachable, or for the place of the saved files, so that whoever writes need not fail.

`call` repeats an operation until it is answered. Operations of the store may be repeated: an answer that was lost with
the connection leaves them done, and doing them again changes nothing. Both places may be away at different times, so each
has a clock of its own.
"""

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias, TypeVar

from lab.errors import ArtifactsUnreachableError, StoreBusyError

WAIT_S = 300.0  # a store that is away for longer pauses the run: its points would fill the memory
RETRY_S = 0.5
_T = TypeVar("_T")
Away: TypeAlias = StoreBusyError | ArtifactsUnreachableError


class Place(StrEnum):
    """What may be away, as people call it."""

    STORE = "store"
    FILES = "place of the saved files"

    @classmethod
    def of(cls, error: Away) -> "Place":
        """Return which one did not answer."""
        return cls.FILES if isinstance(error, ArtifactsUnreachableError) else cls.STORE


class Outage:
    """What one worker knows of the silence of its store, and of the place of its saved files.

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
        self._longest_s = dict.fromkeys(Place, 0.0)
        self._ending = ending or threading.Event()
        self._say = say
        self._since: dict[Place, float] = {}

    @property
    def longest_s(self) -> float:
        """The longest outage so far, the present one included."""
        return max(self._longest_s.values())

    @property
    def longest(self) -> Place:
        """What was away for longest."""
        return max(Place, key=self._longest_s.__getitem__)

    @property
    def exceeded(self) -> bool:
        """Whether one of both has been away for longer than the limit, and still is."""
        now = time.monotonic()
        return any(now - since > self.limit_s for since in self._since.values())

    @property
    def hopeless(self) -> bool:
        """Whether waiting is over: the limit has passed, or the process is asked to end."""
        return self.exceeded or self._ending.is_set()

    def refused(self, error: Away) -> None:
        """Note that an operation was not answered."""
        now, place = time.monotonic(), Place.of(error)
        if place not in self._since:
            self._since[place] = now
            self._say(str(error))
        self._note(place, now - self._since[place])

    def answered(self, place: Place = Place.STORE) -> None:
        """Note that an operation was answered."""
        since = self._since.pop(place, None)
        if since is not None:
            lasted_s = time.monotonic() - since
            self._note(place, lasted_s)
            self._say(f"the {place} answers again after {lasted_s:.0f} s")

    def _note(self, place: Place, lasted_s: float) -> None:
        self._longest_s[place] = max(self._longest_s[place], lasted_s)

    def wait(self) -> None:
        """Wait for the next try, or until the process is asked to end."""
        self._ending.wait(RETRY_S)

    def call(self, operation: Callable[[], _T], *, patient: bool = False) -> _T:
        """Return what the operation returns, tried again while the store or the saved files' place is away.

        patient: wait beyond the limit. Raises `StoreBusyError` or `ArtifactsUnreachableError` where waiting is over.
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
