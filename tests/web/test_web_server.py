"""A real server under cross-origin handshakes and many tabs: it responds, contacts no other host, leaks no handle."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.browser.conftest import Server, start_server
from tests.web.tabs import handshake, open_handles, visit

TOKEN = "a token for tools, 32 characters"
PUBLIC = "https://lab.example"
# Logs each connection and name lookup of the server and its child processes, as one JSON line.
_AUDIT = """
import json, os, socket, sys
def _note(event, arguments):
    if event in ("hooked", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        asked = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        line = json.dumps([event, os.getpid(), repr(asked)]) + chr(10)
        descriptor = os.open(os.environ["CONNECTIONS"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(descriptor, line.encode())
        os.close(descriptor)
sys.addaudithook(_note)
sys.audit("hooked", None)
"""
_LOCAL = (
    "127.0.0.1",
    "localhost",
    "'::1'",
    "b'127.0.0.1'",
    "None",
    "'0.0.0.0'",
    "/",
)  # "/": a socket in the file system


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """Return a server on all interfaces that allows one other origin, and the log of its connections."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "sitecustomize.py").write_text(_AUDIT, encoding="utf-8")
    connections = folder / "connections"
    running = start_server(
        folder / "home",
        "--server.address",
        "0.0.0.0",
        "--server.corsAllowedOrigins",
        PUBLIC,
        "--server.disconnectedSessionTTL",
        "60",
        environment={"PYTHONPATH": str(folder), "CONNECTIONS": str(connections), "LAB_TOKEN": TOKEN},
    )
    yield running, connections
    running.stop()


def _external(connections: Path) -> list[str]:
    lines = connections.read_text(encoding="utf-8").splitlines() if connections.exists() else []
    return [line for line in lines if not any(place in json.loads(line)[2] for place in _LOCAL)]


def _port(server: Server) -> int:
    return int(server.url.rsplit(":", 1)[1])


def _cross_origin(server: Server) -> list[dict[str, str]]:
    port = _port(server)
    return [
        {"Origin": "http://evil.example"},
        {"Origin": f"http://evil.example:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": f"https://127.0.0.1:{port}"},
        {"Origin": f"http://localhost:{port}"},  # another name than in the Host header
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": f"http://127.0.0.1:{port}@evil.example"},
        {},
        {"Authorization": "Bearer wrong"},
        {"Origin": "http://evil.example", "Authorization": f"Bearer {TOKEN}"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": f"evil.example:{port}", "Authorization": f"Bearer {TOKEN}"},
    ]


def _flood(server: Server, count: int) -> list[int]:
    """Return the status of each of many cross-origin handshakes, nine at a time, while polling the health check."""

    def ask(number: int) -> int:
        return handshake(server.url, Origin=f"http://{number}.evil.example")

    with ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(ask, number) for number in range(count)]
        while not all(answer.done() for answer in answers):
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=120) as health:
                assert health.read() == b"ok"
        return [answer.result() for answer in answers]


def test_handshakes_from_other_origins_or_ports_or_without_origin_are_refused(audited: tuple[Server, Path]) -> None:
    server, connections = audited
    assert [handshake(server.url, **headers) for headers in _cross_origin(server)] == [403] * len(_cross_origin(server))
    assert _external(connections) == []


def test_handshakes_from_own_pages_the_allowed_origin_or_with_the_token_are_accepted(
    audited: tuple[Server, Path],
) -> None:
    server, connections = audited
    accepted = [
        {"Origin": server.url},
        {"Origin": server.url.upper().replace("HTTP", "http")},
        {"Host": f"localhost:{_port(server)}", "Origin": f"http://localhost:{_port(server)}"},
        {"Origin": PUBLIC},
        {"Host": "localhost", "Origin": PUBLIC},
        {"Authorization": f"Bearer {TOKEN}"},
    ]
    assert [handshake(server.url, **headers) for headers in accepted] == [101] * len(accepted)
    assert _external(connections) == []


@pytest.mark.long
def test_the_server_contacts_no_other_host_at_start_on_pages_or_under_a_flood(audited: tuple[Server, Path]) -> None:
    server, connections = audited
    for page in ("", "train", "runs", "architecture", "inside", "draw"):
        visit(server.url, page)
    assert _flood(server, 50) == [403] * 50
    assert "hooked" in connections.read_text(encoding="utf-8")
    assert _external(connections) == []


@pytest.mark.slow
def test_a_thousand_cross_origin_handshakes_are_refused_while_the_server_responds(audited: tuple[Server, Path]) -> None:
    server, connections = audited
    assert _flood(server, 1_000) == [403] * 1_000
    assert _external(connections) == []


def test_the_audit_hook_records_a_connection_to_another_host(tmp_path: Path) -> None:
    connections = tmp_path / "connections"
    code = _AUDIT + "\ntry:\n    socket.create_connection(('192.0.2.1', 9), timeout=0.01)\nexcept OSError:\n    pass"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "CONNECTIONS": str(connections)}, check=True)
    assert ["192.0.2.1" in line for line in _external(connections)] == [True] * 2  # the name lookup and the connection


def _settled(count: Callable[[], int], expected: int, *, seconds: float = 120.0) -> int:
    """Return the count as soon as it is at most `expected`, or the last one after `seconds`."""
    end = time.monotonic() + seconds
    while (found := count()) > expected and time.monotonic() < end:
        time.sleep(0.2)
    return found


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="handles are counted under /proc")
def test_closed_tabs_leave_no_file_handle_open(audited: tuple[Server, Path]) -> None:
    server, _ = audited

    def handles() -> int:
        return open_handles(server.process.pid).total()

    visit(server.url, "runs")
    before = _settled(handles, 0, seconds=6)
    for _ in range(20):
        visit(server.url, "runs")
    assert _settled(handles, before) <= before, open_handles(server.process.pid)


@pytest.mark.long
def test_a_tab_that_reconnects_resumes_its_session(audited: tuple[Server, Path]) -> None:
    server, _ = audited
    session = visit(server.url, "runs")
    time.sleep(4)  # its event loop is closed by now
    assert visit(server.url, "runs", session=session) == session
    assert visit(server.url, "runs", session="unknown") != session
    log = (server.home / "server.log").read_text(encoding="utf-8")
    assert "script event loop is closed" not in log


@pytest.mark.long
def test_the_server_exits_even_if_a_client_stops_reading_its_response(tmp_path: Path) -> None:
    server = start_server(tmp_path / "home", worker=False)
    try:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that megabytes do not fit
            client.connect(("127.0.0.1", _port(server)))
            client.sendall(f"GET /assets/plotly.min.js HTTP/1.1\r\nHost: 127.0.0.1:{_port(server)}\r\n\r\n".encode())
            assert client.recv(15, socket.MSG_PEEK) == b"HTTP/1.1 200 OK"
            server.process.terminate()
            assert server.process.wait(timeout=120) == -signal.SIGTERM
    finally:
        server.process.kill()
        server.stop()
