"""The order in which queued runs are taken: one rule for `claim`, for every list of the queue and for moves.

The highest priority goes first. Among runs of equal priority owners take turns, as in Nagle's fair queueing (RFC 970,
1985): next is the owner served longest ago, with the run that was queued first. An owner who was never served goes
before all who were; between two such owners the older run decides. No database access here.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import NamedTuple, TypeAlias

# (served, `queued_at` and `number` of the owner's first run, owner)
_Turn: TypeAlias = tuple[int, float, int, str]


class WaitingRun(NamedTuple):
    """The facts that decide the place of a queued run. owner: "" if unnamed, which counts as one owner."""

    number: int
    owner: str = ""
    priority: int = 0
    queued_at: float = 0.0


class FairOrder(Iterator[WaitingRun]):
    """Iterates over the waiting runs in the order in which they are taken, as if each were taken when it is returned.

    served: by owner, a number that is higher the later the owner was last served.
    """

    def __init__(self, waiting: Iterable[WaitingRun], served: Mapping[str, int]) -> None:
        self._served = dict(served)
        self._last = max(self._served.values(), default=0)
        self._levels: dict[int, dict[str, deque[WaitingRun]]] = {}
        for run in sorted(waiting, key=lambda run: (-run.priority, run.queued_at, run.number)):
            self._levels.setdefault(run.priority, {}).setdefault(run.owner, deque()).append(run)
        self._turns: list[_Turn] = []
        self._level: dict[str, deque[WaitingRun]] = {}
        self._returned: tuple[WaitingRun, int] | None = None

    def __next__(self) -> WaitingRun:
        self._settle(taken=True)
        if not self._turns:
            self._begin_level()
        served, _, _, owner = heappop(self._turns)
        run = self._level[owner].popleft()
        self._returned = (run, served)
        return run

    def pass_over(self) -> None:
        """Leave the run that was returned last in the queue: it cannot be taken, so its owner's turn is not used up."""
        self._settle(taken=False)

    def _settle(self, *, taken: bool) -> None:
        """Give the owner of the run that was returned last a new turn."""
        if self._returned is None:
            return
        (run, served), self._returned = self._returned, None
        if taken:
            self._last += 1
            served = self._served[run.owner] = self._last
        self._push(run.owner, served)

    def _begin_level(self) -> None:
        """Go to the next lower priority. Raises `StopIteration` if there is none."""
        if not self._levels:
            raise StopIteration
        self._level = self._levels.pop(next(iter(self._levels)))
        self._turns = [self._turn(owner, self._served.get(owner, 0)) for owner in self._level]
        heapify(self._turns)

    def _push(self, owner: str, served: int) -> None:
        if self._level[owner]:
            heappush(self._turns, self._turn(owner, served))

    def _turn(self, owner: str, served: int) -> _Turn:
        first = self._level[owner][0]
        return served, first.queued_at, first.number, owner
