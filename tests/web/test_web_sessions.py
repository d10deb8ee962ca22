"""Sessions of closed tabs: they expire, the oldest one first if there are too many, and a tab can resume its own."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from streamlit.runtime.session_manager import SessionInfo

from pages.server.sessions import IDLE_S, MAX_SESSIONS, ExpiringSessions
from tests.web.web_data import run_in_thread


@dataclass
class Session:
    """The attributes of Streamlit's session that the storage uses."""

    id: str
    ended: list[str]
    _scriptrunner: object | None = None
    _script_event_loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def shutdown(self) -> None:
        self._script_event_loop.close()
        self.ended.append(self.id)


class Clock:
    """The clock of an event loop, advanced only by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    async def advance(self, seconds: float) -> None:
        self.now += seconds
        for _ in range(3):  # run due callbacks, and those that they schedule
            await asyncio.sleep(0)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        def run() -> None:
            with asyncio.Runner() as runner:
                runner.get_loop().time = lambda: self.now  # type: ignore[method-assign]
                runner.run(work)

        run_in_thread(run)


def _info(session: Any) -> SessionInfo:
    return SessionInfo(client=None, session=session)


def _held(storage: ExpiringSessions) -> list[str]:
    return [info.session.id for info in storage.list()]


def test_of_too_many_closed_tabs_the_oldest_session_is_shut_down() -> None:
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

    held = run_in_thread(lambda: asyncio.run(close_tabs()))
    assert ended[0] == "0"
    assert held == [*map(str, range(1, MAX_SESSIONS)), "one more"]


def test_the_session_of_a_closed_tab_is_shut_down_after_its_time_to_live() -> None:
    clock, ended = Clock(), list[str]()

    async def close_tab() -> None:
        storage = ExpiringSessions(ttl_s=120.0)
        storage.save(_info(Session("a", ended)))
        await clock.advance(119.9)
        assert (_held(storage), ended) == (["a"], [])
        await clock.advance(0.2)
        assert (_held(storage), ended) == ([], ["a"])

    clock.run(close_tab())


@pytest.mark.parametrize("busy", [False, True])
def test_a_tab_that_reconnects_resumes_its_session_which_does_not_expire_later(busy: bool) -> None:
    """The event loop of a running script stays open; that of an idle one is closed, and replaced on reconnection."""
    clock, ended = Clock(), list[str]()

    async def reconnect() -> None:
        storage = ExpiringSessions(ttl_s=120.0)
        session = Session("a", ended, _scriptrunner=object() if busy else None)
        storage.save(_info(session))
        await clock.advance(IDLE_S - 0.1)
        assert not session._script_event_loop.is_closed()
        await clock.advance(0.2)
        assert session._script_event_loop.is_closed() is not busy
        found = storage.get("a")
        assert found is not None
        assert found.session is session
        storage.delete("a")
        storage.delete("a")  # an unknown id is ignored
        assert not session._script_event_loop.is_closed()
        await clock.advance(600.0)
        assert (storage.get("a"), ended) == (None, [])
        session._script_event_loop.close()

    clock.run(reconnect())


def test_a_tab_that_closes_again_gets_its_full_time_to_live_again() -> None:
    clock, ended = Clock(), list[str]()

    async def close_twice() -> None:
        storage = ExpiringSessions(ttl_s=120.0)
        session = Session("a", ended)
        storage.save(_info(session))
        await clock.advance(100.0)
        storage.save(_info(session))
        await clock.advance(100.0)
        assert (_held(storage), ended) == (["a"], [])
        await clock.advance(21.0)
        assert ended == ["a"]

    clock.run(close_twice())
