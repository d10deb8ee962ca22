"""Computes what must change so that a moved run appears exactly at its new place in `FairOrder`.

Among the runs of the same owner and priority, the runs exchange their queueing times. Elsewhere the moved run gets a
priority of its own, between those before it and those after it. The runs before it keep their order; those after it
take turns from then on. No database access here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from lab.runs.fair_order import FairOrder, WaitingRun


class Move(StrEnum):
    """The directions in which a queued run can be moved."""

    FRONT = "front"
    UP = "up"
    DOWN = "down"
    BACK = "back"


def changed_by_move(
    waiting: Sequence[WaitingRun], served: Mapping[str, int], number: int, move: Move
) -> tuple[WaitingRun, ...]:
    """Return the runs whose time or priority changes; empty if the run is already at its place.

    served: as in `FairOrder`. Raises `StopIteration` if the run is not waiting.
    """
    order = list(FairOrder(waiting, served))
    place = next(index for index, run in enumerate(order) if run.number == number)
    last = len(order) - 1
    target = {Move.FRONT: 0, Move.UP: max(0, place - 1), Move.DOWN: min(last, place + 1), Move.BACK: last}[move]
    if target == place:
        return ()
    by_time = _among_own(order, place, target)
    others = list(FairOrder((run for run in waiting if run.number != number), served))
    if by_time and _fits(_with(waiting, by_time), served, number, others[:target]):
        return by_time
    return _by_priority(order[place], others[:target], others[target:])


def _among_own(order: Sequence[WaitingRun], place: int, target: int) -> tuple[WaitingRun, ...]:
    """Return the owner's runs of this priority whose times change; empty if the target place is another owner's."""
    run = order[place]
    places = [index for index, one in enumerate(order) if (one.owner, one.priority) == (run.owner, run.priority)]
    if target not in places:
        return ()
    own = [order[index] for index in places if index != place]
    own.insert(places.index(target), run)
    before, changed = -math.inf, []
    for one, time in zip(own, sorted(one.queued_at for one in own), strict=True):
        before = max(time, math.nextafter(before, math.inf))
        if before != one.queued_at:
            changed.append(one._replace(queued_at=before))
    return tuple(changed)


def _with(waiting: Iterable[WaitingRun], changed: Iterable[WaitingRun]) -> list[WaitingRun]:
    by_number = {run.number: run for run in changed}
    return [by_number.get(run.number, run) for run in waiting]


def _fits(waiting: Sequence[WaitingRun], served: Mapping[str, int], number: int, before: Sequence[WaitingRun]) -> bool:
    """Return whether the run has the right place. It may not if two never served owners have runs of the same time."""
    return next(index for index, run in enumerate(FairOrder(waiting, served)) if run.number == number) == len(before)


def _by_priority(run: WaitingRun, before: Sequence[WaitingRun], after: Sequence[WaitingRun]) -> tuple[WaitingRun, ...]:
    """Return the run with a priority of its own, and the runs on the shorter side if their priorities must shift."""
    if not after:
        return (run._replace(priority=before[-1].priority - 1),)
    if not before:
        return (run._replace(priority=after[0].priority + 1),)
    high, low = before[-1].priority, after[0].priority
    room = max(0, 2 - (high - low))
    if not room:
        return (run._replace(priority=low + 1),)
    if len(before) <= len(after):
        raised = (one._replace(priority=one.priority + room) for one in before)
        return (run._replace(priority=low + 1), *raised)
    lowered = (one._replace(priority=one.priority - room) for one in after)
    return (run._replace(priority=high - 1), *lowered)
