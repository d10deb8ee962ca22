"""Sessions of closed tabs: held for their time, the longest held makes room, and a tab that comes back finds its own."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from streamlit.runtime.session_manager import SessionInfo

from pages.server.sessions import IDLE_S, MAX_SESSIONS, ExpiringSessions
from tests.web.web_data import run_aside


@dataclass
class Session:
    """What the storage asks of Streamlit's own session."""

    id: str
    ended: list[str]
    _scriptrunner: object | None = None
    _script_event_loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def shutdown(self) -> None:
        self._script_event_loop.close()
        self.ended.append(self.id)


class Clock:
    """The time of an event loop, which passes only when a test lets it."""

    def __init__(self) -> None:
        self.now = 0.0

    async def pass_by(self, seconds: float) -> None:
        self.now += seconds
        for _ in range(3):  # what is due is run, and what it makes ready
            await asyncio.sleep(0)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        def run() -> None:
            with asyncio.Runner() as runner:
                runner.get_loop().time = lambda: self.now  # type: ignore[method-assign]
                runner.run(work)

        run_aside(run)


def _info(session: Any) -> SessionInfo:
    return SessionInfo(client=None, session=session)


def _held(storage: ExpiringSessions) -> list[str]:
    return [info.session.id for info in storage.list()]


def test_of_too_many_closed_tabs_the_longest_held_is_ended() -> None:
    ended: list[str] = []

    async def close_tabs() -> list[str]:
        storage = ExpiringSessions(ttl_s=60.0)
        for number in range(MAX_SESSIONS):
            storage.save(_info(Session(str(number), ended)))
        assert (len(_held(storage)), ended) == (MAX_SESSIONS, [])
        storage.save(_info(Session("one more", ended)))
        held = _held(storage)
        for info in storage.list():
            info.session.shutdown()
        return held

    held = run_aside(lambda: asyncio.run(close_tabs()))
    assert ended[0] == "0"
    assert held == [*map(str, range(1, MAX_SESSIONS)), "one more"]


def test_a_closed_tab_is_ended_after_its_time_and_not_before() -> None:
    clock, ended = Clock(), list[str]()

    async def close_tab() -> None:
        storage = ExpiringSessions(ttl_s=120.0)
        storage.save(_info(Session("a", ended)))
        await clock.pass_by(119.9)
        assert (_held(storage), ended) == (["a"], [])
        await clock.pass_by(0.2)
        assert (_held(storage), ended) == ([], ["a"])

    clock.run(close_tab())


@pytest.mark.parametrize("busy", [False, True])
def test_a_tab_that_comes_back_runs_on_and_is_not_ended_later(busy: bool) -> None:
    """While a script runs its event loop stays; of an idle one it is closed, and made anew when the tab is back."""
    clock, ended = Clock(), list[str]()

    async def come_back() -> None:
        storage = ExpiringSessions(ttl_s=120.0)
        session = Session("a", ended, _scriptrunner=object() if busy else None)
        storage.save(_info(session))
        await clock.pass_by(IDLE_S - 0.1)
        assert not session._script_event_loop.is_closed()
        await clock.pass_by(0.2)
        assert session._script_event_loop.is_closed() is not busy
        found = storage.get("a")
        assert found is not None
        assert found.session is session
        storage.delete("a")
        storage.delete("a")  # of one that is not held nothing becomes
        assert not session._script_event_loop.is_closed()
        await clock.pass_by(600.0)
        assert (storage.get("a"), ended) == (None, [])
        session._script_event_loop.close()

    clock.run(come_back())


def test_a_tab_that_closes_again_has_its_whole_time_again() -> None:
    clock, ended = Clock(), list[str]()

    async def close_twice() -> None:
        storage = ExpiringSessions(ttl_s=120.0)
        session = Session("a", ended)
        storage.save(_info(session))
        await clock.pass_by(100.0)
        storage.save(_info(session))
        await clock.pass_by(100.0)
        assert (_held(storage), ended) == (["a"], [])
        await clock.pass_by(21.0)
        assert ended == ["a"]

    clock.run(close_twice())
