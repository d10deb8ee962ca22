"""How long a store may be unreachable, with a clock that only the test moves."""

import threading
from types import SimpleNamespace

import pytest

from lab.errors import ArtifactsUnreachableError, StoreBusyError
from lab.runs.outage import Outage, Place

_UNREACHABLE = StoreBusyError("The store does not answer.")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=50.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr("lab.runs.outage.time", clock)
    return clock


class _Ending(threading.Event):
    """An event whose `wait` advances the clock instead of taking time."""

    def __init__(self, clock: SimpleNamespace) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += timeout or 0.0
        return self.is_set()


def test_two_short_outages_with_a_response_between_them_do_not_add_up(clock: SimpleNamespace) -> None:
    outage = Outage(limit_s=60.0)
    outage.refused(_UNREACHABLE)
    clock.now += 60.0
    outage.refused(_UNREACHABLE)
    assert not outage.exceeded  # an outage of exactly the limit does not exceed it
    outage.answered()
    clock.now += 3_600.0
    outage.refused(_UNREACHABLE)
    assert (outage.exceeded, outage.longest_s) == (False, 60.0)
    clock.now += 61.0
    assert outage.exceeded
    outage.answered()
    assert (outage.exceeded, outage.longest_s) == (False, 61.0)


@pytest.mark.parametrize("longer", [Place.STORE, Place.FILES])
def test_the_longer_of_two_outages_is_reported(clock: SimpleNamespace, longer: Place) -> None:
    outage = Outage()
    for error in (_UNREACHABLE, ArtifactsUnreachableError("The place does not answer.")):
        place = Place.of(error)
        outage.refused(error)
        clock.now += 9.0 if place is longer else 5.0
        outage.answered(place)
    assert (outage.longest, outage.longest_s) == (longer, 9.0)


def test_an_outage_is_reported_when_it_begins_and_when_it_ends(clock: SimpleNamespace) -> None:
    reported: list[str] = []
    outage = Outage(say=reported.append)
    outage.answered()
    for _ in range(3):
        outage.refused(_UNREACHABLE)
        clock.now += 4.0
    outage.answered()
    outage.answered()
    assert reported == ["The store does not answer.", "the store answers again after 12 s"]


@pytest.mark.parametrize(("patient", "answered"), [(False, False), (True, True)])
def test_a_patient_call_waits_beyond_the_limit(clock: SimpleNamespace, patient: bool, answered: bool) -> None:
    outage = Outage(limit_s=10.0, ending=_Ending(clock))
    until = clock.now + 30.0

    def operation() -> str:
        if clock.now < until:
            raise _UNREACHABLE
        return "done"

    if answered:
        assert outage.call(operation, patient=patient) == "done"
    else:
        with pytest.raises(StoreBusyError, match="does not answer"):
            outage.call(operation, patient=patient)
        assert clock.now < until


def test_no_call_waits_once_the_process_is_asked_to_exit(clock: SimpleNamespace) -> None:
    ending = _Ending(clock)
    outage = Outage(limit_s=10.0, ending=ending)
    assert not outage.hopeless
    ending.set()
    assert outage.hopeless

    def refuse() -> None:
        raise _UNREACHABLE

    with pytest.raises(StoreBusyError, match="does not answer"):
        outage.call(refuse, patient=True)
    assert clock.now == 50.0
