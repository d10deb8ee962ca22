"""WebSocket handshakes and visits of pages without a browser, sent to a real server as a tab sends them."""

import http.client
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

STREAM = "/_stcore/stream"


def handshake(url: str, **headers: str) -> int:
    """Request a WebSocket as a page of another site would; return the HTTP status, 101 if it was accepted."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=120)
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    try:
        connection.request("GET", STREAM, headers={**upgrade, **key, **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def visit(url: str, page: str = "", *, session: str = "") -> str:
    """Open a page in a tab, wait until its script has ended, and close the tab; return the session's id.

    session: the id of a closed tab's session, which this tab resumes.
    """
    socket = url.replace("http", "ws", 1) + STREAM
    protocols = ["streamlit", "none", session] if session else ["streamlit"]
    found = ""
    with connect(socket, origin=url, subprotocols=protocols, max_size=None) as tab:  # type: ignore[arg-type]
        request = BackMsg()
        request.rerun_script.page_name = page
        tab.send(request.SerializeToString())
        while True:
            message = ForwardMsg.FromString(tab.recv(timeout=120))  # type: ignore[arg-type]
            if message.WhichOneof("type") == "new_session":
                found = message.new_session.initialize.session_id
            elif message.WhichOneof("type") == "script_finished":
                return found


def open_handles(pid: int) -> Counter[str]:
    """Count a process's open file handles by kind, such as "socket" or a file's path."""
    kinds: Counter[str] = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            kinds[str(entry.readlink()).split(":", 1)[0]] += 1
    return kinds
