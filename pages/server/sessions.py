"""Storage for the sessions of closed tabs, held for a while so that a tab that lost its connection can reconnect.

Streamlit keeps up to 128 of them with three open file handles each (the idle event loop of the session's script) and
drops expired ones only when another tab closes. This storage drops them on time, and closes their event loops after a
few seconds. Streamlit has no setting for the storage, hence the private attribute in `install`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from streamlit.runtime import Runtime
from streamlit.runtime.session_manager import SessionInfo, SessionStorage

MAX_SESSIONS = 128  # Streamlit's own limit
IDLE_S = 3.0  # longer than a page takes to end its script after the tab has closed


class ExpiringSessions(SessionStorage):
    """Holds disconnected sessions for `ttl_s` seconds, then shuts them down. Only for the server's event loop."""

    def __init__(self, *, ttl_s: float, idle_s: float = IDLE_S) -> None:
        self.ttl_s = ttl_s
        self.idle_s = idle_s
        self._held: dict[str, tuple[SessionInfo, list[asyncio.TimerHandle]]] = {}  # oldest first

    def get(self, session_id: str) -> SessionInfo | None:
        """Return a held session, or None."""
        held = self._held.get(session_id)
        return held[0] if held else None

    def save(self, session_info: SessionInfo) -> None:
        """Hold a session whose tab has disconnected; if there are too many, the oldest one expires."""
        session = session_info.session
        self.delete(session.id)
        if len(self._held) >= MAX_SESSIONS:
            self._expire(next(iter(self._held)))
        timers = [
            self._later(self.idle_s, self._release, session.id),
            self._later(self.ttl_s, self._expire, session.id),
        ]
        self._held[session.id] = (session_info, timers)

    def delete(self, session_id: str) -> None:
        """Remove a session that its tab has resumed, and make it ready to run; unknown ids are ignored."""
        held = self._held.pop(session_id, None)
        if held is None:
            return
        for timer in held[1]:
            timer.cancel()
        session: Any = held[0].session
        if session._script_event_loop.is_closed():
            session._script_event_loop = asyncio.new_event_loop()

    def list(self) -> list[SessionInfo]:
        """Return every held session."""
        return [info for info, _ in self._held.values()]

    def _later(self, delay_s: float, call: Callable[[str], None], session_id: str) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, call, session_id)

    def _release(self, session_id: str) -> None:
        """Close the event loop of a session's script, which holds three file handles, unless a script is running."""
        session: Any = self._held[session_id][0].session
        if session._scriptrunner is None:
            session._script_event_loop.close()

    def _expire(self, session_id: str) -> None:
        info, timers = self._held.pop(session_id)
        for timer in timers:
            timer.cancel()
        info.session.shutdown()


def install(runtime: Runtime, *, ttl_s: float) -> None:
    """Replace a runtime's session storage by `ExpiringSessions`. Call it before the first session."""
    manager: Any = runtime._session_mgr
    manager._session_storage = ExpiringSessions(ttl_s=ttl_s)
