"""How long a store may be away: told by a clock that only moves when it is told to."""

import threading
from types import SimpleNamespace

import pytest

from lab.errors import ArtifactsUnreachableError, StoreBusyError
from lab.runs.outage import Outage, Place

_AWAY = StoreBusyError("The store does not answer.")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=50.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr("lab.runs.outage.time", clock)
    return clock


class _Ending(threading.Event):
    """Waiting moves the clock instead of taking time."""

    def __init__(self, clock: SimpleNamespace) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += timeout or 0.0
        return self.is_set()


def test_two_short_outages_with_an_answer_between_them_are_no_long_one(clock: SimpleNamespace) -> None:
    outage = Outage(limit_s=60.0)
    outage.refused(_AWAY)
    clock.now += 60.0
    outage.refused(_AWAY)
    assert not outage.exceeded  # as long as the limit is not longer than it
    outage.answered()
    clock.now += 3_600.0
    outage.refused(_AWAY)
    assert (outage.exceeded, outage.longest_s) == (False, 60.0)
    clock.now += 61.0
    assert outage.exceeded
    outage.answered()
    assert (outage.exceeded, outage.longest_s) == (False, 61.0)


@pytest.mark.parametrize("longer", [Place.STORE, Place.FILES])
def test_of_two_outages_the_longer_one_is_named(clock: SimpleNamespace, longer: Place) -> None:
    outage = Outage()
    for error in (_AWAY, ArtifactsUnreachableError("The place does not answer.")):
        place = Place.of(error)
        outage.refused(error)
        clock.now += 9.0 if place is longer else 5.0
        outage.answered(place)
    assert (outage.longest, outage.longest_s) == (longer, 9.0)


def test_an_outage_is_said_when_it_begins_and_when_it_is_over(clock: SimpleNamespace) -> None:
    said: list[str] = []
    outage = Outage(say=said.append)
    outage.answered()
    for _ in range(3):
        outage.refused(_AWAY)
        clock.now += 4.0
    outage.answered()
    outage.answered()
    assert said == ["The store does not answer.", "the store answers again after 12 s"]


@pytest.mark.parametrize(("patient", "answered"), [(False, False), (True, True)])
def test_who_is_patient_waits_beyond_the_limit(clock: SimpleNamespace, patient: bool, answered: bool) -> None:
    outage = Outage(limit_s=10.0, ending=_Ending(clock))
    until = clock.now + 30.0

    def operation() -> str:
        if clock.now < until:
            raise _AWAY
        return "done"

    if answered:
        assert outage.call(operation, patient=patient) == "done"
    else:
        with pytest.raises(StoreBusyError, match="does not answer"):
            outage.call(operation, patient=patient)
        assert clock.now < until


def test_nobody_waits_once_the_process_is_told_to_end(clock: SimpleNamespace) -> None:
    ending = _Ending(clock)
    outage = Outage(limit_s=10.0, ending=ending)
    assert not outage.hopeless
    ending.set()
    assert outage.hopeless

    def refuse() -> None:
        raise _AWAY

    with pytest.raises(StoreBusyError, match="does not answer"):
        outage.call(refuse, patient=True)
    assert clock.now == 50.0
